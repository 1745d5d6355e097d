/* lal's API: /api/stat, /api/ctrl. Its envelope says how a call went, {"error_code", "desp",
 * "data"}; its clients read that, and not the status, which stays 200 for what lal has a code for.
 */
#include "node/compat/lal.h"

#include <stdio.h>
#include <string.h>

#include "common/net/api_answer.h"
#include "node/compat/lal_json.h"

/* --- codes --- */

/* Its words for them; the others say why themselves. */
static const char *desp_of(enum lal_code code)
{
    switch (code) {
    case LAL_SUCC:
        return "succ";
    case LAL_NO_PAGE:
        return "page not found, check this document out: lal";
    case LAL_NO_GROUP:
        return "group not found";
    case LAL_NO_PARAM:
        return "param missing";
    case LAL_NO_SESSION:
        return "session not found";
    case LAL_NO_PULL:
    case LAL_NO_PORT:
        break;
    }
    return "";
}

void lal_say(struct http_exchange *x, unsigned status, enum lal_code code, const char *why,
             json_t *data)
{
    json_t *json =
        json_pack("{s:i, s:s}", "error_code", (int)code, "desp", why && *why ? why : desp_of(code));

    if (json)
        (void)json_object_set_new(json, "data", data ? data : json_null());
    else
        json_decref(data);
    api_respond_json(x, status, json);
}

void lal_refuse(struct http_exchange *x, enum lal_code code, const char *why)
{
    lal_say(x, 200, code, why, NULL);
}

/* --- /api/stat --- */

static void get_info(struct http_exchange *x, void *arg)
{
    const struct compat *c = lal_compat_of(arg);

    lal_say(x, 200, LAL_SUCC, NULL, lal_info_json(c->node->id, c->started_wall_us));
}

static void collect(struct media_loop *ml, struct compat_ask *ask)
{
    compat_view_collect(&ask->view, ml, ask->said);
}

/* Of several apps with a stream of that name it is the first. */
static bool answer_group(struct compat_ask *ask)
{
    const struct compat_view *v = &ask->view;
    const struct compat_session *sessions;
    size_t n;

    if (!v->n_streams) {
        lal_refuse(ask->x, LAL_NO_GROUP, NULL);
        return false;
    }
    sessions = compat_view_sessions(v, v->streams[0].info.name.text, &n);
    lal_say(ask->x, 200, LAL_SUCC, NULL,
            lal_group_json(&v->streams[0], sessions, n, &ask->compat->rates, clock_wall_us()));
    return false;
}

static bool answer_all(struct compat_ask *ask)
{
    json_t *data = json_pack("{s:o}", "groups",
                             lal_groups_json(&ask->view, &ask->compat->rates, clock_wall_us()));

    if (data && ask->view.is_cut)
        (void)json_object_set_new(data, "is_cut", json_true());
    lal_say(ask->x, 200, LAL_SUCC, NULL, data);
    return false;
}

const char *lal_read_stream(struct http_exchange *x, const char *said)
{
    if (said && *said && strlen(said) < STREAM_NAME_SIZE)
        return said;
    lal_refuse(x, LAL_NO_PARAM, said && *said ? "stream_name: too long" : NULL);
    return NULL;
}

struct compat_ask *lal_ask_about(struct compat *c, struct http_exchange *x, const char *said)
{
    struct compat_ask *ask = compat_ask_create(c, x);

    if (!ask)
        return NULL;
    snprintf(ask->said, sizeof ask->said, "%s", said);
    ask->collect = collect;
    return ask;
}

static void get_group(struct http_exchange *x, void *arg)
{
    const char *said = lal_read_stream(x, http_query_arg(x, "stream_name"));
    struct compat_ask *ask = said ? lal_ask_about(lal_compat_of(arg), x, said) : NULL;

    if (!ask)
        return;
    compat_rates_want(&ask->compat->rates);
    ask->answer = answer_group;
    compat_ask_run(ask);
}

static void get_all(struct http_exchange *x, void *arg)
{
    struct compat_ask *ask = lal_ask_about(lal_compat_of(arg), x, "");

    if (!ask)
        return;
    compat_rates_want(&ask->compat->rates);
    ask->answer = answer_all;
    compat_ask_run(ask);
}

/* --- other paths --- */

/* Of lal, whatever the method: its clients look for a code here, too. */
static void say_no_page(struct http_exchange *x, void *arg)
{
    (void)arg;
    for (const struct http_route *row = k_lal_routes; row->method; row++)
        if (!strcmp(row->pattern, http_path(x))) {
            http_add_header(x, "Allow", row->method);
            http_respond_problem(x, 405, "%s only", row->method);
            return;
        }
    lal_say(x, 404, LAL_NO_PAGE, NULL, NULL);
}

#define READ API_SCOPE(API_READ)
#define OPERATE API_SCOPE(API_OPERATE)

/* clang-format off */
const struct http_route k_lal_routes[] = {
    {"GET",  "/api/stat/lal_info",           get_info,          READ},
    {"GET",  "/api/stat/group",              get_group,         READ},
    {"GET",  "/api/stat/all_group",          get_all,           READ},
    {"POST", "/api/ctrl/start_relay_pull",   lal_start_pull,    OPERATE},
    {"GET",  "/api/ctrl/stop_relay_pull",    lal_stop_pull,     OPERATE | API_CHANGES},
    {"POST", "/api/ctrl/stop_relay_pull",    lal_stop_pull,     OPERATE},
    {"POST", "/api/ctrl/kick_session",       lal_kick,          OPERATE},
    {"POST", "/api/ctrl/start_rtp_pub",      lal_start_rtp,     OPERATE},
    {"POST", "/api/ctrl/stop_rtp_pub",       lal_stop_rtp,      OPERATE},
    {"GET",  "/api/ctrl/stop_rtp_pub",       lal_stop_rtp,      OPERATE | API_CHANGES},
    {"POST", "/api/ctrl/add_ip_blacklist",   lal_add_blacklist, OPERATE},
    {"GET",  "/api/stat/{path...}",          say_no_page,       READ},
    {"POST", "/api/stat/{path...}",          say_no_page,       READ},
    {"GET",  "/api/ctrl/{path...}",          say_no_page,       READ},
    {"POST", "/api/ctrl/{path...}",          say_no_page,       READ},
    {NULL,   NULL,                           NULL,              0},
};
/* clang-format on */
