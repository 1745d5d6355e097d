/* The TLS of a program as its configuration has it: certificates for what it listens on, whom it
 * believes where it connects. Both are read again on demand (SIGHUP) and when a file changes; what
 * is broken leaves everything as it was, is logged and counted. Work on files is done on the loop
 * that it was made with, which should have nothing urgent to do. */
#ifndef HW_COMMON_NET_TLS_SETUP_H
#define HW_COMMON_NET_TLS_SETUP_H

#include "common/base/conf.h"
#include "common/net/loop.h"
#include "common/net/tls.h"

#define TLS_SETUP_MAX_CERTIFICATES 64

struct tls_setup; /* opaque */

/* What a listener speaks above TLS: ALPN names are one's own, session tickets too. */
enum tls_setup_use { TLS_FOR_HTTP, TLS_FOR_RTMP, TLS_N_USES };

struct tls_setup_conf {                   /* borrowed during the call */
    const struct conf_list *certificates; /* "cert.pem=key.pem", or one file that holds both */
    const char *ca_file;                  /* "" = the system's authorities */
    bool is_unverified;                   /* fixed at create */
    int64_t handshake_timeout_ms;         /* fixed at create */
};

/* E_INVAL with *error for an entry of certificates that is no pair of files. */
enum err tls_setup_check(const struct conf_list *certificates, struct tls_error *error);

/* NULL with *error. Pair with tls_setup_destroy(), after the last connection is closed and before
 * the loop is destroyed. */
struct tls_setup *tls_setup_create(struct loop *loop, const struct tls_setup_conf *conf,
                                   struct tls_error *error);
void tls_setup_destroy(struct tls_setup **setup);

/* Both: lent for the setup's life, to any thread; a NULL setup has neither. The server is NULL
 * without certificates: nothing listens then. */
struct tls_server *tls_setup_server(const struct tls_setup *setup, enum tls_setup_use use);
/* It offers nothing by ALPN. */
struct tls_client *tls_setup_client(const struct tls_setup *setup);

/* The same files again, or others. From no certificate to some needs a restart, which is logged;
 * so is what is broken. Loop thread. */
void tls_setup_reload(struct tls_setup *setup, const struct tls_setup_conf *conf);

#endif
