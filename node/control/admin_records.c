/* /api/v1/records: what was recorded, and what is being recorded. Rules are settings. */
#include "node/control/admin_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/record/record.h"

/* False: answered. */
static bool has_record(const struct admin *admin, struct http_exchange *x)
{
    if (!admin->node->record)
        http_respond_problem(x, 404, "nothing is recorded on this node (record.dir)");
    return admin->node->record != NULL;
}

/* --- finished records --- */

struct asked { /* one request that waits for the disk */
    struct record_ask ask;
    struct admin *admin;
    struct http_exchange *x; /* NULL: the peer has left */
};

static void asked_free(struct loop_msg *msg)
{
    struct asked *asked = list_entry(msg, struct asked, ask.msg);

    free(asked->ask.found);
    free(asked);
}

static void on_gone(struct http_exchange *x, void *arg)
{
    (void)x;
    ((struct asked *)arg)->x = NULL;
}

static json_t *found_json(const struct record_found *found)
{
    json_t *json = record_entry_json(&found->entry);
    char path[STREAM_NAME_SIZE + RECORD_NAME_SIZE + 16], file[RECORD_NAME_SIZE];

    record_name_format(&found->entry.name, file);
    snprintf(path, sizeof path, "/records/%s/%s", found->stream.text, file);
    json_object_set_new(json, "stream", json_string(found->stream.text));
    json_object_set_new(json, "id", json_string(path + strlen("/records/")));
    json_object_set_new(json, "url", json_string(path));
    return json;
}

static void answer_page(const struct asked *asked)
{
    const struct record_ask *ask = &asked->ask;
    json_t *items = json_array(), *next = json_null();

    for (size_t i = 0; i < ask->n_found; i++)
        json_array_append_new(items, found_json(&ask->found[i]));
    if (ask->has_more)
        next = json_copy(json_object_get(json_array_get(items, ask->n_found - 1), "id"));
    admin_respond_json(asked->x, json_pack("{s:o, s:o}", "items", items, "next", next));
}

static void on_answered(struct record_ask *ask)
{
    struct asked *asked = list_entry(ask, struct asked, ask);

    if (!asked->x)
        ;
    else if (ask->result == E_NOT_FOUND)
        http_respond_problem(asked->x, 404, "no such record, or it is not finished");
    else if (ask->result != E_OK)
        http_respond_problem(asked->x, 503, "%s", err_text(ask->result));
    else if (ask->kind == RECORD_LIST)
        answer_page(asked);
    else if (ask->kind == RECORD_GET)
        admin_respond_json(asked->x, found_json(&ask->found[0]));
    else
        http_respond(asked->x, 204, NULL, buf_view_of(NULL, 0));
    asked_free(&ask->msg);
}

/* NULL: answered. */
static struct asked *make_asked(struct admin *admin, struct http_exchange *x,
                                enum record_ask_kind kind)
{
    struct asked *asked = calloc(1, sizeof *asked);

    if (!asked) {
        http_respond_problem(x, 503, "out of memory");
        return NULL;
    }
    asked->admin = admin;
    asked->x = x;
    asked->ask.kind = kind;
    asked->ask.loop = admin->node->control;
    asked->ask.msg.drop = asked_free;
    asked->ask.done = on_answered;
    return asked;
}

static void go(struct asked *asked)
{
    http_set_pending(asked->x, on_gone, asked);
    record_ask(asked->admin->node->record, &asked->ask);
}

/* stream, limit and after. False: answered. */
static bool read_query(struct asked *asked)
{
    struct http_exchange *x = asked->x;
    const char *stream = http_query_arg(x, "stream"), *after = http_query_arg(x, "after");
    char path[STREAM_NAME_SIZE + 1];
    struct listing page;
    const char *why = "";

    listing_init(&page, LISTING_KEY_SIZE);
    if (listing_set_page(&page, http_query_arg(x, "limit"), NULL, &why) != E_OK) {
        http_respond_problem(x, 400, "%s", why);
        return false;
    }
    asked->ask.limit = page.limit;
    snprintf(asked->ask.after, sizeof asked->ask.after, "%s", after ? after : "");
    if (!stream)
        return true;
    snprintf(path, sizeof path, "/%.*s", (int)sizeof path - 2, stream);
    if (stream_name_from_path(&asked->ask.of, buf_view_str(path), &why) != E_OK) {
        http_respond_problem(x, 400, "stream: %s", why);
        return false;
    }
    snprintf(asked->ask.stream, sizeof asked->ask.stream, "%s", asked->ask.of.text);
    return true;
}

void admin_list_records(struct http_exchange *x, void *arg)
{
    struct asked *asked;

    if (!has_record(arg, x) || !(asked = make_asked(arg, x, RECORD_LIST)))
        return;
    if (read_query(asked))
        go(asked);
    else
        asked_free(&asked->ask.msg);
}

static void ask_one(struct admin *admin, struct http_exchange *x, enum record_ask_kind kind)
{
    struct asked *asked = has_record(admin, x) ? make_asked(admin, x, kind) : NULL;
    const char *why;

    if (!asked)
        return;
    if (record_path_split(http_path_arg(x, "name"), &asked->ask.of, &asked->ask.name, &why) ==
        E_OK) {
        go(asked);
        return;
    }
    http_respond_problem(x, 404, "%s", why);
    asked_free(&asked->ask.msg);
}

void admin_get_record(struct http_exchange *x, void *arg)
{
    ask_one(arg, x, RECORD_GET);
}

void admin_remove_record(struct http_exchange *x, void *arg)
{
    ask_one(arg, x, RECORD_REMOVE);
}

/* --- what is being recorded --- */

struct status_item {
    char key[LISTING_KEY_SIZE];
    struct record_status status;
};

static void list_status(const struct record_status *status, void *arg)
{
    char key[LISTING_KEY_SIZE];
    struct status_item *item;

    snprintf(key, sizeof key, "%s %s", status->stream.text, k_record_formats[status->format]);
    item = listing_add(arg, key);
    if (!item)
        return;
    memcpy(item->key, key, sizeof item->key);
    item->status = *status;
}

static json_t *status_json(const struct record_status *s)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "stream", s->stream.text, "format",
                  k_record_formats[s->format], "state", k_record_states[s->state], "bytes",
                  (json_int_t)s->bytes, "duration_ms", (json_int_t)(s->duration_us / 1000), "files",
                  (json_int_t)s->n_files, "dropped_gops", (json_int_t)s->n_dropped_gops);

    json_object_set_new(json, "file", s->file[0] ? json_string(s->file) : json_null());
    json_object_set_new(json, "last_error", s->error[0] ? json_string(s->error) : json_null());
    return json;
}

static void collect_nothing(struct media_loop *ml, void *arg)
{
    (void)ml;
    (void)arg;
}

static void answer_running(struct admin_request *request)
{
    json_t *items = json_array();

    listing_finish(&request->listing);
    for (size_t i = 0; i < request->listing.n_items; i++) {
        const struct status_item *item = listing_at(&request->listing, i);

        json_array_append_new(items, status_json(&item->status));
    }
    admin_respond_page(request, items);
}

void admin_list_recorders(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;
    struct admin_request *request;

    if (!has_record(admin, x))
        return;
    request = admin_request_create(admin, x);
    if (!request)
        return;
    if (!admin_read_page(request, sizeof(struct status_item))) {
        admin_request_drop(request);
        return;
    }
    record_each_status(admin->node->record, list_status, &request->listing);
    request->collect = collect_nothing;
    request->answer = answer_running;
    admin_request_run(request);
}
