/* RTMP handshake: RTMP 1.0, section 5.2, and the digest form that Flash Player 9 brought, which
 * ffmpeg and many encoders begin with. Both sides, sans I/O; one thread at a time. */
#ifndef HW_PROTO_RTMP_HANDSHAKE_H
#define HW_PROTO_RTMP_HANDSHAKE_H

#include "proto/rtmp/rtmp.h"

#define RTMP_HANDSHAKE_BYTES 1536u

struct rtmp_handshake; /* opaque; small until the peer's first part comes, needed only until done */

/* Return a handshake, or NULL when out of memory; the random bytes of C1 or S1 are made from seed.
 * Pair with rtmp_handshake_destroy(). The server takes simple or digest, as C1 is; the client sends
 * a digest (servers of the simple form take it for random bytes) and answers one if S1 has one. */
struct rtmp_handshake *rtmp_handshake_create_server(const uint8_t seed[RTMP_SEED_BYTES]);
struct rtmp_handshake *rtmp_handshake_create_client(const uint8_t seed[RTMP_SEED_BYTES]);
/* Takes *hs and sets it to NULL; a NULL *hs is fine. */
void rtmp_handshake_destroy(struct rtmp_handshake **hs);

/* Client only: C0 and C1. */
void rtmp_handshake_start(struct rtmp_handshake *hs, struct buf_writer *out);
/* Feeds bytes split anywhere and appends answers to out. Advances *in past the handshake only.
 *   E_OK     done; what is left in *in is the chunk stream
 *   E_AGAIN  all of *in is used
 *   E_PROTO  not version 3; rtmp_handshake_error() says what came
 *   E_NOMEM  out of memory, or no digest could be made */
enum err rtmp_handshake_feed(struct rtmp_handshake *hs, struct buf_reader *in,
                             struct buf_writer *out);
/* Static text after an error. Never NULL. */
const char *rtmp_handshake_error(const struct rtmp_handshake *hs);
/* True when the peer proved the digest form. */
bool rtmp_handshake_is_digest(const struct rtmp_handshake *hs);

#endif
