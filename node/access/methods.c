/* See methods.h. */
#include "node/access/methods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/net/addr_net.h"
#include "node/access/control.h"

#define KEY_BYTES 128
#define PASSWORD_KEPT_US 300000000
#define BAD_KEPT_US 10000000
#define FOREVER_US INT64_MAX /* a token's own time ends it */

enum try {
    TRY_ABSENT, /* no such credential was shown */
    TRY_GOOD,
    TRY_BAD,   /* *why */
    TRY_LATER, /* the question is held */
    TRY_FINAL  /* the answer is written */
};

static struct access *access_of(const struct access_question *q)
{
    return q->nl->node->access;
}

static int64_t now_s(void)
{
    return clock_wall_us() / 1000000;
}

/* --- signed URLs --- */

static bool read_arg(const struct access_question *q, const char *key, char *out, size_t size,
                     bool *is_bad)
{
    enum err e = access_query(q->request, key, out, size);

    if (e == E_OK)
        return true;
    out[0] = '\0';
    *is_bad |= e != E_NOT_FOUND;
    return false;
}

static bool is_from(const struct access_question *q, const char *net)
{
    struct addr_net parsed;

    return !net[0] ||
           (addr_net_parse(&parsed, net) == E_OK && addr_net_contains(&parsed, &q->request->addr));
}

static enum try try_sign(struct access_question *q, const char **why)
{
    struct sign_claim claim = {.action = k_access_actions[q->request->action],
                               .stream = q->request->name.text};
    bool is_bad = false;

    if (!read_arg(q, "hw_sign", claim.sign, sizeof claim.sign, &is_bad) && !is_bad)
        return TRY_ABSENT;
    (void)read_arg(q, "hw_expires", claim.expires, sizeof claim.expires, &is_bad);
    (void)read_arg(q, "hw_net", claim.net, sizeof claim.net, &is_bad);
    (void)read_arg(q, "hw_key", claim.key, sizeof claim.key, &is_bad);
    *why = "the signature is not that of this address";
    if (is_bad || sign_check(&access_of(q)->book->sign, &claim, now_s(), why) != E_OK)
        return TRY_BAD;
    *why = "the signed address is not for clients from here";
    return is_from(q, claim.net) ? TRY_GOOD : TRY_BAD;
}

/* --- lal_secret, stream keys --- */

static enum try try_lal(struct access_question *q, const char **why)
{
    char secret[KEY_BYTES];
    bool is_bad = false;

    if (!read_arg(q, "lal_secret", secret, sizeof secret, &is_bad) && !is_bad)
        return TRY_ABSENT;
    *why = "lal_secret is wrong";
    return lal_secret_is(secret, access_of(q)->book->lal_key, stream_name_part(&q->request->name))
               ? TRY_GOOD
               : TRY_BAD;
}

static enum try try_key(struct access_question *q, const char **why)
{
    char secret[KEY_BYTES];
    bool is_bad = false;

    if (!read_arg(q, "key", secret, sizeof secret, &is_bad) && !is_bad)
        return TRY_ABSENT;
    *why = "the stream key is wrong, has expired, or is not for this";
    return stream_keys_allow(access_of(q)->stream_keys, &q->request->name, q->request->action,
                             secret, now_s())
               ? TRY_GOOD
               : TRY_BAD;
}

/* --- what the worker does --- */

struct verify { /* one token or password */
    struct access_job job;
    struct access *access; /* outlives all loops */
    struct access_book *book;
    char key[ACCESS_CACHE_KEY_SIZE];
    char name[PASSWORD_NAME_SIZE]; /* of a user */
    char secret[];
};

static void verify_free(struct access_job *job)
{
    struct verify *v = list_entry(job, struct verify, job);

    access_book_unref(&v->book);
    explicit_bzero(v->secret, strlen(v->secret));
    free(v);
}

static void work_token(struct access_job *job)
{
    struct verify *v = list_entry(job, struct verify, job);
    struct jwt_policy policy = {v->book->issuer, v->book->audience};
    struct jwt_claims claims;
    const char *why = NULL;
    int64_t now_us = clock_mono_us();

    if (jwt_verify(v->book->jwt, &policy, v->secret, &claims, &why) == E_OK)
        access_cache_put(v->access->cache, v->key, FOREVER_US, &claims, NULL);
    else
        access_cache_put(v->access->cache, v->key, now_us + BAD_KEPT_US, NULL, why);
}

