/* Strict: a key that is not known, or one that makes no sense beside the others, is a mistake of
 * the receiver, which would let in whom it means to keep out. */
#include "node/hooks/gate_answer.h"

#include <stdio.h>
#include <string.h>

#include "proto/cluster/cluster.h"
#include "proto/http/http.h"

#define MAX_CACHE_S 86400
#define MAX_BPS 1000000000000000

struct reply {
    bool allow;
    uint64_t status;
    char *reason;
    char *redirect, *rename, *source;
    int duplicate, record;
    uint64_t ingress_bps;
    uint64_t cache_s;
};

/* The first of each says nothing. */
static const char *const k_duplicates[] = {"configured", "refuse", "takeover", "standby", NULL};
static const char *const k_records[] = {"rules", "on", "off", NULL};

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_BOOL(struct reply, allow, "allow", "true", "false = it is denied", false),
    CONF_FIELD_UINT(struct reply, status, "status", "403", 400, 599, "", "HTTP status of a denial", false),
    CONF_FIELD_STRING(struct reply, reason, "reason", "", GATE_REASON_SIZE - 1, "Of a denial, for the client", false),
    CONF_FIELD_STRING(struct reply, redirect, "redirect", "", GATE_URL_SIZE - 1, "Where the client is to go instead", false),
    CONF_FIELD_STRING(struct reply, rename, "rename", "", STREAM_NAME_SIZE - 1, "app/name that it gets instead", false),
    CONF_FIELD_STRING(struct reply, source, "source", "", GATE_URL_SIZE - 1, "Where a stream that was not found is pulled from", false),
    CONF_FIELD_ENUM(struct reply, duplicate, "duplicate", "configured", k_duplicates, "In place of publish.duplicate", false),
    CONF_FIELD_UINT(struct reply, ingress_bps, "ingress_bps", "0", 0, MAX_BPS, "bit/s", "In place of limits.ingress_bps; 0 = as that says", false),
    CONF_FIELD_ENUM(struct reply, record, "record", "rules", k_records, "Whether it is recorded, in place of the rules", false),
    CONF_FIELD_UINT(struct reply, cache_s, "cache_s", "0", 0, MAX_CACHE_S, "s", "How long this answer may be kept", false),
};
/* clang-format on */

static const struct conf_schema k_schema = {
    "answer",
    k_fields,
    sizeof k_fields / sizeof k_fields[0],
    sizeof(struct reply),
};

static enum err refuse(struct conf_error *error, const char *why)
{
    snprintf(error->text, sizeof error->text, "answer: %s", why);
    return E_INVAL;
}

/* --- what is said besides yes and no --- */

static bool is_media_url(const char *text)
{
    static const char *const k_schemes[] = {"rtmp", "rtmps", "http", "https"};
    struct url url;

    if (url_parse(buf_view_str(text), &url) != E_OK || !url.host.size_bytes)
        return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f)
            return false; /* it may end in a header */
    for (size_t i = 0; i < sizeof k_schemes / sizeof k_schemes[0]; i++)
        if (buf_view_equals(url.scheme, k_schemes[i]))
            return true;
    return false;
}

static enum err use_url(const char *text, char *out, struct conf_error *error)
{
    if (!is_media_url(text))
        return refuse(error, "expected rtmp[s]://host/... or http[s]://host/...");
    snprintf(out, GATE_URL_SIZE, "%s", text);
    return E_OK;
}

static enum err use_redirect(const struct reply *reply, struct gate_answer *out,
                             struct conf_error *error)
{
    return use_url(reply->redirect, out->redirect_url, error);
}

static enum err use_source(const struct reply *reply, struct gate_answer *out,
                           struct conf_error *error)
{
    return use_url(reply->source, out->source_url, error);
}

static enum err use_rename(const struct reply *reply, struct gate_answer *out,
                           struct conf_error *error)
{
    char path[STREAM_NAME_SIZE + 1];
    const char *why;

    snprintf(path, sizeof path, "/%s", reply->rename);
    if (stream_name_from_path(&out->name, buf_view_str(path), &why) != E_OK)
        return refuse(error, "rename: expected app/name");
    return E_OK;
}

#define BIT(n) (1u << (n))

static const struct {
    size_t member;
    enum gate_verdict verdict;
    unsigned actions; /* where it makes sense */
    enum err (*use)(const struct reply *reply, struct gate_answer *out, struct conf_error *error);
} k_instead[] = {
    {offsetof(struct reply, redirect), GATE_REDIRECT, BIT(GATE_PUBLISH) | BIT(GATE_PLAY),
     use_redirect},
    {offsetof(struct reply, rename), GATE_RENAME, BIT(GATE_PUBLISH) | BIT(GATE_PLAY), use_rename},
    {offsetof(struct reply, source), GATE_SOURCE, BIT(GATE_NOT_FOUND), use_source},
};

