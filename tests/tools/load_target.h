/* Where publishers and players of one URL connect to. */
#ifndef HW_TESTS_TOOLS_LOAD_TARGET_H
#define HW_TESTS_TOOLS_LOAD_TARGET_H

#include "common/base/buf.h"
#include "common/net/conn.h"

#define LOAD_URL_SIZE 1024 /* of an URL with its {i} filled in, and of each part of it */

struct load_target {
    const char *url;        /* borrowed */
    bool is_http;           /* else RTMP */
    struct tls_client *tls; /* https, rtmps; NULL = plain. Believes anybody: it only measures */
    char host[256];
    struct addr addr;
};

/* Looks the host up (blocking, once). Borrows url. On failure *why is a static text. What TLS needs
 * is shared by all targets and lives as long as the program. */
enum err load_target_init(struct load_target *target, const char *url, const char **why);

/* Whom TLS believes from the next load_target_init() on; else anybody. ca_file as in tls.h. E_INVAL
 * with why[size]. */
enum err load_target_trust(const char *ca_file, bool is_unverified, char *why, size_t size);

/* What an RTMP client says of itself; {i} is index. */
struct load_rtmp_name {
    char app[LOAD_URL_SIZE], stream[LOAD_URL_SIZE], tc_url[LOAD_URL_SIZE];
};
enum err load_target_rtmp(const struct load_target *target, unsigned index,
                          struct load_rtmp_name *out);
/* Appends the request for the URL; {i} is index. */
enum err load_target_http(const struct load_target *target, unsigned index, struct buf_writer *out);

/* Returns a connection under way, or NULL. What is written before it stands is queued; a failure
 * comes with the first read. receive_bytes > 0: the size of its receive buffer, so that a peer
 * feels a slow reader. */
struct conn *load_dial(struct loop *loop, const struct load_target *target, int receive_bytes,
                       const struct conn_ops *ops, void *arg);

#endif
