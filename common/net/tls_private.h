/* What the files of TLS share: tls_context.c (what both sides have), tls_server.c, tls_certs.c,
 * tls_tickets.c, tls_client.c, tls_file.c, tls_fault.c (what went wrong, counted) and conn_tls.c.
 * Private to common/net. */
#ifndef HW_COMMON_NET_TLS_PRIVATE_H
#define HW_COMMON_NET_TLS_PRIVATE_H

#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include <openssl/ssl.h>

#include "common/net/conn_private.h"
#include "common/net/tls.h"

/* RFC 8446, section 5.1: plain bytes of a record, at most. */
#define TLS_RECORD_BYTES 16384
#define TLS_MAX_ALPN_BYTES 256

/* --- tls_context.c --- */

struct tls_alpn { /* as on the wire, RFC 7301, section 3.1: each name behind its length */
    unsigned char bytes[TLS_MAX_ALPN_BYTES];
    unsigned size_bytes;
};

/* Returns a context of either side with the defaults of both, or NULL when out of memory. */
SSL_CTX *tls_context_new(const SSL_METHOD *method);
/* False when names are empty or too long. */
bool tls_alpn_set(struct tls_alpn *alpn, const char *const *names, unsigned n_names);
/* "what: reason" */
void tls_error_set(struct tls_error *error, const char *what, const char *reason);
/* Static text; never NULL. */
const char *tls_openssl_reason(unsigned long code);

/* --- tls_file.c --- */

struct tls_file { /* all zero: none */
    char *path;   /* owned */
    dev_t device;
    ino_t inode; /* 0: it could not be looked at */
    off_t size_bytes;
    struct timespec modified;
};

/* Before it is read: what changes meanwhile is seen as a change. False when out of memory. */
bool tls_file_note(struct tls_file *file, const char *path);
bool tls_file_has_changed(const struct tls_file *file);
void tls_file_forget(struct tls_file *file);

/* --- tls_server.c, tls_client.c: a new session, or NULL when out of memory --- */

SSL *tls_server_session(struct tls_server *server);
int64_t tls_server_timeout_ms(const struct tls_server *server);
SSL *tls_client_session(struct tls_client *client, const char *host);
int64_t tls_client_timeout_ms(const struct tls_client *client);
/* Whom the peer of a client's session has to prove to be. Returns out; "" when it is not known. */
#define TLS_HOST_SIZE 256
const char *tls_client_host(const SSL *ssl, char out[TLS_HOST_SIZE]);

/* --- tls_certs.c: certificates as loaded together; never changed after that --- */

struct tls_certs;

/* Returns them with one reference, or NULL with *error (E_NOMEM or E_INVAL in *e). */
struct tls_certs *tls_certs_load(const struct tls_files *files, unsigned n_files, enum err *e,
                                 struct tls_error *error);
struct tls_certs *tls_certs_ref(struct tls_certs *certs);
void tls_certs_unref(struct tls_certs **certs);
/* Gives ssl the certificates for host (NULL: the default). False when out of memory. */
bool tls_certs_apply(const struct tls_certs *certs, const char *host, SSL *ssl);
int64_t tls_certs_expiry_s(const struct tls_certs *certs);

/* --- tls_tickets.c --- */

struct tls_tickets; /* any thread */

struct tls_tickets *tls_tickets_create(void); /* NULL when out of memory */
void tls_tickets_destroy(struct tls_tickets **tickets);
void tls_tickets_rotate(struct tls_tickets *tickets);
/* What SSL_CTX_set_tlsext_ticket_key_evp_cb() asks for. */
int tls_tickets_key(struct tls_tickets *tickets, unsigned char *name, unsigned char *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool is_sealing);

/* --- tls_fault.c --- */

enum tls_fault { /* a closed set: they are metric labels */
                 TLS_FAULT_NOT_TLS,
                 TLS_FAULT_VERSION,
                 TLS_FAULT_CIPHER,
                 TLS_FAULT_CERTIFICATE, /* we do not believe the peer */
                 TLS_FAULT_ALERT,       /* the peer refused us, or our certificate */
                 TLS_FAULT_ALPN,
                 TLS_FAULT_TIMEOUT,
                 TLS_FAULT_CLOSED,
                 TLS_FAULT_OTHER,
                 TLS_N_FAULTS
};
struct tls_failure {
    enum tls_fault fault;
    enum err e;
    bool is_http; /* NOT_TLS: a request without TLS, which can be answered */
    char why[CONN_TLS_WHY_SIZE];
};

void tls_metrics_register(void); /* once is enough, more is fine; any thread */
/* What SSL_get_error() meant with ssl_error; errno and OpenSSL's error queue are as it left them.
 */
struct tls_failure tls_failure_of(const SSL *ssl, int ssl_error);
/* The same for a violation of the protocol that OpenSSL named code. */
struct tls_failure tls_failure_of_code(const SSL *ssl, unsigned long code);
void tls_count_handshake(SSL *ssl);
void tls_count_failure(const struct tls_failure *failure);
/* Counts and logs; at most 10 lines a second. */
void tls_report_handshake(const struct tls_failure *failure, const char *peer, const SSL *ssl);
/* The same for a connection that was open. */
void tls_report_broken(const struct tls_failure *failure, const char *peer, const SSL *ssl);

#endif