static enum err use_options(enum gate_action action, const struct reply *reply,
                            struct gate_answer *out, struct conf_error *error)
{
    bool is_publish = action == GATE_PUBLISH && reply->allow && out->verdict != GATE_REDIRECT;

    if (!is_publish && (reply->duplicate || reply->ingress_bps || reply->record))
        return refuse(error,
                      "duplicate, ingress_bps and record are for publishers that are let in");
    out->options = (struct publish_options){.duplicate = reply->duplicate - 1,
                                            .ingress_bps = reply->ingress_bps,
                                            .record = (enum publish_record)reply->record};
    return E_OK;
}

static enum err use_reply(enum gate_action action, const struct reply *reply,
                          struct gate_answer *out, struct conf_error *error)
{
    enum err e = E_OK;

    for (size_t i = 0; i < sizeof k_instead / sizeof k_instead[0] && e == E_OK; i++) {
        const char *text =
            *(char *const *)(const void *)((const char *)reply + k_instead[i].member);

        if (!*text)
            continue;
        if (!reply->allow || out->verdict != GATE_ALLOW)
            return refuse(error, "only one of redirect, rename and source, and none when denied");
        if (!(k_instead[i].actions & BIT(action)))
            return refuse(error, "source is for on_stream_not_found, redirect and rename are not");
        out->verdict = k_instead[i].verdict;
        e = k_instead[i].use(reply, out, error);
    }
    if (e == E_OK)
        e = use_options(action, reply, out, error);
    if (reply->allow || e != E_OK)
        return e;
    out->verdict = GATE_DENY;
    out->status = (unsigned)reply->status;
    snprintf(out->reason, sizeof out->reason, "%s", *reply->reason ? reply->reason : "denied");
    return E_OK;
}

_Static_assert((int)PUBLISH_RECORD_ON == 1 && (int)PUBLISH_RECORD_OFF == 2, "as in k_records");
_Static_assert(CLUSTER_DUPLICATE_REFUSE == 0 && CLUSTER_DUPLICATE_TAKEOVER == 1 &&
                   CLUSTER_DUPLICATE_STANDBY == 2,
               "as in k_duplicates, which begins one before");

/* --- the whole --- */

static enum err read_reply(enum gate_action action, struct buf_view body, struct gate_answer *out,
                           uint64_t *cache_s, struct conf_error *error)
{
    json_t *json =
        json_loadb((const char *)body.data, body.size_bytes, JSON_REJECT_DUPLICATES, NULL);
    struct reply reply = {0};
    enum err e;

    if (!json)
        return refuse(error, "not JSON");
    e = conf_item_from_json(&k_schema, "answer", json, &reply, error);
    json_decref(json);
    if (e != E_OK)
        return e;
    e = use_reply(action, &reply, out, error);
    *cache_s = reply.cache_s;
    conf_free(&k_schema, &reply);
    return e;
}

/* A denial by status may say more; what cannot be read does not undo it. */
static void read_denial(enum gate_action action, unsigned status, struct buf_view body,
                        struct gate_answer *out, uint64_t *cache_s)
{
    struct gate_answer said = {.verdict = GATE_ALLOW, .options = PUBLISH_OPTIONS_NONE};
    struct conf_error error;
    uint64_t s = 0;

    *cache_s = 0;
    *out = (struct gate_answer){.verdict = GATE_DENY,
                                .status = status,
                                .reason = "denied",
                                .options = PUBLISH_OPTIONS_NONE};
    if (!body.size_bytes || read_reply(action, body, &said, &s, &error) != E_OK)
        return;
    *cache_s = s;
    if (said.verdict == GATE_DENY)
        memcpy(out->reason, said.reason, sizeof out->reason);
}

enum err gate_answer_read(enum gate_action action, unsigned status, struct buf_view body,
                          struct gate_answer *out, uint64_t *cache_s, struct conf_error *error)
{
    struct gate_answer answer = {.verdict = GATE_ALLOW, .options = PUBLISH_OPTIONS_NONE};
    uint64_t s = 0;
    enum err e = E_OK;

    if (status == 401 || status == 403 || status == 404) {
        read_denial(action, status, body, out, cache_s);
        return E_OK;
    }
    if (status < 200 || status > 299) {
        snprintf(error->text, sizeof error->text, "answered with status %u", status);
        return E_INVAL;
    }
    if (body.size_bytes)
        e = read_reply(action, body, &answer, &s, error);
    if (e != E_OK)
        return e;
    *out = answer;
    *cache_s = s;
    return E_OK;
}
