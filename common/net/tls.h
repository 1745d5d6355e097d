/* What TLS connections are made from: for servers the certificates, ticket keys and ALPN names, for
 * clients whom they trust. TLS 1.2 (RFC 5246, 9325) and 1.3 (RFC 8446) with forward-secret AEAD
 * ciphers only; no renegotiation, compression or early data. conn_start_tls() and
 * conn_start_tls_client() use them; nothing else of a program sees OpenSSL. */
#ifndef HW_COMMON_NET_TLS_H
#define HW_COMMON_NET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

struct tls_server; /* opaque; used by any number of loops */
struct tls_client; /* opaque; used by any number of loops */

struct tls_error {
    char text[256]; /* "/etc/headwater/a.pem: not yet valid", with the file where there is one */
};

/* A certificate with its chain, its own first, and its key without a password; both PEM. */
struct tls_files {
    const char *cert_file;
    const char *key_file;
};

struct tls_server_conf { /* borrowed during create */
    /* The first is for peers that name no host, or one that no certificate is for. Several that fit
     * a name as well as each other (RSA and ECDSA) are all offered. */
    const struct tls_files *files;
    unsigned n_files;
    const char *const *alpn; /* "h2", "http/1.1": the first one that the peer has, too, is taken */
    unsigned n_alpn;         /* 0: ALPN is ignored; else peers whose list has none are refused */
    int64_t handshake_timeout_ms;
};

/* NULL with *error. Pair with tls_server_destroy(), after the last connection is closed. */
struct tls_server *tls_server_create(const struct tls_server_conf *conf, struct tls_error *error);
void tls_server_destroy(struct tls_server **server);
/* Reads certificates again, the same files or others: handshakes from now on use them, connections
 * stay. When one of them is broken, nothing changes. May block on files; any thread, one at a time.
 *   E_INVAL  a file cannot be read or parsed, or a key is not its certificate's; E_NOMEM */
enum err tls_server_load(struct tls_server *server, const struct tls_files *files, unsigned n_files,
                         struct tls_error *error);
/* A file of the last tls_server_load(), even a failed one, has changed since. The same thread as
 * that. */
bool tls_server_files_changed(const struct tls_server *server);
/* When the first of the certificates ends, in seconds since 1970. Any thread. */
int64_t tls_server_expiry_s(struct tls_server *server);

/* Session tickets (RFC 5077; RFC 8446, 4.6.1) are sealed with one set of keys on all loops. A new
 * key every TLS_TICKET_KEY_S, made by the first handshake after that time; the two before still
 * open what they sealed. */
#define TLS_TICKET_KEY_S (6 * 3600)
/* A new key now. Any thread. */
void tls_server_rotate_tickets(struct tls_server *server);

struct tls_client_conf { /* borrowed during create */
    const char *ca_file; /* PEM, who is trusted instead of the system's authorities; NULL or "" */
    bool is_unverified;  /* anybody is believed: for tests and labs */
    const char *const *alpn;
    unsigned n_alpn;
    int64_t handshake_timeout_ms;
};

/* NULL with *error. Connections outlive it. */
struct tls_client *tls_client_create(const struct tls_client_conf *conf, struct tls_error *error);
void tls_client_destroy(struct tls_client **client);
/* Reads who is trusted again, the same file or another: for connections from now on. When it is
 * broken, nothing changes. May block on files; any thread, one at a time. E_INVAL, E_NOMEM */
enum err tls_client_load(struct tls_client *client, const char *ca_file, struct tls_error *error);
/* The file of the last tls_client_load(), even a failed one, has changed. The thread of that. */
bool tls_client_file_changed(const struct tls_client *client);

#endif
