/* What an HLS viewer who was let in shows for each playlist and piece: a MAC over stream, session
 * and expiry, which every node of the cluster can check without having seen the viewer. Its key is
 * made from the node token; without one it is random, and holds at this process alone. */
#ifndef HW_NODE_ACCESS_GRANT_H
#define HW_NODE_ACCESS_GRANT_H

#include "common/media/name.h"
#include "proto/access/digest.h"

#define GRANT_SIZE 40 /* 12 hexadecimal digits of Unix seconds at most, a dot, 22 of base64url */
#define GRANT_ARG "hw_grant"

struct access_grants {
    uint8_t keys[2][SHA256_BYTES]; /* the first one signs, both are believed */
    unsigned n;
    uint8_t random[SHA256_BYTES];
};
void access_grants_init(struct access_grants *grants);
/* The tokens of now; "" or NULL = none. */
void access_grants_set(struct access_grants *grants, const char *token, const char *also);

/* What it is for. */
enum grant_kind { GRANT_PLAYLISTS, GRANT_PIECES };

/* False: out of memory. */
bool access_grant_write(const struct access_grants *grants, enum grant_kind kind,
                        const char *stream, const char *session, int64_t expires_s,
                        char out[GRANT_SIZE]);
/* E_OK; E_TIMEOUT: made by one of us, and over; E_DENIED: not ours, or for something else. */
enum err access_grant_check(const struct access_grants *grants, enum grant_kind kind,
                            const char *stream, const char *session, const char *grant,
                            int64_t now_s);

#endif
