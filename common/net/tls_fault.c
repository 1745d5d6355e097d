/* What went wrong with TLS: from OpenSSL's codes to a reason, a label and a log line. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <openssl/err.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/net/conn_private.h"
#include "common/net/tls_private.h"

#define LINES_PER_SECOND 10

#define DONE "headwater_tls_handshakes_total"
#define DONE_HELP "completed TLS handshakes by side and version"
#define FAILED "headwater_tls_handshake_failures_total"
#define FAILED_HELP "TLS handshakes that failed, by reason"

static struct metric g_done[] = {
    METRIC(METRIC_COUNTER, DONE, "side=\"server\",version=\"1.2\"", DONE_HELP),
    METRIC(METRIC_COUNTER, DONE, "side=\"server\",version=\"1.3\"", DONE_HELP),
    METRIC(METRIC_COUNTER, DONE, "side=\"client\",version=\"1.2\"", DONE_HELP),
    METRIC(METRIC_COUNTER, DONE, "side=\"client\",version=\"1.3\"", DONE_HELP),
};

#define FAILED_ROW(reason) METRIC(METRIC_COUNTER, FAILED, "reason=\"" reason "\"", FAILED_HELP)
static struct metric g_failed[TLS_N_FAULTS] = {
    [TLS_FAULT_NOT_TLS] = FAILED_ROW("not_tls"),
    [TLS_FAULT_VERSION] = FAILED_ROW("version"),
    [TLS_FAULT_CIPHER] = FAILED_ROW("cipher"),
    [TLS_FAULT_CERTIFICATE] = FAILED_ROW("certificate"),
    [TLS_FAULT_ALERT] = FAILED_ROW("alert"),
    [TLS_FAULT_ALPN] = FAILED_ROW("alpn"),
    [TLS_FAULT_TIMEOUT] = FAILED_ROW("timeout"),
    [TLS_FAULT_CLOSED] = FAILED_ROW("closed"),
    [TLS_FAULT_OTHER] = FAILED_ROW("other"),
};

static struct metric g_others[] = {
    METRIC(METRIC_COUNTER, "headwater_tls_resumed_total", "",
           "TLS handshakes of the server that a session ticket made short"),
    METRIC(METRIC_COUNTER, "headwater_tls_broken_total", "",
           "open TLS connections that ended by a violation of the protocol"),
};
enum { OTHER_RESUMED, OTHER_BROKEN };

/* OpenSSL's reasons that have a label of their own. */
static const struct {
    int reason;
    enum tls_fault fault;
    const char *why; /* NULL = OpenSSL's words */
} k_reasons[] = {
    {SSL_R_HTTP_REQUEST, TLS_FAULT_NOT_TLS, "plain HTTP sent to a TLS port"},
    {SSL_R_HTTPS_PROXY_REQUEST, TLS_FAULT_NOT_TLS, "plain HTTP sent to a TLS port"},
    {SSL_R_WRONG_VERSION_NUMBER, TLS_FAULT_NOT_TLS, "the peer does not speak TLS"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, TLS_FAULT_NOT_TLS, "the peer does not speak TLS"},
    {SSL_R_UNSUPPORTED_PROTOCOL, TLS_FAULT_VERSION, "the peer's TLS is older than 1.2"},
    {SSL_R_VERSION_TOO_LOW, TLS_FAULT_VERSION, NULL},
    {SSL_R_NO_SHARED_CIPHER, TLS_FAULT_CIPHER, NULL},
    {SSL_R_NO_SUITABLE_KEY_SHARE, TLS_FAULT_CIPHER, NULL},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, TLS_FAULT_CIPHER, NULL},
    {SSL_R_NO_SHARED_GROUPS, TLS_FAULT_CIPHER, NULL},
    {SSL_R_NO_APPLICATION_PROTOCOL, TLS_FAULT_ALPN, NULL},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, TLS_FAULT_CLOSED, "closed by the peer"},
};

static void register_all(void)
{
    metrics_register(g_done, sizeof g_done / sizeof g_done[0]);
    metrics_register(g_failed, sizeof g_failed / sizeof g_failed[0]);
    metrics_register(g_others, sizeof g_others / sizeof g_others[0]);
}

void tls_metrics_register(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, register_all);
}