/* Who is not there takes as long as who is. */
static void work_password(struct access_job *job)
{
    static const struct password k_nobody = {.cost = PASSWORD_COST};
    struct verify *v = list_entry(job, struct verify, job);
    const struct password *right = password_find(v->book->users, v->name);
    bool is_right = password_is(right ? right : &k_nobody, v->secret) && right;
    int64_t now_us = clock_mono_us();

    if (is_right) {
        access_cache_put(v->access->cache, v->key, now_us + PASSWORD_KEPT_US, NULL, NULL);
        access_guess_forgive(&v->access->guesses, &access_held(job->pending)->request->addr);
        return;
    }
    access_cache_put(v->access->cache, v->key, now_us + BAD_KEPT_US, NULL,
                     "user or password is wrong");
}

static enum try busy(struct access_question *q)
{
    (void)access_deny(q, 503, "too many credentials are being verified");
    q->answer->denial.retry_after_s = 2;
    return TRY_FINAL;
}

/* name: NULL = it is a token. */
static enum try verify_later(struct access_question *q, const char *key, const char *name,
                             const char *secret)
{
    struct access *a = access_of(q);
    struct access_worker *worker = name ? a->passwords : a->tokens;
    struct verify *v = malloc(sizeof *v + strlen(secret) + 1);

    if (!v || !access_worker_reserve(worker)) {
        free(v);
        return busy(q);
    }
    *v = (struct verify){.access = a, .book = access_book_ref(a->book)};
    memcpy(v->key, key, sizeof v->key);
    snprintf(v->name, sizeof v->name, "%s", name ? name : "");
    memcpy(v->secret, secret, strlen(secret) + 1);
    list_init(&v->job.node);
    v->job.work = name ? work_password : work_token;
    v->job.free = verify_free;
    v->job.pending = access_hold(q);
    if (!v->job.pending) {
        access_worker_unreserve(worker);
        verify_free(&v->job);
        return busy(q);
    }
    access_worker_add(worker, &v->job);
    return TRY_LATER;
}

/* --- tokens --- */

static const char *bearer_of(const struct access_question *q)
{
    const char *text = q->request->authorization;

    return strncasecmp(text, "Bearer ", 7) == 0 ? text + 7 + strspn(text + 7, " ") : "";
}

static enum try check_claims(struct access_question *q, const struct jwt_claims *claims,
                             const char **why)
{
    unsigned action = q->request->action == ACCESS_PLAY ? JWT_PLAY : JWT_PUBLISH;

    return jwt_claims_check(claims, action, q->request->name.text, now_s(), why) == E_OK ? TRY_GOOD
                                                                                         : TRY_BAD;
}

static enum try try_token(struct access_question *q, const char *token, const char **why)
{
    struct access *a = access_of(q);
    char key[ACCESS_CACHE_KEY_SIZE];
    struct jwt_claims claims = {.n_streams = 0};

    if (!access_cache_key(a->cache, "jwt", a->book->number, token, key))
        return busy(q);
    switch (access_cache_get(a->cache, key, clock_mono_us(), &claims, why)) {
    case ACCESS_GOOD:
        return check_claims(q, &claims, why);
    case ACCESS_BAD:
        return TRY_BAD;
    case ACCESS_UNKNOWN:
        break;
    }
    return verify_later(q, key, NULL, token);
}

static enum try try_jwt(struct access_question *q, const char **why)
{
    char text[JWT_MAX_BYTES + 1];
    const char *token = bearer_of(q);
    bool is_bad = false;

    if (!token[0]) {
        if (read_arg(q, "token", text, sizeof text, &is_bad))
            token = text;
        else if (!is_bad)
            return TRY_ABSENT;
    }
    *why = "the token is too long, or no text";
    if (!token[0] || strlen(token) > JWT_MAX_BYTES)
        return TRY_BAD;
    return try_token(q, token, why);
}

/* --- users --- */

static enum try too_many(struct access_question *q, unsigned wait_s)
{
    (void)access_deny(q, 429, "too many wrong passwords from this address");
    q->answer->denial.retry_after_s = wait_s;
    return TRY_FINAL;
}

