/* The keys of a target, and the rules between them. */
#include "node/hooks/item.h"

#include <stdio.h>
#include <string.h>

#include "node/compat/lal_notify.h"
#include "node/control/events_json.h"
#include "proto/http/http.h"

static const char *const k_modes[] = {"notify", "gate", NULL};     /* enum hook_mode */
static const char *const k_formats[] = {"headwater", "lal", NULL}; /* enum hook_format */
static const char *const k_fails[] = {"open", "closed", NULL};     /* enum hook_fail */
static const char *const k_schemes[] = {"http", "https", NULL};

#define UINT(key, member, def, min, max, unit, help) \
    CONF_FIELD_UINT(struct hook_item, member, key, def, min, max, unit, help, false)

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_STRING(struct hook_item, url, "url", NULL, HOOK_URL_BYTES, "http[s]://host[:port][/path][?query]", false),
    CONF_FIELD_LIST(struct hook_item, events, "events", "", N_EVENTS, "Which ones; empty = all, or all that a gate can be asked of", false),
    CONF_FIELD_ENUM(struct hook_item, mode, "mode", "notify", k_modes, "notify = told afterwards, gate = asked before", false),
    CONF_FIELD_ENUM(struct hook_item, format, "format", "headwater", k_formats, "notify: in whose words; lal = one event a request, {event} in the URL stands for lal's name of it", false),
    UINT("timeout_ms", timeout_ms, "5000", 10, 60000, "ms", "For an answer"),
    UINT("retries", retries, "1", 0, 10, "", "gate: how often a question is asked again"),
    UINT("max_age_s", max_age_s, "600", 1, 86400, "s", "notify: events are tried again until they are this old"),
    CONF_FIELD_ENUM(struct hook_item, fail, "fail", "closed", k_fails, "gate: what counts as its answer when there is none", false),
    CONF_FIELD_STRING(struct hook_item, secret_file, "secret_file", "", 4096, "First line: the key of signatures; empty = not signed", false),
    UINT("batch", batch, "100", 1, 1000, "", "notify: most events in one request"),
    UINT("queue", queue, "10000", 1, 1000000, "", "notify: most events that wait; the oldest give way"),
};
/* clang-format on */

const struct conf_schema k_hook_schema = {
    "hooks.targets",
    k_fields,
    sizeof k_fields / sizeof k_fields[0],
    sizeof(struct hook_item),
};

static const uint32_t k_gate_events =
    1u << EVENT_PUBLISH | 1u << EVENT_PLAY | 1u << EVENT_STREAM_NOT_FOUND;

const char *hook_url_path(const char *url)
{
    const char *host = strstr(url, "://");

    host = host ? host + 3 : url;
    return host + strcspn(host, "/?#");
}

const char *hook_url_shown(const char *url, char out[HOOK_SHOWN_SIZE])
{
    const char *host = strstr(url, "://"), *end = hook_url_path(url), *at;

    host = host ? host + 3 : url;
    at = memchr(host, '@', (size_t)(end - host));
    snprintf(out, HOOK_SHOWN_SIZE, "%.*s%s%.*s", (int)(host - url), url, at ? "***@" : "",
             (int)(end - (at ? at + 1 : host)), at ? at + 1 : host);
    return out;
}

/* Its user and password would be sent nowhere, so they are refused. */
static bool is_hook_url(const char *text)
{
    bool known = false;
    struct url url;

    if (url_parse(buf_view_str(text), &url) != E_OK || !url.host.size_bytes ||
        url.user.size_bytes || url.password.size_bytes || strpbrk(text, "@#"))
        return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f)
            return false;
    for (unsigned i = 0; k_schemes[i]; i++)
        known |= buf_view_equals(url.scheme, k_schemes[i]);
    return known && (size_t)(hook_url_path(text) - text) < HOOK_SHOWN_SIZE - 20;
}

