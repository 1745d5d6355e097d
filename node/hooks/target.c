/* Posting, signatures, and how it went. */
#include "node/hooks/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/net/hmac.h"
#include "common/net/tls_setup.h"
#include "node/hooks/gate_asking.h"
#include "node/node.h"
#include "node/stream/trace_id.h"

#define GATE_LINKS 16u
#define SAY_AGAIN_US 10000000 /* one that fails now and then is not in the log all the time */

/* --- secret --- */

enum err hook_target_read_secret(struct hook_target *t, struct conf_error *error)
{
    struct node_tokens fresh = {NULL, NULL};
    char source[48];
    enum err e;

    snprintf(source, sizeof source, "hooks.targets[%u]: secret_file", t->index);
    e = node_secrets_read(source, t->item.secret_file, &fresh, error);
    if (e != E_OK)
        return e;
    node_tokens_free(&t->secrets);
    t->secrets = fresh;
    return E_OK;
}

/* --- life --- */

static enum err make_client(struct hook_target *t, struct conf_error *error)
{
    const char *urls[] = {t->shown}, *why = "";
    struct http_client_conf conf = {.urls = urls,
                                    .n_urls = 1,
                                    .tls = tls_setup_client(t->node->tls),
                                    .n_links = t->item.mode == HOOK_GATE ? GATE_LINKS : 1,
                                    .max_calls = GATE_MAX_ASKING,
                                    .timeout_ms = (int64_t)t->item.timeout_ms,
                                    .max_body_bytes = HOOK_ANSWER_BYTES,
                                    .log_area = "hooks"};

    t->client = http_client_create(t->node->control, &conf, &why);
    if (!t->client)
        snprintf(error->text, sizeof error->text, "hooks.targets[%u]: url: %s", t->index, why);
    return t->client ? E_OK : E_INVAL;
}

enum err hook_target_init(struct hook_target *t, struct node *node, unsigned index,
                          struct hook_item *item, struct conf_error *error)
{
    enum err e;

    *t = (struct hook_target){.node = node, .index = index, .item = *item};
    *item = (struct hook_item){0};
    t->events = hook_item_events(&t->item);
    t->path = hook_url_path(t->item.url);
    if (!*t->path)
        t->path = "/";
    hook_url_shown(t->item.url, t->shown);
    t->metrics = hook_metrics_of(index);
    notify_init(&t->notify, t);
    e = hook_target_read_secret(t, error);
    if (e == E_OK)
        e = make_client(t, error);
    if (e != E_OK)
        hook_target_fini(t);
    return e;
}

void hook_target_fini(struct hook_target *t)
{
    notify_fini(&t->notify);
    http_client_destroy(&t->client);
    node_tokens_free(&t->secrets);
    conf_free(&k_hook_schema, &t->item);
}

/* --- posting --- */

#define SIGNATURE_PREFIX "sha256="

/* The path with the event's name in it. */
static const char *path_of(const struct hook_target *t, const char *event, char *out, size_t size)
{
    const char *mark = t->item.format == HOOK_LAL ? strstr(t->path, HOOK_EVENT_MARK) : NULL;

    if (!mark)
        return t->path;
    snprintf(out, size, "%.*s%s%s", (int)(mark - t->path), t->path, event,
             mark + sizeof HOOK_EVENT_MARK - 1);
    return out;
}

struct http_call *hook_target_post(struct hook_target *t, const char *event, const char *body,
                                   const struct trace_id *trace,
                                   void (*done)(void *arg, const struct http_reply *reply),
                                   void *arg)
{
    char when[24], signature[sizeof SIGNATURE_PREFIX + HMAC_SHA256_HEX_SIZE] = SIGNATURE_PREFIX;
    char path[HOOK_URL_BYTES + 64], traceparent[TRACEPARENT_SIZE];
    struct http_client_request request = {
        .method = "POST", .path_query = path_of(t, event, path, sizeof path), .body = body};
    struct buf_view parts[3];
    unsigned n = 0;

    snprintf(when, sizeof when, "%" PRId64, clock_wall_us() / 1000000);
    request.headers[n++] = (struct http_client_header){"X-Headwater-Timestamp", when};
    if (trace_id_is_set(trace))
        request.headers[n++] =
            (struct http_client_header){"traceparent", trace_id_send(trace, traceparent)};
    if (t->secrets.sent[0]) {
        parts[0] = buf_view_str(when);
        parts[1] = buf_view_str(".");
        parts[2] = buf_view_str(body);
        if (hmac_sha256_hex(buf_view_str(t->secrets.sent), parts, 3,
                            signature + sizeof SIGNATURE_PREFIX - 1) != E_OK)
            return NULL;
        request.headers[n++] = (struct http_client_header){"X-Headwater-Signature", signature};
    }
    return http_client_send(t->client, &request, done, arg);
}

/* --- how it went --- */

const char *hook_reply_fault(const struct http_reply *reply, char out[HOOK_ERROR_SIZE])
{
    if (reply->e != E_OK)
        snprintf(out, HOOK_ERROR_SIZE, "%s", err_text(reply->e));
    else if (reply->status < 200 || reply->status > 299)
        snprintf(out, HOOK_ERROR_SIZE, "answered with status %u", reply->status);
    else
        return NULL;
    return out;
}

void hook_target_note(struct hook_target *t, const struct http_reply *reply, const char *why)
{
    metric_observe_us(&t->metrics->seconds, reply->took_us);
    if (!why) {
        t->last_ok_wall_us = clock_wall_us();
        if (t->is_failing)
            log_info("hooks", "msg=\"receiver works again\" target=%u url=%s", t->index,
                     LOG_STR(t->shown));
        t->is_failing = false;
        return;
    }
    t->last_error_wall_us = clock_wall_us();
    snprintf(t->last_error, sizeof t->last_error, "%s", why);
    if (reply->e != E_OK || reply->status == 503)
        return; /* the client has said so */
    if (t->is_failing || (t->said_us && clock_mono_us() - t->said_us < SAY_AGAIN_US))
        return;
    t->is_failing = true;
    t->said_us = clock_mono_us();
    log_warn("hooks", "msg=\"receiver failed\" target=%u url=%s reason=%s", t->index,
             LOG_STR(t->shown), LOG_STR(why));
}
