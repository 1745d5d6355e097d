/* See tls_setup.h. */
#include "common/net/tls_setup.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/net/http_server.h"

#define LOOK_MS 5000                 /* how long a renewed file is not noticed */
#define ENDS_SOON_S (14 * 24 * 3600) /* who renews by itself has done it by then */

struct tls_setup {
    char **entries;          /* owned: a certificate's file, and behind its end the key's */
    struct tls_files *files; /* owned; they point into entries */
    unsigned n_files;
    char *ca_file; /* owned */
    struct tls_server *servers[TLS_N_USES];
    struct tls_client *client;
    struct timer timer;
};

#define RELOADS(what, result)                             \
    METRIC(METRIC_COUNTER, "headwater_tls_reloads_total", \
           "what=\"" what "\",result=\"" result "\"", "files of TLS that were read again")
static struct metric g_expiry[] = {
    METRIC(METRIC_GAUGE, "headwater_tls_certificate_expiry_seconds", "",
           "time until the first of the certificates ends; below 0 it has"),
};
static struct metric g_metrics[] = {
    RELOADS("certificates", "ok"),
    RELOADS("certificates", "failed"),
    RELOADS("authorities", "ok"),
    RELOADS("authorities", "failed"),
};
enum { METRIC_CERTIFICATES, METRIC_AUTHORITIES = METRIC_CERTIFICATES + 2 };

static void register_all(void)
{
    metrics_register(g_metrics, sizeof g_metrics / sizeof g_metrics[0]);
}

/* Only where there is a certificate: 0 seconds are what alerts are made for. */
static void register_expiry(void)
{
    metrics_register(g_expiry, sizeof g_expiry / sizeof g_expiry[0]);
}

/* --- entries --- */

enum err tls_setup_check(const struct conf_list *certificates, struct tls_error *error)
{
    for (size_t i = 0; i < certificates->n_items; i++) {
        const char *entry = certificates->items[i], *equals = strchr(entry, '=');

        if (*entry && equals != entry && (!equals || equals[1]))
            continue;
        snprintf(error->text, sizeof error->text,
                 "[%zu]: found \"%.80s\", allowed is cert.pem=key.pem, or one file with both", i,
                 entry);
        return E_INVAL;
    }
    return E_OK;
}

static void forget_entries(struct tls_setup *setup)
{
    for (unsigned i = 0; setup->entries && i < setup->n_files; i++)
        free(setup->entries[i]);
    free(setup->entries);
    free(setup->files);
    free(setup->ca_file);
    setup->entries = NULL;
    setup->files = NULL;
    setup->ca_file = NULL;
    setup->n_files = 0;
}

static enum err note_entry(struct tls_setup *setup, const char *entry)
{
    unsigned at = setup->n_files;
    char *copy = strdup(entry), *equals;

    if (!copy)
        return E_NOMEM;
    equals = strchr(copy, '=');
    if (equals)
        *equals = '\0';
    setup->entries[at] = copy;
    setup->files[at] = (struct tls_files){copy, equals ? equals + 1 : copy};
    setup->n_files++;
    return E_OK;
}

static enum err note_entries(struct tls_setup *setup, const struct tls_setup_conf *conf)
{
    size_t n = conf->certificates->n_items;
    enum err e = E_OK;

    forget_entries(setup);
    setup->entries = calloc(n + 1, sizeof *setup->entries);
    setup->files = calloc(n + 1, sizeof *setup->files);
    setup->ca_file = strdup(conf->ca_file);
    if (!setup->entries || !setup->files || !setup->ca_file)
        return E_NOMEM;
    for (size_t i = 0; i < n && e == E_OK; i++)
        e = note_entry(setup, conf->certificates->items[i]);
    return e;
}

/* --- what people should know --- */

static void warn_of_open_keys(const struct tls_setup *setup)
{
    struct stat st;

    for (unsigned i = 0; i < setup->n_files; i++)
        if (stat(setup->files[i].key_file, &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)))
            log_warn("tls", "msg=\"a private key is open to every user\" file=%s mode=%03o",
                     LOG_STR(setup->files[i].key_file), (unsigned)(st.st_mode & 0777));
}

/* Returns the seconds that are left. */
static int64_t show_expiry(const struct tls_setup *setup)
{
    int64_t left_s = tls_server_expiry_s(setup->servers[0]) - clock_wall_us() / 1000000;

    metric_set(&g_expiry[0], left_s);
    return left_s;
}

static void say_loaded(const struct tls_setup *setup, const char *why)
{
    int64_t left_s = show_expiry(setup);

    warn_of_open_keys(setup);
    log_info("tls", "msg=\"certificates loaded\" why=%s count=%u expires_in_s=%" PRId64, why,
             setup->n_files, left_s);
    if (left_s < ENDS_SOON_S)
        log_warn("tls", "msg=\"a certificate %s\" expires_in_s=%" PRId64,
                 left_s > 0 ? "ends soon" : "has expired", left_s);
}

/* --- reading again --- */

