/* Pulling over HTTP: back-source from another node, or from a foreign server. The request and the
 * answer's head; what the body holds is read by pull_flv.c or pull_ts.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "node/cluster/clocks.h"
#include "node/control/node_metrics.h"
#include "node/relay/pull_private.h"
#include "node/stream/trace_id.h"

#define MAX_HEAD_BYTES 16384
#define MAX_REDIRECTS 5
#define PATH_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-,"

/* Who asks, for whom, and where the stream broke off here. */
static void write_relay_fields(const struct pull_link *l, struct buf_writer *out)
{
    const struct node *node = l->nl->node;
    uint64_t msn, discontinuities;
    char hops[HOPS_SIZE], trace[TRACEPARENT_SIZE];
    struct trace_id id = trace_id_of(&l->trace, l->info.id);

    hops_write(stream_hops(l->stream), node->id, hops);
    buf_printf(out, "X-Headwater-Hops: %s\r\nX-Headwater-Waits: 1\r\ntraceparent: %s\r\n", hops,
               trace_id_send(&id, trace));
    if (node->token[0])
        buf_printf(out, "Authorization: Bearer %s\r\n", node->token);
    if (stream_run(l->stream) && stream_gop(l->stream))
        buf_printf(out, "X-Headwater-Have: %llu,%llu\r\nX-Headwater-Have-Run: %llu\r\n",
                   (unsigned long long)stream_epoch(l->stream),
                   (unsigned long long)stream_gop(l->stream),
                   (unsigned long long)stream_run(l->stream));
    if (stream_last_segment(l->stream, &msn, &discontinuities))
        buf_printf(out, "X-Headwater-Have-Segment: %llu,%llu\r\n", (unsigned long long)msn,
                   (unsigned long long)discontinuities);
}

/* RFC 7617. What the URL says is taken as it is but for escapes. */
static void write_basic(struct buf_writer *out, const struct url *url)
{
    char user[128], password[128], pair[257];
    unsigned char coded[4 * ((sizeof pair + 2) / 3) + 1];

    if (http_percent_decode(url->user, user, sizeof user) != E_OK ||
        http_percent_decode(url->password, password, sizeof password) != E_OK)
        return;
    snprintf(pair, sizeof pair, "%s:%s", user, password);
    EVP_EncodeBlock(coded, (const unsigned char *)pair, (int)strlen(pair));
    buf_printf(out, "Authorization: Basic %s\r\n", (const char *)coded);
}

static enum err start(struct pull_link *l)
{
    struct buf_writer out;
    struct url url;
    bool is_v6;
    enum err e;

    if (url_parse(buf_view_str(l->to.url), &url) != E_OK)
        return E_INVAL;
    is_v6 = memchr(url.host.data, ':', url.host.size_bytes) != NULL;
    l->asked_run = stream_run(l->stream);
    buf_writer_init(&l->head, MAX_HEAD_BYTES);
    buf_writer_init(&out, 8192);
    buf_printf(&out,
               "GET %.*s%s%.*s HTTP/1.1\r\nHost: %s%.*s%s:%u\r\nUser-Agent: "
               "Headwater/%s\r\nAccept: */*\r\n",
               (int)url.path.size_bytes, (const char *)url.path.data,
               url.query.size_bytes ? "?" : "", (int)url.query.size_bytes,
               (const char *)url.query.data, is_v6 ? "[" : "", (int)url.host.size_bytes,
               (const char *)url.host.data, is_v6 ? "]" : "",
               url.port ? url.port : l->transport->default_port, HW_VERSION);
    if (pull_link_is_relay(l)) {
        l->clock = clocks_hold(l->nl->node->clocks, l->to.url);
        write_relay_fields(l, &out);
    }
    if (url.user.size_bytes)
        write_basic(&out, &url);
    buf_write_str(&out, "Connection: close\r\n\r\n");
    e = buf_writer_status(&out);
    if (e == E_OK)
        e = conn_write(l->conn, buf_writer_view(&out));
    buf_writer_fini(&out);
    return e;
}

/* --- the answer --- */

static uint64_t header_u64(const struct http_head *head, const char *name)
{
    const struct http_field *field = http_find(head, name);
    char text[32];

    if (!field || !buf_view_to_str(field->value, text, sizeof text))
        return 0;
    return strtoull(text, NULL, 10);
}