static struct tls_failure make_failure(enum tls_fault fault, enum err e, const char *detail,
                                       const char *why)
{
    struct tls_failure failure = {.fault = fault, .e = e};

    snprintf(failure.why, sizeof failure.why, "%s%s", detail, why);
    return failure;
}

struct tls_failure tls_failure_of_code(const SSL *ssl, unsigned long code)
{
    int reason = ERR_GET_REASON(code);
    const char *why = tls_openssl_reason(code);
    struct tls_failure failure;

    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return make_failure(TLS_FAULT_CERTIFICATE, E_DENIED, "certificate verify failed: ",
                            X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
    for (size_t i = 0; i < sizeof k_reasons / sizeof k_reasons[0]; i++) {
        if (k_reasons[i].reason != reason)
            continue;
        failure = make_failure(k_reasons[i].fault,
                               k_reasons[i].fault == TLS_FAULT_CLOSED ? E_CLOSED : E_PROTO, "",
                               k_reasons[i].why ? k_reasons[i].why : why);
        failure.is_http = reason == SSL_R_HTTP_REQUEST;
        return failure;
    }
    /* the peer's own words: "tlsv1 alert unknown ca" */
    return make_failure(reason >= SSL_AD_REASON_OFFSET ? TLS_FAULT_ALERT : TLS_FAULT_OTHER, E_PROTO,
                        "", why);
}

struct tls_failure tls_failure_of(const SSL *ssl, int ssl_error)
{
    int code = errno;
    struct tls_failure failure;

    if (ssl_error == SSL_ERROR_SSL) {
        failure = tls_failure_of_code(ssl, ERR_peek_last_error()); /* the first: of some cipher */
    } else if (ssl_error == SSL_ERROR_SYSCALL && code != 0) {
        enum err e = conn_err_from_errno(code);

        failure = make_failure(TLS_FAULT_CLOSED, e, "", err_text(e));
    } else {
        failure = make_failure(TLS_FAULT_CLOSED, E_CLOSED, "", "closed by the peer");
    }
    ERR_clear_error();
    return failure;
}

void tls_count_handshake(SSL *ssl)
{
    bool is_server = SSL_is_server(ssl);

    metric_add(&g_done[(is_server ? 0 : 2) + (SSL_version(ssl) >= TLS1_3_VERSION)], 1);
    if (is_server && SSL_session_reused(ssl))
        metric_add(&g_others[OTHER_RESUMED], 1);
}

/* Port scanners are not to fill the disk. */
static bool may_log(void)
{
    static _Atomic int64_t second;
    static atomic_uint n_lines;
    int64_t now_s = clock_mono_us() / 1000000;

    if (atomic_exchange_explicit(&second, now_s, memory_order_relaxed) != now_s)
        atomic_store_explicit(&n_lines, 0, memory_order_relaxed);
    return atomic_fetch_add_explicit(&n_lines, 1, memory_order_relaxed) < LINES_PER_SECOND;
}

/* A client says whom it wanted to reach: the certificate may be for somebody else. */
static void say(const char *msg, const struct tls_failure *failure, const char *peer,
                const SSL *ssl)
{
    char host[TLS_HOST_SIZE];

    if (!may_log())
        return;
    if (SSL_is_server(ssl))
        log_warn("tls", "msg=\"%s\" side=server peer=%s reason=%s", msg, peer,
                 LOG_STR(failure->why));
    else
        log_warn("tls", "msg=\"%s\" side=client host=%s peer=%s reason=%s", msg,
                 LOG_STR(tls_client_host(ssl, host)), peer, LOG_STR(failure->why));
}

void tls_count_failure(const struct tls_failure *failure)
{
    metric_add(&g_failed[failure->fault], 1);
}

void tls_report_handshake(const struct tls_failure *failure, const char *peer, const SSL *ssl)
{
    tls_count_failure(failure);
    say("handshake failed", failure, peer, ssl);
}

void tls_report_broken(const struct tls_failure *failure, const char *peer, const SSL *ssl)
{
    if (failure->e != E_PROTO && failure->e != E_DENIED) /* the network, as with plain TCP */
        return;
    metric_add(&g_others[OTHER_BROKEN], 1);
    say("connection broken", failure, peer, ssl);
}
