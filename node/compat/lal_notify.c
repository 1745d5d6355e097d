/* See lal_notify.h. */
#include "node/compat/lal_notify.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/compat/compat_private.h"
#include "node/compat/lal_json.h"
#include "node/node.h"

#define MAX_STREAMS 100000u /* whose sessions are counted */
#define URL_SIZE (STREAM_NAME_SIZE + 128)

struct counts {
    unsigned n_in, n_out;
};

/* --- the table --- */

static json_t *of_server(struct compat *c, const struct event *event);
static json_t *of_session(struct compat *c, const struct event *event);
static json_t *of_connect(struct compat *c, const struct event *event);
static json_t *of_segment(struct compat *c, const struct event *event);

static const struct row {
    json_t *(*body)(struct compat *c, const struct event *event); /* NULL: comes another way */
    int in, out; /* sessions of the stream more, or less, after it */
} k_rows[N_EVENTS] = {
    [EVENT_SERVER_START] = {of_server, 0, 0}, [EVENT_RTMP_CONNECT] = {of_connect, 0, 0},
    [EVENT_PUBLISH] = {of_session, 1, 0},     [EVENT_PUBLISH_DONE] = {of_session, -1, 0},
    [EVENT_PLAY] = {of_session, 0, 1},        [EVENT_PLAY_DONE] = {of_session, 0, -1},
    [EVENT_PULL_START] = {of_session, 1, 0},  [EVENT_PULL_STOP] = {of_session, -1, 0},
    [EVENT_HLS_SEGMENT] = {of_segment, 0, 0},
};

/* --- fields of ours --- */

static const struct event_field *field(const struct event *event, const char *key)
{
    for (unsigned i = 0; i < event->n_fields; i++)
        if (!strcmp(event->fields[i].key, key))
            return &event->fields[i];
    return NULL;
}

static const char *text(const struct event *event, const char *key)
{
    const struct event_field *f = field(event, key);

    return f && f->text ? f->text : "";
}

static int64_t number(const struct event *event, const char *key)
{
    const struct event_field *f = field(event, key);

    return f && !f->text ? f->number : 0;
}

/* What a client says may be anything; Jansson takes UTF-8 alone. */
static json_t *client_text(const char *said)
{
    json_t *json = json_string(said);

    return json ? json : json_string("");
}

/* --- counting --- */

static void step(unsigned *n, int by)
{
    if (by > 0 || *n)
        *n += (unsigned)by;
}

static struct counts count(struct lal_notify *n, const char *stream, const struct row *row)
{
    struct counts *c = map_get(&n->streams, stream), now;

    if (!c && row->in <= 0 && row->out <= 0)
        return (struct counts){0};
    if (!c && n->streams.n_entries < MAX_STREAMS) {
        c = calloc(1, sizeof *c);
        if (c && map_set(&n->streams, stream, c) != E_OK) {
            free(c);
            c = NULL;
        }
    }
    if (!c)
        return (struct counts){row->in > 0, row->out > 0};
    step(&c->n_in, row->in);
    step(&c->n_out, row->out);
    now = *c;
    if (!now.n_in && !now.n_out)
        free(map_remove(&n->streams, stream));
    return now;
}

/* --- bodies --- */

static json_t *of_server(struct compat *c, const struct event *event)
{
    (void)event;
    return lal_info_json(c->node->id, c->started_wall_us);
}

/* An address of ours that leads there. Without a query: it may be a key. */
static const char *url_of(const struct node *node, const struct event *event, char out[URL_SIZE])
{
    static const struct {
        const char *protocol, *scheme, *suffix;
        enum protocol_id at;
    } k_forms[] = {
        {"rtmp", "rtmp", "", PROTOCOL_RTMP},     {"flv", "http", ".flv", PROTOCOL_HTTP},
        {"ws-flv", "ws", ".flv", PROTOCOL_HTTP}, {"ts", "http", ".ts", PROTOCOL_HTTP},
        {"ws-ts", "ws", ".ts", PROTOCOL_HTTP},   {"mp4", "http", ".mp4", PROTOCOL_HTTP},
        {"ws-mp4", "ws", ".mp4", PROTOCOL_HTTP}, {"hls", "http", ".m3u8", PROTOCOL_HTTP},
    };
    const char *told = text(event, "url"), *protocol = text(event, "protocol");
    char at[ADDR_TEXT_SIZE];

    snprintf(out, URL_SIZE, "%s", told);
    for (size_t i = 0; !*told && i < sizeof k_forms / sizeof k_forms[0]; i++)
        if (!strcmp(k_forms[i].protocol, protocol) && node->bound[k_forms[i].at].size_bytes)
            snprintf(out, URL_SIZE, "%s://%s/%s%s", k_forms[i].scheme,
                     addr_format(&node->bound[k_forms[i].at], at), text(event, "stream"),
                     k_forms[i].suffix);
    return out;
}