/* metric: that of success; failure is behind it. */
static void note_result(enum err e, unsigned metric, const char *why, const struct tls_error *error)
{
    metric_add(&g_metrics[e == E_OK ? metric : metric + 1], 1);
    if (e != E_OK)
        log_error("tls", "msg=\"not loaded: what was there stays\" why=%s reason=%s", why,
                  LOG_STR(error->text));
}

static void load_servers(struct tls_setup *setup, const char *why)
{
    struct tls_error error = {""};
    enum err e = E_OK;

    /* All of them, or those behind one that fails would find their files changed for ever. */
    for (unsigned i = 0; i < TLS_N_USES; i++) {
        enum err one = tls_server_load(setup->servers[i], setup->files, setup->n_files, &error);

        e = e != E_OK ? e : one;
    }
    note_result(e, METRIC_CERTIFICATES, why, &error);
    if (e == E_OK)
        say_loaded(setup, why);
}

static void load_client(struct tls_setup *setup, const char *why)
{
    struct tls_error error = {""};
    enum err e = tls_client_load(setup->client, setup->ca_file, &error);

    note_result(e, METRIC_AUTHORITIES, why, &error);
}

static bool has_changed(const struct tls_setup *setup)
{
    for (unsigned i = 0; i < TLS_N_USES; i++)
        if (tls_server_files_changed(setup->servers[i]))
            return true;
    return false;
}

static void on_timer(struct timer *timer)
{
    struct tls_setup *setup = list_entry(timer, struct tls_setup, timer);

    if (setup->servers[0] && has_changed(setup))
        load_servers(setup, "file");
    if (tls_client_file_changed(setup->client))
        load_client(setup, "file");
    if (setup->servers[0])
        (void)show_expiry(setup);
    timer_start_ms(timer, LOOK_MS);
}

void tls_setup_reload(struct tls_setup *setup, const struct tls_setup_conf *conf)
{
    bool had_some = setup->servers[0] != NULL, has_some = conf->certificates->n_items > 0;

    if (had_some != has_some) {
        log_warn("tls", "msg=\"%s needs a restart\"",
                 has_some ? "the first certificate" : "to have no certificate any more");
        return;
    }
    if (note_entries(setup, conf) != E_OK) {
        log_error("tls", "msg=\"out of memory: certificates stay as they were\"");
        return;
    }
    if (had_some)
        load_servers(setup, "signal");
    load_client(setup, "signal");
}

/* --- life --- */

/* What is offered by ALPN to whom. RTMP has no name there. */
static const struct {
    const char *const *names;
    const unsigned *n;
} k_alpn[TLS_N_USES] = {[TLS_FOR_HTTP] = {k_http_alpn, &k_n_http_alpn}};

static enum err make_servers(struct tls_setup *setup, const struct tls_setup_conf *conf,
                             struct tls_error *error)
{
    for (unsigned i = 0; setup->n_files && i < TLS_N_USES; i++) {
        struct tls_server_conf server = {.files = setup->files,
                                         .n_files = setup->n_files,
                                         .alpn = k_alpn[i].names,
                                         .n_alpn = k_alpn[i].n ? *k_alpn[i].n : 0,
                                         .handshake_timeout_ms = conf->handshake_timeout_ms};

        setup->servers[i] = tls_server_create(&server, error);
        if (!setup->servers[i])
            return E_INVAL;
    }
    return E_OK;
}

struct tls_setup *tls_setup_create(struct loop *loop, const struct tls_setup_conf *conf,
                                   struct tls_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT, expiry_once = PTHREAD_ONCE_INIT;
    struct tls_setup *setup = calloc(1, sizeof *setup);
    struct tls_client_conf client = {.ca_file = conf->ca_file,
                                     .is_unverified = conf->is_unverified,
                                     .handshake_timeout_ms = conf->handshake_timeout_ms};

    snprintf(error->text, sizeof error->text, "%s", err_text(E_NOMEM));
    if (!setup)
        return NULL;
    timer_init(&setup->timer, loop, on_timer);
    if (note_entries(setup, conf) != E_OK || make_servers(setup, conf, error) != E_OK)
        goto fail;
    setup->client = tls_client_create(&client, error);
    if (!setup->client)
        goto fail;
    if (conf->is_unverified)
        log_warn("tls", "msg=\"certificates of others are not verified\" key=tls.verify");
    pthread_once(&once, register_all);
    if (setup->n_files) {
        pthread_once(&expiry_once, register_expiry);
        say_loaded(setup, "start");
    }
    timer_start_ms(&setup->timer, LOOK_MS);
    return setup;
fail:
    tls_setup_destroy(&setup);
    return NULL;
}

void tls_setup_destroy(struct tls_setup **setup_ref)
{
    struct tls_setup *setup = *setup_ref;

    *setup_ref = NULL;
    if (!setup)
        return;
    timer_stop(&setup->timer);
    for (unsigned i = 0; i < TLS_N_USES; i++)
        tls_server_destroy(&setup->servers[i]);
    tls_client_destroy(&setup->client);
    forget_entries(setup);
    free(setup);
}

struct tls_server *tls_setup_server(const struct tls_setup *setup, enum tls_setup_use use)
{
    return setup ? setup->servers[use] : NULL;
}

struct tls_client *tls_setup_client(const struct tls_setup *setup)
{
    return setup ? setup->client : NULL;
}
