/* Secrets for single streams: those that this server makes and keeps as hashes, and lal's. Sans
 * I/O. */
#ifndef HW_PROTO_ACCESS_STREAM_KEY_H
#define HW_PROTO_ACCESS_STREAM_KEY_H

#include "proto/access/digest.h"

#define STREAM_KEY_BYTES 20
#define STREAM_KEY_SIZE 28       /* base64url of it and zero */
#define STREAM_ROOM_KEY_BYTES 48 /* hexadecimal digits: a key that stands where a name does */

/* Lends random bytes a text that people can copy. */
void stream_key_format(const uint8_t random[STREAM_KEY_BYTES], char out[STREAM_KEY_SIZE]);
/* What is kept of it: SHA-256 as hexadecimal digits. They are random, so nothing slower is needed.
 */
bool stream_key_hash(const char *key, char out[SHA256_HEX_SIZE]);
bool stream_key_is(const char *key, const char hash[SHA256_HEX_SIZE]);

/* Does it look like one of those? */
bool stream_key_is_of_room(const char *text);

/* What lal takes as lal_secret: hex md5 of key and stream name (without app); case does not count.
 */
bool lal_secret_is(const char *secret, const char *key, const char *name);

#endif