static json_t *of_session(struct compat *c, const struct event *event)
{
    const char *stream = text(event, "stream"), *name = strrchr(stream, '/');
    struct counts now = count(&c->notify, stream, &k_rows[event->id]);
    bool is_pull = !strcmp(text(event, "kind"), "pull");
    char app[STREAM_NAME_SIZE], url[URL_SIZE], word[LAL_WORD_SIZE];
    char id[STREAM_NAME_SIZE + sizeof LAL_PULL_PREFIX];

    snprintf(app, sizeof app, "%.*s", name ? (int)(name - stream) : 0, stream);
    snprintf(id, sizeof id, "%s%s", is_pull ? LAL_PULL_PREFIX : "",
             is_pull ? stream : text(event, "session"));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:I}",
                     "server_id", c->node->id, "session_id", id, "protocol",
                     lal_protocol(text(event, "protocol"), word), "base_type",
                     event->id == EVENT_PUBLISH_DONE || event->id == EVENT_PUBLISH
                         ? "PUB"
                         : lal_base_type(is_pull ? "pull" : "play"),
                     "remote_addr", text(event, "peer"), "url", url_of(c->node, event, url),
                     "app_name", app, "stream_name", name ? name + 1 : "", "url_param", "",
                     "has_in_session", now.n_in > 0, "has_out_session", now.n_out > 0,
                     "read_bytes_sum", (json_int_t)number(event, "bytes_in"), "wrote_bytes_sum",
                     (json_int_t)number(event, "bytes_out"));
}

static json_t *of_connect(struct compat *c, const struct event *event)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "server_id", c->node->id, "session_id",
                     text(event, "session"), "remote_addr", text(event, "peer"), "app",
                     client_text(text(event, "app")), "flashVer",
                     client_text(text(event, "flash_ver")), "tcUrl",
                     client_text(text(event, "tc_url")));
}

/* A segment is told when it is complete. lal has no other than TS with all tracks. */
static json_t *of_segment(struct compat *c, const struct event *event)
{
    const char *stream = text(event, "stream"), *name = strrchr(stream, '/');
    const char *path = text(event, "path");
    char live[STREAM_NAME_SIZE + 8], record[STREAM_NAME_SIZE + 16], cwd[PATH_MAX];

    if (strcmp(text(event, "container"), "ts") != 0 || strcmp(text(event, "tracks"), "all") != 0)
        return NULL;
    if (!getcwd(cwd, sizeof cwd))
        cwd[0] = '\0';
    snprintf(live, sizeof live, "/%s.m3u8", stream);
    snprintf(record, sizeof record, "/%s/record.m3u8", stream);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:f}", "server_id", c->node->id,
                     "event", "close", "stream_name", name ? name + 1 : "", "cwd", cwd, "ts_file",
                     *path ? path : text(event, "uri"), "live_m3u8_file", live, "record_m3u8_file",
                     record, "id", (json_int_t)number(event, "msn"), "duration",
                     (double)number(event, "duration_ms") / 1000);
}

json_t *lal_notify_body(struct compat *compat, const struct event *event)
{
    const struct row *row = &k_rows[event->id];

    return row->body ? row->body(compat, event) : NULL;
}

/* --- on_update --- */

static void collect(struct media_loop *ml, struct compat_ask *ask)
{
    compat_view_collect(&ask->view, ml, "");
}

static bool answer_update(struct compat_ask *ask)
{
    const struct lal_notify *n = &ask->compat->notify;
    json_t *groups = lal_groups_json(&ask->view, &ask->compat->rates, clock_wall_us());
    json_t *body = json_pack("{s:s, s:o}", "server_id", ask->compat->node->id, "groups", groups);

    if (body)
        n->on_update(n->arg, body);
    json_decref(body);
    return false;
}

void lal_notify_listen(struct compat *compat, void (*on_update)(void *arg, json_t *body), void *arg)
{
    compat->notify.on_update = on_update;
    compat->notify.arg = arg;
}

void lal_notify_update(struct compat *compat)
{
    struct compat_ask *ask = compat_ask_create(compat, NULL);

    compat_rates_want(&compat->rates);
    if (!ask)
        return;
    ask->collect = collect;
    ask->answer = answer_update;
    compat_ask_run(ask);
}

/* --- life --- */

void lal_notify_init(struct lal_notify *n)
{
    map_init(&n->streams);
}

void lal_notify_fini(struct lal_notify *n)
{
    struct map_cursor cursor = {0};
    const char *key;
    void *value;

    while (map_next(&n->streams, &cursor, &key, &value))
        free(map_remove(&n->streams, key));
    map_fini(&n->streams);
}