enum err pull_take_path(struct pull_link *l, const char *path)
{
    if (path[strspn(path, PATH_CHARS)]) {
        l->why = "the upstream's path is broken";
        return E_PROTO;
    }
    if (hops_hold(path, l->nl->node->id, NULL)) {
        metric_add(&m_relay_loops_refused, 1);
        l->why = "relay loop: the upstream pulls from here";
        return E_STALE;
    }
    snprintf(l->path, sizeof l->path, "%s", path);
    return E_OK;
}

static enum err take_relay_head(struct pull_link *l, const struct http_head *head)
{
    const struct http_field *field = http_find(head, "X-Headwater-Path");
    char path[HOPS_ID_SIZE + HOPS_PATH_SIZE];

    /* The release before this one does not say it. */
    if (!field || !buf_view_to_str(field->value, path, sizeof path))
        snprintf(path, sizeof path, "%s", l->to.node);
    if (pull_path_depth(path) <= HOPS_MAX_DEPTH)
        return pull_take_path(l, path);
    l->why = "too many nodes between here and the origin";
    return E_STALE;
}

static const struct {
    unsigned status;
    enum err e;
    const char *why;
} k_refusals[] = {
    {404, E_NOT_FOUND, ""},
    {401, E_DENIED, ": is cluster.token_file the same there?"},
    {508, E_STALE, ": relay loop"},
    {0, E_DENIED, ""},
};

static enum err refused(struct pull_link *l, unsigned status)
{
    size_t i = 0;

    while (k_refusals[i].status && k_refusals[i].status != status)
        i++;
    snprintf(l->status_text, sizeof l->status_text, "upstream answered %u%s", status,
             pull_link_is_relay(l) ? k_refusals[i].why : "");
    l->why = l->status_text;
    return k_refusals[i].e;
}

/* --- redirects of foreign servers --- */

static bool is_redirect(unsigned status)
{
    static const unsigned k_statuses[] = {301, 302, 303, 307, 308};

    for (size_t i = 0; i < sizeof k_statuses / sizeof k_statuses[0]; i++)
        if (k_statuses[i] == status)
            return true;
    return false;
}

/* A whole URL, or a path on the same server. */
static enum err resolve_location(const struct pull_link *l, struct buf_view location, char *out,
                                 size_t size)
{
    struct url base, to;
    int used;

    if (url_parse(buf_view_str(l->to.url), &base) != E_OK)
        return E_INVAL;
    if (location.size_bytes && location.data[0] == '/')
        used = snprintf(out, size, "%.*s%.*s", (int)(base.path.data - (const uint8_t *)l->to.url),
                        l->to.url, (int)location.size_bytes, (const char *)location.data);
    else
        used = snprintf(out, size, "%.*s", (int)location.size_bytes, (const char *)location.data);
    if (used < 1 || (size_t)used >= size || strpbrk(out, " \t\r\n"))
        return E_INVAL;
    if (url_parse(buf_view_str(out), &to) != E_OK || !to.host.size_bytes || !to.path.size_bytes)
        return E_INVAL;
    if (buf_view_equals(to.scheme, "https"))
        return E_OK;
    return buf_view_equals(to.scheme, "http") && !l->transport->tls ? E_OK : E_UNSUPPORTED;
}

/* E_END: on_readable() goes there. */
static enum err redirect(struct pull_link *l, const struct http_head *head)
{
    const struct http_field *field = http_find(head, "Location");
    char to[sizeof l->redirect];
    enum err e;

    if (l->n_redirects++ >= MAX_REDIRECTS) {
        l->why = "more than 5 redirects";
        return E_LIMIT;
    }
    e = field ? resolve_location(l, field->value, to, sizeof to) : E_INVAL;
    if (e != E_OK) {
        l->why = e == E_UNSUPPORTED ? "redirected to where HTTP, or TLS as before, is not spoken"
                                    : "redirected to no URL";
        return E_DENIED;
    }
    memcpy(l->redirect, to, sizeof to);
    return E_END;
}
_Static_assert(MAX_REDIRECTS == 5, "redirect() says so");

/* What a foreign server's answer says that it holds, for when its first byte leaves that open: a
 * transport stream may begin in the middle of a packet. */
