/* livego's API: /control, /stat, and /streams of its FLV port. {"status", "data"}, the status being
 * that of the answer. All of it by GET, as its clients ask. */
#include <stdio.h>
#include <string.h>

#include "common/net/api_answer.h"
#include "node/compat/compat_private.h"
#include "node/compat/livego_json.h"
#include "node/compat/rooms.h"
#include "node/control/admin_private.h"
#include "node/node.h"

/* Takes data. */
static void say(struct http_exchange *x, unsigned status, json_t *data)
{
    api_respond_json(x, status,
                     data ? json_pack("{s:i, s:o}", "status", (int)status, "data", data) : NULL);
}

static void say_text(struct http_exchange *x, unsigned status, const char *text)
{
    json_t *data = json_string(text);

    say(x, status, data ? data : json_string("no UTF-8")); /* a refusal names what was said */
}

static const struct {
    enum err e;
    unsigned status;
} k_refusals[] = {
    {E_INVAL, 400}, {E_TOO_BIG, 413},     {E_NOT_FOUND, 404},
    {E_BUSY, 409},  {E_UNSUPPORTED, 501}, {E_LIMIT, 409},
};

static unsigned status_of(enum err e)
{
    for (size_t i = 0; i < sizeof k_refusals / sizeof k_refusals[0]; i++)
        if (k_refusals[i].e == e)
            return k_refusals[i].status;
    return 503;
}

static struct compat *compat_of(void *admin)
{
    return ((struct admin *)admin)->node->compat;
}

/* --- rooms --- */

static struct compat_ask *ask_room(struct http_exchange *x, void *admin)
{
    struct compat *c = compat_of(admin);
    const char *room = http_query_arg(x, "room"), *why = "";
    struct compat_ask *ask;

    if (!room || !*room) {
        say_text(x, 400, "url: /control/get?room=<ROOM_NAME>");
        return NULL;
    }
    ask = compat_ask_create(c, x);
    if (ask && compat_name(c->node, room, &ask->name, &why) != E_OK) {
        compat_ask_drop(ask);
        say_text(x, 400, why);
        return NULL;
    }
    return ask;
}

/* Takes ask. */
static void settle(struct compat_ask *ask, enum err e, const struct conf_error *error)
{
    if (e == E_OK) {
        compat_ask_wait(ask);
        return;
    }
    say_text(ask->x, status_of(e), error->text);
    compat_ask_drop(ask);
}

/* A GET, but nothing that a cache may keep. */
static void say_key(struct compat_ask *ask)
{
    http_add_header(ask->x, "Cache-Control", "no-store");
    say_text(ask->x, 200, ask->id);
}

static void on_room_kept(struct compat_ask *ask, enum err e, const char *why)
{
    if (e == E_OK)
        say_key(ask);
    else
        say_text(ask->x, 503, why);
}
_Static_assert(COMPAT_ID_SIZE >= ROOM_KEY_SIZE, "a key of a room is an id");

static void make_room(struct compat_ask *ask)
{
    struct conf_error error;
    enum err e;

    ask->kept = on_room_kept;
    e = rooms_make(ask->compat, &ask->name, ask->id, compat_ask_kept, ask, &error);
    settle(ask, e, &error);
}

static void get_room(struct http_exchange *x, void *arg)
{
    struct compat_ask *ask = ask_room(x, arg);

    if (!ask)
        return;
    if (!rooms_find(ask->compat, &ask->name, ask->id)) {
        make_room(ask);
        return;
    }
    say_key(ask);
    compat_ask_drop(ask);
}

static void reset_room(struct http_exchange *x, void *arg)
{
    struct compat_ask *ask = ask_room(x, arg);

    if (ask)
        make_room(ask);
}

static void on_room_gone(struct compat_ask *ask, enum err e, const char *why)
{
    if (e == E_OK)
        say_text(ask->x, 200, "Ok");
    else
        say_text(ask->x, 503, why);
}

static void delete_room(struct http_exchange *x, void *arg)
{
    struct compat_ask *ask = ask_room(x, arg);
    struct conf_error error;
    enum err e;

    if (!ask)
        return;
    ask->kept = on_room_gone;
    e = rooms_remove(ask->compat, &ask->name, compat_ask_kept, ask, &error);
    settle(ask, e, &error);
}

/* --- push, pull --- */

static void on_relay_kept(struct compat_ask *ask, enum err e, const char *why)
{
    if (e == E_OK)
        say_text(ask->x, 200, ask->id);
    else
        say_text(ask->x, 503, why);
}

/* app, name and url; NULL: answered. */
static struct compat_ask *ask_relay(struct http_exchange *x, void *admin, const char **url)
{
    const char *app = http_query_arg(x, "app"), *name = http_query_arg(x, "name"), *why = "";
    struct compat_ask *ask;
    char said[STREAM_NAME_SIZE + 1];

