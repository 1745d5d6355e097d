/* What was verified a moment ago, so that it is not done again for each request: tokens and
 * passwords. Bounded; what was not used for longest goes first. What is kept of a secret is a MAC
 * under a key that only this process has. Any thread: a lock that is taken once a question. */
#ifndef HW_NODE_ACCESS_CACHE_H
#define HW_NODE_ACCESS_CACHE_H

#include "proto/access/digest.h"
#include "proto/access/jwt.h"

struct access_cache; /* opaque */

#define ACCESS_CACHE_KEY_SIZE SHA256_HEX_SIZE

/* NULL when out of memory. */
struct access_cache *access_cache_create(size_t max_entries);
void access_cache_destroy(struct access_cache **cache);

/* Of a secret: what kind it is (static), and the book that it was verified with. False: out of
 * memory. */
bool access_cache_key(const struct access_cache *cache, const char *kind, uint64_t book,
                      const char *secret, char key[ACCESS_CACHE_KEY_SIZE]);

enum access_cached { ACCESS_UNKNOWN, ACCESS_GOOD, ACCESS_BAD };
/* GOOD: *claims is written, unless NULL. BAD: *why (static). */
enum access_cached access_cache_get(struct access_cache *cache, const char *key, int64_t now_us,
                                    struct jwt_claims *claims, const char **why);
/* why (static) NULL: it is good; claims may be NULL. Borrows claims. */
void access_cache_put(struct access_cache *cache, const char *key, int64_t until_us,
                      const struct jwt_claims *claims, const char *why);

#endif
