/* What servers that ask publishers for a password want to see behind the app in the next connect:
 * authmod=adobe, as Adobe's, Akamai's and Wowza's have it. They refuse a connect, close, and say in
 * the refusal's description what is missing; the third connect is the one that is let in. Sans I/O.
 */
#ifndef HW_PROTO_RTMP_AUTH_H
#define HW_PROTO_RTMP_AUTH_H

#include "common/base/buf.h"

#define RTMP_AUTH_NONCE_BYTES 4
#define RTMP_AUTH_SIZE 512

/* Reads the description of a refusal and writes what is to follow "?" in app and tcUrl. *out is
 * written only on E_OK. E_NOT_FOUND: that is not what it asks for; E_DENIED: it does not believe
 * this user and password; E_UNSUPPORTED: another authmod; E_PROTO: what it asks for is broken. */
enum err rtmp_auth_answer(struct buf_view description, const char *user, const char *password,
                          const uint8_t nonce[RTMP_AUTH_NONCE_BYTES], char out[RTMP_AUTH_SIZE]);

#endif