uint32_t hook_item_events(const struct hook_item *item)
{
    uint32_t all = item->mode == HOOK_GATE    ? k_gate_events
                   : item->format == HOOK_LAL ? k_lal_events
                                              : (1u << N_EVENTS) - 1;
    uint32_t mask = 0;

    for (size_t i = 0; i < item->events.n_items; i++)
        mask |= 1u << event_of_name(buf_view_str(item->events.items[i]));
    return item->events.n_items ? mask : all;
}
_Static_assert(N_EVENTS < 32, "events are bits");

static enum err refuse(struct conf_error *error, const char *source, const char *what,
                       const char *found)
{
    snprintf(error->text, sizeof error->text, "%s: %s \"%.64s\"", source, what, found);
    return E_INVAL;
}

/* Its bodies do not say which event they are. */
static enum err check_format(const char *source, const struct hook_item *item,
                             struct conf_error *error)
{
    bool has_mark = strstr(hook_url_path(item->url), HOOK_EVENT_MARK) != NULL;

    if (item->format != HOOK_LAL && has_mark)
        return refuse(error, source, "url: allowed with format=lal alone:", HOOK_EVENT_MARK);
    if (item->format == HOOK_LAL && item->mode == HOOK_GATE)
        return refuse(error, source, "format: lal's receivers are told, not asked: mode", "gate");
    if (item->format == HOOK_LAL && !has_mark && item->events.n_items != 1)
        return refuse(error, source, "url: format=lal needs one event, or in the URL",
                      HOOK_EVENT_MARK);
    return E_OK;
}

static enum err check(const char *source, const struct hook_item *item, struct conf_error *error)
{
    if (!is_hook_url(item->url)) { /* not the URL itself: a key may be in it */
        snprintf(error->text, sizeof error->text,
                 "%s: url: expected http[s]://host[:port][/path], without user or password",
                 source);
        return E_INVAL;
    }
    for (size_t i = 0; i < item->events.n_items; i++) {
        enum event_id id = event_of_name(buf_view_str(item->events.items[i]));

        if (id == N_EVENTS)
            return refuse(error, source, "events: there is no", item->events.items[i]);
        if (item->mode == HOOK_GATE && !(k_gate_events & 1u << id))
            return refuse(
                error, source,
                "events: gates are asked on_publish, on_play and on_stream_not_found, not",
                item->events.items[i]);
        if (item->format == HOOK_LAL && !(k_lal_events & 1u << id))
            return refuse(error, source, "events: lal has none like", item->events.items[i]);
    }
    return check_format(source, item, error);
}

enum err hook_item_read(const struct conf_list *targets, size_t i, struct hook_item *out,
                        struct conf_error *error)
{
    char source[32];
    enum err e;

    snprintf(source, sizeof source, "hooks.targets[%zu]", i);
    *out = (struct hook_item){0};
    e = conf_item_from_text(&k_hook_schema, source, targets->items[i], out, error);
    if (e != E_OK)
        return e;
    e = check(source, out, error);
    if (e != E_OK) {
        conf_free(&k_hook_schema, out);
        *out = (struct hook_item){0};
    }
    return e;
}

enum err hook_items_check(const struct conf_list *targets, struct conf_error *error)
{
    for (size_t i = 0; i < targets->n_items; i++) {
        struct hook_item item;
        enum err e = hook_item_read(targets, i, &item, error);

        if (e != E_OK)
            return e;
        conf_free(&k_hook_schema, &item);
    }
    return E_OK;
}

bool hook_items_want_lal(const struct conf_list *targets)
{
    bool wanted = false;

    for (size_t i = 0; i < targets->n_items && !wanted; i++) {
        struct hook_item item;
        struct conf_error error;

        if (hook_item_read(targets, i, &item, &error) != E_OK)
            continue;
        wanted = item.format == HOOK_LAL;
        conf_free(&k_hook_schema, &item);
    }
    return wanted;
}