    *url = http_query_arg(x, "url");
    if (!app || !name || !*url ||
        snprintf(said, sizeof said, "%s/%s", app, name) >= (int)sizeof said) {
        say_text(x, 400, "needs oper=start|stop, app, name and url");
        return NULL;
    }
    ask = compat_ask_create(compat_of(admin), x);
    if (ask && compat_name(ask->compat->node, said, &ask->name, &why) != E_OK) {
        compat_ask_drop(ask);
        say_text(x, 400, why);
        return NULL;
    }
    return ask;
}

static bool is_stop(struct http_exchange *x)
{
    const char *oper = http_query_arg(x, "oper");

    return oper && !strcmp(oper, "stop");
}

/* The stream's name is the id: one of each a stream. */
static void stop_relay(struct compat_ask *ask, enum setting_kind kind)
{
    struct conf_error error;
    enum err e;

    ask->kept = on_relay_kept;
    snprintf(ask->id, sizeof ask->id, "%s stopped", ask->name.text);
    e = settings_remove(ask->compat->node->settings, kind, ask->name.text, compat_ask_kept, ask,
                        &error);
    settle(ask, e, &error);
}

/* Takes item; NULL: Jansson takes no URL that is not UTF-8. */
static void start_relay(struct compat_ask *ask, enum setting_kind kind, json_t *item)
{
    struct conf_error error = {.text = "url: no UTF-8"};
    enum err e = E_INVAL;

    ask->kept = on_relay_kept;
    snprintf(ask->id, sizeof ask->id, "%s starts", ask->name.text);
    if (item)
        e = settings_put(ask->compat->node->settings, kind, ask->name.text, item, compat_ask_kept,
                         ask, &error);
    json_decref(item);
    settle(ask, e, &error);
}

static void push(struct http_exchange *x, void *arg)
{
    const char *url;
    struct compat_ask *ask = ask_relay(x, arg, &url);

    if (ask && is_stop(x))
        stop_relay(ask, SETTING_PUSH);
    else if (ask)
        start_relay(ask, SETTING_PUSH,
                    json_pack("{s:s, s:s}", "stream", ask->name.text, "url", url));
}

static void pull(struct http_exchange *x, void *arg)
{
    const char *url;
    struct compat_ask *ask = ask_relay(x, arg, &url);

    if (ask && is_stop(x))
        stop_relay(ask, SETTING_PULL);
    else if (ask)
        start_relay(ask, SETTING_PULL,
                    json_pack("{s:s, s:[s], s:s, s:s}", "stream", ask->name.text, "urls", url,
                              "mode", "always", "node", ask->compat->node->id));
}

/* --- what is there --- */

static void collect(struct media_loop *ml, struct compat_ask *ask)
{
    compat_view_collect(&ask->view, ml, ask->said);
}

/* A room that nobody publishes is none. */
static bool is_live(const struct compat_view *view)
{
    for (size_t i = 0; i < view->n_streams; i++)
        if (view->streams[i].info.live)
            return true;
    return false;
}

static bool answer_stat(struct compat_ask *ask)
{
    char base[ADDR_TEXT_SIZE] = "";

    (void)addr_format(&ask->compat->node->bound[PROTOCOL_RTMP], base);
    if (*ask->said && !is_live(&ask->view))
        say_text(ask->x, 404, "room not found or inactive");
    else
        say(ask->x, 200, livego_stat_json(&ask->view, &ask->compat->rates, base));
    return false;
}

static void get_stat(struct http_exchange *x, void *arg)
{
    const char *room = http_query_arg(x, "room");
    struct compat_ask *ask = compat_ask_create(compat_of(arg), x);

    if (!ask)
        return;
    if (room && snprintf(ask->said, sizeof ask->said, "%s", room) >= (int)sizeof ask->said) {
        compat_ask_drop(ask);
        say_text(x, 404, "room not found or inactive");
        return;
    }
    compat_rates_want(&ask->compat->rates);
    ask->collect = collect;
    ask->answer = answer_stat;
    compat_ask_run(ask);
}

/* Without the envelope. */
static bool answer_streams(struct compat_ask *ask)
{
    admin_respond_json(ask->x, livego_streams_json(&ask->view));
    return false;
}

static void get_streams(struct http_exchange *x, void *arg)
{
    struct compat_ask *ask = compat_ask_create(compat_of(arg), x);

    if (!ask)
        return;
    ask->collect = collect;
    ask->answer = answer_streams;
    compat_ask_run(ask);
}

#define READ API_SCOPE(API_READ)
#define OPERATE (API_SCOPE(API_OPERATE) | API_CHANGES)
#define ADMIN (API_SCOPE(API_ADMIN) | API_CHANGES) /* as stream keys elsewhere */

/* clang-format off */
const struct http_route k_livego_routes[] = {
    {"GET", "/control/get",    get_room,    ADMIN},
    {"GET", "/control/reset",  reset_room,  ADMIN},
    {"GET", "/control/delete", delete_room, ADMIN},
    {"GET", "/control/push",   push,        OPERATE},
    {"GET", "/control/pull",   pull,        OPERATE},
    {"GET", "/stat/livestat",  get_stat,    READ},
    {"GET", "/streams",        get_streams, READ},
    {NULL,  NULL,              NULL,        0},
};
/* clang-format on */
