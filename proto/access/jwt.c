/* See jwt.h. */
#include <string.h>

#include "proto/access/digest.h"
#include "proto/access/jwt_private.h"

#define MAX_TIME_S 253402300799.0 /* the year 9999 */

struct parts {                                       /* of "header.claims.signature" */
    struct buf_view header, claims, signature, text; /* text: what is signed */
};

static bool split(const char *token, struct parts *out)
{
    const char *first = strchr(token, '.'), *second = first ? strchr(first + 1, '.') : NULL;
    size_t size = strlen(token);

    if (!second || strchr(second + 1, '.') || size > JWT_MAX_BYTES)
        return false;
    out->header = buf_view_of(token, (size_t)(first - token));
    out->claims = buf_view_of(first + 1, (size_t)(second - first) - 1);
    out->signature = buf_view_of(second + 1, size - (size_t)(second + 1 - token));
    out->text = buf_view_of(token, (size_t)(second - token));
    return true;
}

/* Returns an object, or NULL. */
static json_t *read_object(struct buf_view text)
{
    uint8_t bytes[JWT_MAX_BYTES];
    size_t n = 0;
    json_t *json;

    if (base64_read(text, bytes, sizeof bytes, &n) != E_OK)
        return NULL;
    json = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

/* --- the signature --- */

static bool is_signed(const struct jwt_keys *keys, const char *alg, const char *kid,
                      const struct parts *parts)
{
    uint8_t signature[JWT_MAX_BYTES];
    size_t n = 0;

    if (base64_read(parts->signature, signature, sizeof signature, &n) != E_OK || !n)
        return false;
    for (size_t i = 0; i < keys->n; i++) {
        const struct jwt_key *key = &keys->keys[i];

        if (strcmp(key->algorithm->name, alg) != 0 ||
            (kid && key->kid[0] && strcmp(kid, key->kid) != 0))
            continue;
        if (key->algorithm->verify(key, parts->text, buf_view_of(signature, n)))
            return true;
    }
    return false;
}

static enum err check_signature(const struct jwt_keys *keys, const struct parts *parts,
                                const char **why)
{
    json_t *header = read_object(parts->header);
    const char *alg = json_string_value(json_object_get(header, "alg"));
    const char *kid = json_string_value(json_object_get(header, "kid"));
    enum err e = E_DENIED;

    if (!header || !alg)
        *why = "the token is not one";
    else if (json_object_get(header, "crit")) /* RFC 7515, section 4.1.11: none is understood */
        *why = "the token has a header that must be understood (crit)";
    else if (!is_signed(keys, alg, kid, parts))
        *why = "the token is signed by nobody known";
    else
        e = E_OK;
    json_decref(header);
    return e;
}

/* --- claims --- */

static bool read_time(json_t *claims, const char *name, int64_t absent_s, int64_t *out)
{
    json_t *value = json_object_get(claims, name);
    double seconds = json_number_value(value);

    *out = absent_s;
    if (!value)
        return true;
    if (!json_is_number(value) || !(seconds >= 0) || seconds > MAX_TIME_S)
        return false;
    *out = (int64_t)seconds;
    return true;
}

/* A text, or a list of texts: calls each() with all of them. False: it is neither, or each() gave
 * false. */
static bool walk_texts(json_t *value, bool (*each)(void *arg, const char *text), void *arg)
{
    if (json_is_string(value))
        return each(arg, json_string_value(value));
    if (!json_is_array(value))
        return false;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *text = json_string_value(json_array_get(value, i));

        if (!text || !each(arg, text))
            return false;
    }
    return true;
}

static bool add_stream(void *arg, const char *text)
{
    struct jwt_claims *c = arg;

    return c->n_streams < JWT_MAX_STREAMS && text[0] &&
           buf_view_to_str(buf_view_str(text), c->streams[c->n_streams++], JWT_STREAM_SIZE);
}

/* What another server may have called it is not ours to judge. */
static bool add_action(void *arg, const char *text)
{
    struct jwt_claims *c = arg;

    if (!strcmp(text, "publish"))
        c->actions |= JWT_PUBLISH;
    if (!strcmp(text, "play"))
        c->actions |= JWT_PLAY;
    return true;
}

struct wanted {
    const char *text;
    bool found;
};

static bool look_for(void *arg, const char *text)
{
    struct wanted *wanted = arg;

    wanted->found |= !strcmp(wanted->text, text);
    return true;
}

static bool is_for(json_t *value, const char *text)
{
    struct wanted wanted = {text, false};

    return !text[0] || (walk_texts(value, look_for, &wanted) && wanted.found);
}

static const char *why_claims_fail(json_t *claims, const struct jwt_policy *policy,
                                   struct jwt_claims *out)
{
    const char *issuer = json_string_value(json_object_get(claims, "iss"));

    if (!read_time(claims, "exp", -1, &out->expires_s) || out->expires_s < 0)
        return "the token says no time at which it ends (exp)";
    if (!read_time(claims, "nbf", 0, &out->not_before_s))
        return "the token's nbf is no time";
    if (policy->issuer[0] && (!issuer || strcmp(issuer, policy->issuer) != 0))
        return "the token is of another issuer (iss)";
    if (!is_for(json_object_get(claims, "aud"), policy->audience))
        return "the token is for somebody else (aud)";
    if (!walk_texts(json_object_get(claims, "stream"), add_stream, out) || !out->n_streams)
        return "the token names no stream, or more than 8 (stream)";
    if (!walk_texts(json_object_get(claims, "actions"), add_action, out) || !out->actions)
        return "the token allows neither publish nor play (actions)";
    return NULL;
}

enum err jwt_verify(const struct jwt_keys *keys, const struct jwt_policy *policy, const char *token,
                    struct jwt_claims *out, const char **why)
{
    struct jwt_claims claims = {.n_streams = 0};
    struct parts parts;
    json_t *json;
    enum err e;

    *why = "the token is not one";
    if (!split(token, &parts))
        return E_DENIED;
    e = check_signature(keys, &parts, why);
    if (e != E_OK)
        return e;
    json = read_object(parts.claims);
    *why = json ? why_claims_fail(json, policy, &claims) : "the token's claims are no object";
    json_decref(json);
    if (*why)
        return E_DENIED;
    *out = claims;
    return E_OK;
}

/* "app/name" exactly; "app" and a star: all in that app; a star alone: all. */
static bool matches(const char *pattern, const char *stream)
{
    size_t size = strlen(pattern);

    if (!strcmp(pattern, "*") || !strcmp(pattern, stream))
        return true;
    return size > 2 && !strcmp(pattern + size - 2, "/*") && !strncmp(pattern, stream, size - 1) &&
           !strchr(stream + size - 1, '/');
}

enum err jwt_claims_check(const struct jwt_claims *claims, unsigned action, const char *stream,
                          int64_t now_s, const char **why)
{
    *why = "the token has expired";
    if (now_s >= claims->expires_s)
        return E_DENIED;
    *why = "the token does not hold yet";
    if (now_s < claims->not_before_s)
        return E_DENIED;
    *why = "the token is not for this action";
    if (!(claims->actions & action))
        return E_DENIED;
    for (unsigned i = 0; i < claims->n_streams; i++)
        if (matches(claims->streams[i], stream))
            return E_OK;
    *why = "the token is for another stream";
    return E_DENIED;
}