static enum try verify_user(struct access_question *q, const char *key, const char *name,
                            const char *password)
{
    struct access *a = access_of(q);
    int64_t now_us = clock_mono_us();
    unsigned wait_s = access_guess_wait_s(&a->guesses, &q->request->addr, now_us);
    enum try result;

    if (wait_s)
        return too_many(q, wait_s);
    access_guess_count(&a->guesses, &q->request->addr, now_us);
    result = verify_later(q, key, name, password);
    if (result != TRY_LATER) /* it was not looked at */
        access_guess_forgive(&a->guesses, &q->request->addr);
    return result;
}

static enum try try_user(struct access_question *q, const char **why)
{
    char name[PASSWORD_NAME_SIZE], password[PASSWORD_SIZE], both[sizeof name + sizeof password];
    struct access *a = access_of(q);
    char key[ACCESS_CACHE_KEY_SIZE];
    enum try result = TRY_BAD;

    if (strncasecmp(q->request->authorization, "Basic ", 6) != 0)
        return TRY_ABSENT;
    *why = "user or password is wrong";
    if (!basic_parse(q->request->authorization, name, password))
        return TRY_BAD;
    memcpy(both, name, strlen(name));
    both[strlen(name)] = ':'; /* not part of a name */
    memcpy(both + strlen(name) + 1, password, strlen(password) + 1);
    if (!access_cache_key(a->cache, "user", a->book->number, both, key))
        return busy(q);
    switch (access_cache_get(a->cache, key, clock_mono_us(), NULL, why)) {
    case ACCESS_GOOD:
        result = TRY_GOOD;
        break;
    case ACCESS_BAD:
        break;
    case ACCESS_UNKNOWN:
        result = verify_user(q, key, name, password);
        break;
    }
    explicit_bzero(both, sizeof both);
    explicit_bzero(password, sizeof password);
    return result;
}

/* --- the rules --- */

/* The cheap ones first. */
static const struct {
    enum access_method method;
    enum try (*try)(struct access_question *q, const char **why);
} k_tries[] = {
    {METHOD_SIGN, try_sign}, {METHOD_LAL, try_lal},   {METHOD_KEY, try_key},
    {METHOD_JWT, try_jwt},   {METHOD_USER, try_user},
};

/* 0 = closed. */
static unsigned methods_of(const struct node *node, enum access_action action,
                           const struct stream_name *name)
{
    bool is_open = action == ACCESS_PLAY ? node->conf.play_open : node->conf.publish_open;
    unsigned methods = is_open ? 1u << METHOD_OPEN : 0;

    if (node->access)
        (void)access_rules_find(&node->access->book->rules, action, name, &methods);
    return methods;
}

bool access_rules_are_personal(const struct node *node, enum access_action action,
                               const struct stream_name *name)
{
    return !(methods_of(node, action, name) & 1u << METHOD_OPEN);
}

/* None let it in. */
static enum access_verdict refuse(struct access_question *q, unsigned methods, const char *why)
{
    if (!why && methods & 1u << METHOD_HOOK) {
        q->needs_hook = true;
        return ACCESS_NEXT;
    }
    q->answer->denial.wants_password = methods & 1u << METHOD_USER;
    if (why && !q->answer->denial.wants_password)
        return access_deny(q, 403, "%s", why);
    return access_deny(q, 401, "%s", why ? why : "this stream needs credentials");
}

enum access_verdict access_check_rules(struct access_question *q)
{
    unsigned methods = methods_of(q->nl->node, q->request->action, &q->request->name);
    const char *why = NULL;

    if (methods & 1u << METHOD_OPEN)
        return ACCESS_NEXT;
    if (!methods)
        return access_deny(q, 403, "%s is closed on this server",
                           q->request->action == ACCESS_PLAY ? "playing" : "publishing");
    for (size_t i = 0; i < sizeof k_tries / sizeof k_tries[0]; i++) {
        const char *reason = NULL;

        if (!(methods & 1u << k_tries[i].method))
            continue;
        switch (k_tries[i].try(q, &reason)) {
        case TRY_GOOD:
            return ACCESS_NEXT;
        case TRY_LATER:
            return ACCESS_LATER;
        case TRY_FINAL:
            return ACCESS_FINAL;
        case TRY_BAD:
            why = why ? why : reason;
            break;
        case TRY_ABSENT:
            break;
        }
    }
    return refuse(q, methods, why);
}
