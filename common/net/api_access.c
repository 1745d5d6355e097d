/* See api_access.h. */
#include "common/net/api_access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/log.h"
#include "common/net/api_guess.h"

#define SAY_US 1000000
#define MAX_HELD 64 /* wrong ones that wait for their answer, of all addresses */

struct held { /* x NULL = free */
    struct http_exchange *x;
    struct timer timer;
};

struct api_access {
    struct api_access_conf conf;
    struct http_guard guard;
    struct api_tokens tokens;
    struct api_guesses guesses;
    struct held held[MAX_HELD];
    uint64_t n_refused; /* wrong ones that could not wait */
    int64_t said_us;    /* when that was logged last; 0 = never */
};

/* --- wrong tokens --- */

static void say_wrong(struct http_exchange *x)
{
    http_add_header(x, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
    http_respond_problem(x, 401, "the token is not known here");
}

static void on_due(struct timer *timer)
{
    struct held *held = list_entry(timer, struct held, timer);
    struct http_exchange *x = held->x;

    held->x = NULL;
    http_set_pending(x, NULL, NULL);
    say_wrong(x);
}

static void on_gone(struct http_exchange *x, void *arg)
{
    struct held *held = arg;

    (void)x;
    held->x = NULL;
    timer_stop(&held->timer);
}

static struct held *free_place(struct api_access *a)
{
    for (unsigned i = 0; i < MAX_HELD; i++)
        if (!a->held[i].x)
            return &a->held[i];
    return NULL;
}

/* Of a flood one line a second. */
static void log_refused(struct api_access *a, const struct http_exchange *x)
{
    int64_t now_us = loop_now_us(a->conf.loop);

    a->n_refused++;
    if (a->said_us && now_us - a->said_us < SAY_US)
        return;
    log_warn(a->conf.area, "msg=\"too many wrong tokens\" peer=%s refused=%llu", http_peer(x),
             (unsigned long long)a->n_refused);
    a->said_us = now_us;
}

static void hold_back(struct api_access *a, struct http_exchange *x)
{
    struct held *held = free_place(a);
    int64_t delay_ms =
        held ? api_guess_wrong(&a->guesses, http_peer_addr(x), loop_now_us(a->conf.loop)) : -1;

    if (delay_ms < 0) {
        log_refused(a, x);
        http_add_header(x, "Retry-After", "30");
        http_respond_problem(x, 429, "too many wrong tokens");
        return;
    }
    log_warn(a->conf.area, "msg=\"wrong token\" peer=%s method=%s path=%s delay_ms=%lld",
             http_peer(x), LOG_STR(http_method(x)), LOG_STR(http_path(x)), (long long)delay_ms);
    held->x = x;
    http_set_pending(x, on_gone, held);
    timer_start_ms(&held->timer, delay_ms);
}

/* --- the decision --- */

static void ask_for_token(const struct api_access *a, struct http_exchange *x)
{
    log_info(a->conf.area, "msg=\"request refused\" peer=%s method=%s path=%s", http_peer(x),
             LOG_STR(http_method(x)), LOG_STR(http_path(x)));
    http_add_header(x, "WWW-Authenticate", "Bearer");
    http_respond_problem(x, 401,
                         "needs a token (Authorization: Bearer), or a request from this machine "
                         "with a loopback Host and no foreign Origin");
}

/* Who asks, and what that one may do. */
struct asker {
    char who[HTTP_WHO_SIZE]; /* "" = nobody who is known */
    enum api_scope scope;
};

/* RFC 6750, section 3.1. */
static void say_too_little(struct http_exchange *x, const struct asker *asker,
                           enum api_scope needed)
{
    char field[80];

    snprintf(field, sizeof field, "Bearer error=\"insufficient_scope\", scope=\"%s\"",
             k_api_scopes[needed]);
    http_add_header(x, "WWW-Authenticate", field);
    http_respond_problem(x, 403, "needs a token of scope %s; %s is of scope %s",
                         k_api_scopes[needed], asker->who,
                         asker->scope < API_NONE ? k_api_scopes[asker->scope] : "none");
}

static void count_refused(const struct api_access *a)
{
    if (a->conf.on_refused)
        a->conf.on_refused(a->conf.arg);
}

bool api_access_is_open(const struct api_access *access, const struct http_exchange *x)
{
    return access->conf.is_on_loopback && http_is_local(x);
}

/* The listener's rule first: a request that needs no token is not refused for a wrong one. */
static struct asker know(const struct api_access *a, const struct http_exchange *x)
{
    struct asker asker = {.scope = API_NONE};
    const char *bearer = http_bearer(x);
    const struct api_token *token;

    if (api_access_is_open(a, x))
        return (struct asker){"loopback", API_ADMIN};
    if (!bearer || !*bearer)
        return asker;
    token = api_tokens_find(&a->tokens, bearer);
    if (token) {
        snprintf(asker.who, sizeof asker.who, "%s", token->name);
        asker.scope = token->scope;
    } else if (a->conf.bears_node_token(x, a->conf.arg)) {
        asker = (struct asker){"node", API_ADMIN};
    }
    return asker;
}

static enum api_scope scope_of_name(const char *name)
{
    unsigned scope = API_ADMIN;

    while (scope < API_NONE && strcmp(k_api_scopes[scope], name) != 0)
        scope++;
    return (enum api_scope)scope;
}

/* It only takes rights away, so it does not matter who sends it. What cannot be read takes all. */
static void lower(struct asker *asker, const char *on_behalf)
{
    size_t size = strspn(on_behalf, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "-_.");
    bool is_said = size > 0 && size < sizeof asker->who && on_behalf[size] == ' ';
    enum api_scope scope = is_said ? scope_of_name(on_behalf + size + 1) : API_NONE;

    if (scope > asker->scope)
        asker->scope = scope;
    snprintf(asker->who, sizeof asker->who, "%.*s", scope == API_NONE ? 0 : (int)size, on_behalf);
}

static struct asker asker_of(const struct api_access *a, const struct http_exchange *x)
{
    const char *on_behalf = http_header(x, API_ON_BEHALF);
    struct asker asker = know(a, x);

    if (on_behalf && asker.scope != API_NONE)
        lower(&asker, on_behalf);
    return asker;
}

enum api_scope api_access_scope(const struct api_access *access, const struct http_exchange *x)
{
    return asker_of(access, x).scope;
}

static bool is_allowed(struct api_access *a, struct http_exchange *x, enum api_scope needed)
{
    const struct asker asker = asker_of(a, x);
    const char *bearer = http_bearer(x);

    if (*asker.who) {
        http_set_who(x, asker.who);
        if (asker.scope <= needed)
            return true;
        say_too_little(x, &asker, needed);
    } else if (!bearer || !*bearer) {
        ask_for_token(a, x);
    } else {
        hold_back(a, x);
    }
    return false;
}

static bool is_read(const struct http_exchange *x)
{
    return strcmp(http_method(x), "GET") == 0 || strcmp(http_method(x), "HEAD") == 0;
}

static bool is_change(const struct http_exchange *x, const struct http_route *route)
{
    return !is_read(x) || route->flags & API_CHANGES;
}

/* Fetch Metadata says so in every browser of today, of loopback addresses too; a program sends no
 * such field. A page that was opened by hand is "none". */
static bool is_of_other_site(struct http_exchange *x)
{
    const char *site = http_header(x, "sec-fetch-site");

    if (!site || !strcmp(site, "none") || !strcmp(site, "same-origin"))
        return false;
    http_respond_problem(x, 403, "pages of other sites may not change anything");
    return true;
}

/* The content type keeps foreign web pages out: a browser does not send it across sites unasked. */
static bool is_json(struct http_exchange *x)
{
    static const char k_json[] = "application/json";
    const char *type = http_header(x, "content-type");

    if (type && strncasecmp(type, k_json, sizeof k_json - 1) == 0 &&
        strchr("; \t", type[sizeof k_json - 1]))
        return true;
    http_respond_problem(x, 415, "changes need Content-Type: application/json");
    return false;
}

static bool admit(struct http_exchange *x, const struct http_route *route, void *arg)
{
    struct api_access *a = arg;
    enum api_scope needed = API_SCOPE_OF(route->flags);

    if (needed != API_NONE && !is_allowed(a, x, needed)) {
        count_refused(a);
        return false;
    }
    if (needed != API_NONE && !is_read(x) && !is_json(x))
        return false;
    if (route->flags & API_CHANGES && is_read(x) && is_of_other_site(x))
        return false;
    return !a->conf.check || a->conf.check(x, route, a->conf.arg);
}

static void on_answer(struct http_exchange *x, const struct http_route *route, unsigned status,
                      void *arg)
{
    (void)arg;
    if (API_SCOPE_OF(route->flags) == API_NONE || !is_change(x, route))
        return;
    log_info("audit", "who=%s peer=%s method=%s path=%s status=%u",
             *http_who(x) ? http_who(x) : "-", http_peer(x), http_method(x), LOG_STR(http_path(x)),
             status);
}

/* --- life --- */

struct api_access *api_access_create(const struct api_access_conf *conf)
{
    struct api_access *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->conf = *conf;
    a->guard = (struct http_guard){.admit = admit, .on_answer = on_answer, .arg = a};
    for (unsigned i = 0; i < MAX_HELD; i++)
        timer_init(&a->held[i].timer, conf->loop, on_due);
    return a;
}

void api_access_destroy(struct api_access **access)
{
    struct api_access *a = *access;

    *access = NULL;
    if (!a)
        return;
    for (unsigned i = 0; i < MAX_HELD; i++)
        timer_stop(&a->held[i].timer);
    api_tokens_fini(&a->tokens);
    free(a);
}

const struct http_guard *api_access_guard(const struct api_access *access)
{
    return &access->guard;
}

enum err api_access_read_tokens(struct api_access *access, const char *key, const char *path,
                                struct conf_error *error)
{
    return api_tokens_read(key, path, &access->tokens, error);
}
