/* Stream keys that operators made: which key may publish or play which stream. Changed on the
 * control loop, looked up by media loops under a lock, once a publish or play. */
#ifndef HW_NODE_ACCESS_STREAM_KEYS_H
#define HW_NODE_ACCESS_STREAM_KEYS_H

#include "node/access/access.h"
#include "proto/access/stream_key.h"

struct stream_keys; /* opaque */

struct stream_key {     /* texts are borrowed */
    const char *id;     /* of this key: a stream may have several, for rotation */
    const char *stream; /* "app/name", or "app" and a star for all of the app */
    const char *hash;   /* SHA-256 as hexadecimal digits */
    unsigned actions;   /* 1 << enum access_action */
    int64_t expires_s;  /* Unix seconds; 0 = never */
};

struct stream_keys *stream_keys_create(void); /* NULL when out of memory */
void stream_keys_destroy(struct stream_keys **keys);
/* Makes or replaces. */
enum err stream_keys_set(struct stream_keys *keys, const struct stream_key *key);
/* Fine when there is none. */
void stream_keys_remove(struct stream_keys *keys, const char *id);
/* Is there one for this? Any thread. */
bool stream_keys_allow(struct stream_keys *keys, const struct stream_name *name,
                       enum access_action action, const char *secret, int64_t now_s);

/* Which stream of the app is published with this key, which stands where a name does? False: none
 * now. Any thread. */
bool stream_keys_name(struct stream_keys *keys, struct buf_view app, const char *secret,
                      int64_t now_s, struct stream_name *out);

#endif
