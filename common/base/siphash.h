/* SipHash-1-3: a short keyed hash that a peer without the key cannot steer. Aumasson and Bernstein,
 * "SipHash: a fast short-input PRF"; c = 1, d = 3. Any thread. Not a signature. */
#ifndef HW_COMMON_BASE_SIPHASH_H
#define HW_COMMON_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* The 16 key bytes of the paper as two little-endian words. */
uint64_t siphash13(const uint64_t key[2], const void *data, size_t size_bytes);

#endif
