/* lal's /api/ctrl: what is told here are settings of ours, and kicks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/conf_item.h"
#include "node/compat/lal.h"
#include "node/compat/lal_json.h"

/* --- bodies --- */

struct params { /* of all calls */
    char *url, *stream_name, *session_id, *ip, *debug_dump_packet;
    uint64_t pull_timeout_ms, rtsp_mode, duration_sec;
};

#define STRING(member, def, max) \
    CONF_FIELD_STRING(struct params, member, #member, def, max, "", false)
#define UINT(member, def, max) \
    CONF_FIELD_UINT(struct params, member, #member, def, 0, max, "", "", false)

/* clang-format off */
static const struct conf_field k_pull_fields[] = {
    STRING(url, NULL, 4096),
    STRING(stream_name, "", STREAM_NAME_SIZE - 1),
    UINT(pull_timeout_ms, "10000", INT32_MAX),
    UINT(rtsp_mode, "0", 1),
    STRING(debug_dump_packet, "", 4096),
};
static const struct conf_field k_kick_fields[] = {
    STRING(stream_name, NULL, STREAM_NAME_SIZE - 1),
    STRING(session_id, NULL, COMPAT_ID_SIZE - 1),
};
static const struct conf_field k_ban_fields[] = {
    STRING(ip, NULL, 64),
    UINT(duration_sec, NULL, INT32_MAX),
};
/* clang-format on */

#define SCHEMA(fields)                                                          \
    {                                                                           \
        "body", fields, sizeof fields / sizeof fields[0], sizeof(struct params) \
    }
static const struct conf_schema k_pull_schema = SCHEMA(k_pull_fields);
static const struct conf_schema k_kick_schema = SCHEMA(k_kick_fields);
static const struct conf_schema k_ban_schema = SCHEMA(k_ban_fields);

/* lal's parser passes over what it does not know, and its clients may count on that. */
static void drop_unknown(const struct conf_schema *schema, json_t *body)
{
    const char *key;
    json_t *value;
    void *tmp;

    json_object_foreach_safe(body, tmp, key, value)
    {
        size_t i = 0;

        while (i < schema->n_fields && strcmp(schema->fields[i].key, key) != 0)
            i++;
        if (i == schema->n_fields)
            (void)json_object_del(body, key);
    }
}

/* Takes body. False: answered. To be paired with conf_free(). */
static bool read_params(struct http_exchange *x, json_t *body, const struct conf_schema *schema,
                        struct params *out)
{
    struct conf_error error;
    enum err e;

    memset(out, 0, sizeof *out);
    drop_unknown(schema, body);
    e = conf_item_from_json(schema, "param", body, out, &error);
    json_decref(body);
    if (e != E_OK)
        lal_refuse(x, LAL_NO_PARAM, error.text);
    return e == E_OK;
}

/* NULL: answered. Returns an object. */
static json_t *read_body(struct http_exchange *x)
{
    struct buf_view body = http_body(x);
    json_t *json = json_loadb(body.size_bytes ? (const char *)body.data : "", body.size_bytes,
                              JSON_REJECT_DUPLICATES, NULL);

    if (json_is_object(json))
        return json;
    json_decref(json);
    lal_refuse(x, LAL_NO_PARAM, NULL);
    return NULL;
}

/* --- relay pulls --- */

#define FOR_EVER (-1)
#define MOST_RETRIES 999999 /* the first round is none of them */
#define MOST_IDLE_MS 86400000

/* Numbers that may be -1; more than most, which is for ever to whoever says it, is most. False:
 * answered. */
static bool take_number(struct http_exchange *x, const json_t *body, const char *key,
                        json_int_t def, json_int_t most, json_int_t *out)
{
    const json_t *value = json_object_get(body, key);
    json_int_t said = value ? json_integer_value(value) : def;

    *out = said < most ? said : most;
    if ((!value || json_is_integer(value)) && said >= FOR_EVER)
        return true;
    lal_refuse(x, LAL_NO_PARAM, key);
    return false;
}

/* The last part of the URL's path, without its query and ".flv" or ".ts". */
static const char *name_of_url(const char *url, char out[STREAM_NAME_SIZE])
{
    static const char *const k_suffixes[] = {".flv", ".ts"};
    size_t size = strcspn(url, "?#");
    const char *name = memrchr(url, '/', size);
    struct buf_view part = {(const uint8_t *)url, 0};

    if (name)
        part = buf_view_of(name + 1, size - (size_t)(name + 1 - url));
    for (size_t i = 0; i < sizeof k_suffixes / sizeof k_suffixes[0]; i++) {
        size_t n = strlen(k_suffixes[i]);

        if (part.size_bytes > n && !memcmp(part.data + part.size_bytes - n, k_suffixes[i], n))
            part.size_bytes -= n;
    }
    if (!buf_view_to_str(part, out, STREAM_NAME_SIZE))
        out[0] = '\0';
    return out;
}

/* What is read by none of our inputs yet. */
static bool is_not_there_yet(const char *url)
{
    static const char *const k_schemes[] = {"rtsp", "rtsps", "rtp", "srt"};
    size_t size = strcspn(url, ":");

    for (size_t i = 0; i < sizeof k_schemes / sizeof k_schemes[0]; i++)
        if (strlen(k_schemes[i]) == size && !strncasecmp(k_schemes[i], url, size))
            return true;
    return false;
}

static json_t *pull_data(const struct compat_ask *ask, bool with_name)
{
    char id[COMPAT_ID_SIZE];

    snprintf(id, sizeof id, "%s%s", LAL_PULL_PREFIX, ask->name.text);
    return with_name ? json_pack("{s:s, s:s}", "stream_name", stream_name_part(&ask->name),
                                 "session_id", id)
                     : json_pack("{s:s}", "session_id", id);
}

static void on_pull_kept(struct compat_ask *ask, enum err e, const char *why)
{
    if (e == E_OK)
        lal_say(ask->x, 200, LAL_SUCC, NULL, pull_data(ask, true));
    else
        lal_refuse(ask->x, LAL_NO_PULL, why);
}

/* One input at a time, and nothing is put by for later. */
static bool answer_start(struct compat_ask *ask)
{
    struct conf_error error;
    enum err e;

    if (ask->view.n_streams && ask->view.streams[0].info.live) {
        lal_refuse(ask->x, LAL_NO_PULL, "the stream has an input already");
        return false;
    }
    ask->kept = on_pull_kept;
    e = settings_put(ask->compat->node->settings, SETTING_PULL, ask->name.text, ask->body,
                     compat_ask_kept, ask, &error);
    if (e != E_OK)
        lal_refuse(ask->x, LAL_NO_PULL, error.text);
    return e == E_OK;
}

/* retry: ours counts rounds in vain, of which the first is none of lal's retries. */
static json_t *pull_item(const struct node *node, const struct stream_name *name, const char *url,
                         json_int_t retry, json_int_t idle_ms)
{
    bool always = idle_ms == FOR_EVER;

    return json_pack("{s:s, s:[s], s:s, s:I, s:I, s:s}", "stream", name->text, "urls", url, "mode",
                     always ? "always" : "on_demand", "idle_ms",
                     always        ? (json_int_t)0
                     : idle_ms < 1 ? (json_int_t)1
                                   : idle_ms,
                     "retry", retry == FOR_EVER ? (json_int_t)0 : retry + 1, "node",
                     always ? node->id : "");
}

static void start_pull_of(struct compat *c, struct http_exchange *x, const struct params *p,
                          json_int_t retry, json_int_t idle_ms)
{
    char from_url[STREAM_NAME_SIZE];
    const char *said = *p->stream_name ? p->stream_name : name_of_url(p->url, from_url);
    struct stream_name name;
    struct compat_ask *ask;
    const char *why = "";

    if (is_not_there_yet(p->url)) {
        lal_say(x, 501, LAL_NO_PULL,
                "RTSP, RTP and SRT are not read yet: rtmp[s], and http[s] with FLV or TS are",
                NULL);
        return;
    }
    if (compat_name(c->node, said, &name, &why) != E_OK) {
        lal_refuse(x, LAL_NO_PULL, why);
        return;
    }
    ask = lal_ask_about(c, x, name.text);
    if (!ask)
        return;
    ask->name = name;
    ask->body = pull_item(c->node, &name, p->url, retry, idle_ms);
    ask->answer = answer_start;
    compat_ask_run(ask);
}

void lal_start_pull(struct http_exchange *x, void *arg)
{
    json_t *body = read_body(x);
    json_int_t retry, idle_ms;
    struct params p;

    if (!body)
        return;
    if (!take_number(x, body, "pull_retry_num", 0, MOST_RETRIES, &retry) ||
        !take_number(x, body, "auto_stop_pull_after_no_out_ms", FOR_EVER, MOST_IDLE_MS, &idle_ms)) {
        json_decref(body);
        return;
    }
    if (!read_params(x, body, &k_pull_schema, &p))
        return;
    start_pull_of(lal_compat_of(arg), x, &p, retry, idle_ms);
    conf_free(&k_pull_schema, &p);
}

static void on_pull_gone(struct compat_ask *ask, enum err e, const char *why)
{
    (void)e; /* it is gone, whether that could be written down or not */
    lal_say(ask->x, 200, LAL_SUCC, e == E_OK ? NULL : why, pull_data(ask, false));
}

static bool remove_pull(struct compat_ask *ask)
{
    struct conf_error error;
    enum err e = settings_remove(ask->compat->node->settings, SETTING_PULL, ask->name.text,
                                 compat_ask_kept, ask, &error);

    ask->kept = on_pull_gone;
    return e == E_OK;
}

static bool answer_stop(struct compat_ask *ask)
{
    if (remove_pull(ask))
        return true;
    lal_refuse(ask->x, ask->view.n_streams ? LAL_NO_SESSION : LAL_NO_GROUP, NULL);
    return false;
}

void lal_stop_pull(struct http_exchange *x, void *arg)
{
    struct compat *c = lal_compat_of(arg);
    const char *said = lal_read_stream(x, http_query_arg(x, "stream_name")), *why = "";
    struct compat_ask *ask = said ? lal_ask_about(c, x, said) : NULL;

    if (!ask)
        return;
    if (compat_name(c->node, said, &ask->name, &why) != E_OK) {
        compat_ask_drop(ask);
        lal_refuse(x, LAL_NO_GROUP, NULL);
        return;
    }
    ask->answer = answer_stop;
    compat_ask_run(ask);
}

/* --- kick --- */

static void find_stream(struct stream *stream, void *arg)
{
    struct compat_ask *ask = arg;

    ask->found_stream |= compat_is_meant(stream_name_of(stream), ask->said);
}

/* By id, of that stream; a pull by its stream. */
static bool is_to_go(const struct compat_ask *ask, const struct session_info *info)
{
    if (!compat_is_called(info->stream, ask->said) || !info->kick)
        return false;
    if (!strcmp(info->kind, "pull") &&
        !strncmp(ask->id, LAL_PULL_PREFIX, sizeof LAL_PULL_PREFIX - 1))
        return !strcmp(ask->id + sizeof LAL_PULL_PREFIX - 1, info->stream);
    return !strcmp(info->id, ask->id);
}

static void collect_kick(struct media_loop *ml, struct compat_ask *ask)
{
    struct list *node, *tmp;

    gather_each_stream(ml, find_stream, ask);
    list_for_each_safe(node, tmp, &ml->sessions) {
        struct session_info *info = list_entry(node, struct session_info, node);

        if (ask->found_session || !is_to_go(ask, info))
            continue;
        ask->found_session = true;
        info->kick(info); /* info may be gone, and others with it */
        return;
    }
}

static bool answer_kick(struct compat_ask *ask)
{
    if (ask->found_session)
        lal_refuse(ask->x, LAL_SUCC, NULL);
    else
        lal_refuse(ask->x, ask->found_stream ? LAL_NO_SESSION : LAL_NO_GROUP, NULL);
    return false;
}

static void on_kick_kept(struct compat_ask *ask, enum err e, const char *why)
{
    lal_say(ask->x, 200, LAL_SUCC, e == E_OK ? NULL : why, NULL);
}

/* A pull that an operator told is over by that: else it would come back at once. False: there is no
 * such pull of that stream. */
static bool kick_pull(struct compat_ask *ask)
{
    const char *stream = ask->id + sizeof LAL_PULL_PREFIX - 1;
    struct conf_error error;
    enum err e;

    if (strncmp(ask->id, LAL_PULL_PREFIX, sizeof LAL_PULL_PREFIX - 1) != 0 ||
        !compat_is_called(stream, ask->said) ||
        !settings_find(ask->compat->node->settings, SETTING_PULL, stream))
        return false;
    ask->kept = on_kick_kept;
    e = settings_remove(ask->compat->node->settings, SETTING_PULL, stream, compat_ask_kept, ask,
                        &error);
    if (e == E_OK) {
        compat_ask_wait(ask);
        return true;
    }
    lal_refuse(ask->x, LAL_NO_SESSION, error.text);
    compat_ask_drop(ask);
    return true;
}

void lal_kick(struct http_exchange *x, void *arg)
{
    json_t *body = read_body(x);
    struct compat_ask *ask;
    struct params p;

    if (!body || !read_params(x, body, &k_kick_schema, &p))
        return;
    if (!*p.stream_name || !*p.session_id)
        lal_refuse(x, LAL_NO_PARAM, NULL);
    else if ((ask = lal_ask_about(lal_compat_of(arg), x, p.stream_name))) {
        snprintf(ask->id, sizeof ask->id, "%s", p.session_id);
        ask->collect = collect_kick;
        ask->answer = answer_kick;
        if (!kick_pull(ask))
            compat_ask_run(ask);
    }
    conf_free(&k_kick_schema, &p);
}

/* --- bans --- */

#define BAN_ID_PREFIX "lal-"

/* The same address again replaces its ban. */
static const char *ban_id(const char *ip, char out[80])
{
    snprintf(out, 80, "%s%s", BAN_ID_PREFIX, ip);
    for (char *c = out; *c; c++)
        if (*c == ':' || *c == '/')
            *c = '_';
    return out;
}

static void on_ban_kept(struct compat_ask *ask, enum err e, const char *why)
{
    lal_say(ask->x, 200, LAL_SUCC, e == E_OK ? NULL : why, NULL);
}

static void ban(struct compat_ask *ask, const struct params *p)
{
    char id[80];
    struct conf_error error;
    json_t *item = json_pack("{s:s, s:s, s:I}", "net", p->ip, "reason", "blacklist", "expires",
                             (json_int_t)(clock_wall_us() / 1000000 + (int64_t)p->duration_sec));
    enum err e;

    ask->kept = on_ban_kept;
    e = settings_put(ask->compat->node->settings, SETTING_BAN, ban_id(p->ip, id), item,
                     compat_ask_kept, ask, &error);
    json_decref(item);
    if (e == E_OK) {
        compat_ask_wait(ask);
        return;
    }
    lal_refuse(ask->x, LAL_NO_PARAM, error.text);
    compat_ask_drop(ask);
}

void lal_add_blacklist(struct http_exchange *x, void *arg)
{
    json_t *body = read_body(x);
    struct compat_ask *ask;
    struct params p;

    if (!body || !read_params(x, body, &k_ban_schema, &p))
        return;
    if (!p.duration_sec)
        lal_refuse(x, LAL_NO_PARAM, "duration_sec: 0 is over at once");
    else if ((ask = compat_ask_create(lal_compat_of(arg), x)))
        ban(ask, &p);
    conf_free(&k_ban_schema, &p);
}

/* --- RTP --- */

#define NO_RTP "RTP is not taken in yet: publish over RTMP or HTTP"

void lal_start_rtp(struct http_exchange *x, void *arg)
{
    (void)arg;
    lal_say(x, 501, LAL_NO_PORT, NO_RTP, NULL);
}

void lal_stop_rtp(struct http_exchange *x, void *arg)
{
    (void)arg;
    lal_say(x, 501, LAL_NO_SESSION, NO_RTP, NULL);
}