static const struct pull_body *told_body(const struct pull_link *l, const struct http_head *head)
{
    static const struct {
        const char *type;
        const struct pull_body *body;
    } k_types[] = {{"video/mp2t", &k_pull_ts}, {"video/x-flv", &k_pull_flv}};
    const struct http_field *field = http_find(head, "Content-Type");
    char type[32] = "";
    struct url url;

    if (field)
        (void)buf_view_to_str(field->value, type, sizeof type);
    for (size_t i = 0; i < sizeof k_types / sizeof k_types[0]; i++)
        if (!strncasecmp(type, k_types[i].type, strlen(k_types[i].type)))
            return k_types[i].body;
    if (url_parse(buf_view_str(l->to.url), &url) == E_OK && url.path.size_bytes > 3 &&
        !memcmp(url.path.data + url.path.size_bytes - 3, ".ts", 3))
        return &k_pull_ts;
    return &k_pull_flv;
}

static enum err on_head(struct pull_link *l, const struct http_head *head)
{
    struct source_offer offer = {.numbers_gops = true, .run = random_u64() | 1};
    enum err e;

    if (head->status < 200) { /* 102 Processing: the stream is not there yet, the node is */
        pull_waits(l);
        return E_OK;
    }
    if (is_redirect(head->status) && !pull_link_is_relay(l))
        return redirect(l, head);
    if (head->status != 200)
        return refused(l, head->status);
    http_body_init(&l->body, head, false);
    l->have_head = true;
    l->told = told_body(l, head);
    if (pull_link_is_relay(l)) {
        e = take_relay_head(l, head);
        if (e != E_OK)
            return e;
        offer = (struct source_offer){.epoch = header_u64(head, "X-Headwater-Epoch"),
                                      .run = header_u64(head, "X-Headwater-Run"),
                                      .path = l->path};
    }
    return pull_link_attach(l, &offer);
}

/* Collects a head; what follows it is left in the head buffer's tail and fed after. */
static enum err feed_head(struct pull_link *l, struct buf_reader *in)
{
    size_t before = l->head.used_bytes;
    struct http_head head;
    struct http_error error = {0};
    struct buf_reader r;
    enum err e;

    buf_write_view(&l->head, buf_view_of(in->at, in->left_bytes < MAX_HEAD_BYTES - before
                                                     ? in->left_bytes
                                                     : MAX_HEAD_BYTES - before));
    if (buf_writer_status(&l->head) != E_OK)
        return E_NOMEM;
    r = buf_reader_from(buf_writer_view(&l->head));
    e = http_parse_response(&r, MAX_HEAD_BYTES, &head, &error);
    if (e == E_AGAIN) {
        (void)buf_take(in, in->left_bytes);
        return E_AGAIN;
    }
    if (e != E_OK) {
        l->why = error.text ? error.text : "bad HTTP answer";
        return e;
    }
    (void)buf_take(in, l->head.used_bytes - r.left_bytes - before);
    e = on_head(l, &head);
    buf_writer_fini(&l->head);
    return e;
}

/* --- the body --- */

static const struct pull_body *body_of(const struct pull_link *l, uint8_t first_byte)
{
    return pull_link_is_relay(l) ? &k_pull_flv : first_byte == TS_SYNC_BYTE ? &k_pull_ts : l->told;
}

static enum err feed_body(struct pull_link *l, struct buf_view piece)
{
    if (!l->form && piece.size_bytes) {
        l->form = body_of(l, piece.data[0]);
        if (l->form->begin(l) != E_OK)
            return E_NOMEM;
    }
    return l->form ? l->form->feed(l, piece) : E_AGAIN;
}

static enum err feed(struct pull_link *l, struct buf_reader *in)
{
    struct buf_view piece;
    enum err e;

    while (!l->have_head) {
        e = feed_head(l, in);
        if (e != E_OK)
            return e;
    }
    while ((e = http_body_next(&l->body, in, &piece)) == E_OK) {
        e = feed_body(l, piece);
        if (e != E_AGAIN || !l->pull)
            return e;
    }
    return e;
}

static void end(struct pull_link *l)
{
    if (l->form && l->form->end)
        l->form->end(l);
}

static void fini(struct pull_link *l)
{
    buf_writer_fini(&l->head);
    if (l->form)
        l->form->fini(l);
    l->form = NULL;
    clocks_drop(&l->clock);
    l->have_head = l->told_tracks = false;
}

#define PULL_HTTP(scheme_, port, tls_)                                                          \
    {                                                                                           \
        .scheme = scheme_, .protocol = "http", .default_port = port, .tls = tls_,               \
        .sessions_total = &m_sessions_total_flv_pull, .start = start, .feed = feed, .end = end, \
        .fini = fini                                                                            \
    }
const struct pull_transport k_pull_http = PULL_HTTP("http", 80, false);
const struct pull_transport k_pull_https = PULL_HTTP("https", 443, true);
