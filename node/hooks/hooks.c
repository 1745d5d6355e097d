/* Events to the targets that want them. */
#include "node/hooks/hooks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/compat/lal_notify.h"
#include "node/control/events_json.h"
#include "node/hooks/hooks_private.h"
#include "node/node.h"

/* --- an event --- */

/* Returns the text with one reference; NULL when out of memory. Takes json, which may be NULL. */
static struct hook_text *text_of(json_t *json, const char *name)
{
    size_t size = json ? json_dumpb(json, NULL, 0, JSON_COMPACT) : 0;
    struct hook_text *text = size ? malloc(sizeof *text + size) : NULL;

    if (text) {
        *text = (struct hook_text){
            .n_refs = 1, .told_us = clock_mono_us(), .size_bytes = size, .name = name};
        (void)trace_id_parse(json_string_value(json_object_get(json, "trace")), &text->trace);
        (void)json_dumpb(json, text->text, size, JSON_COMPACT);
    }
    json_decref(json);
    return text;
}

static bool is_told(const struct hook_target *t, enum event_id id, enum hook_format format)
{
    return t->item.mode == HOOK_NOTIFY && (int)format == t->item.format && t->events & 1u << id;
}

static bool is_any_told(const struct hooks *hooks, enum event_id id, enum hook_format format)
{
    for (unsigned i = 0; i < hooks->n_targets; i++)
        if (is_told(&hooks->targets[i], id, format))
            return true;
    return false;
}

/* Takes text; NULL: there was no memory for it. */
static void give(struct hooks *hooks, enum event_id id, enum hook_format format,
                 struct hook_text *text)
{
    for (unsigned i = 0; i < hooks->n_targets; i++) {
        struct hook_target *t = &hooks->targets[i];

        if (!is_told(t, id, format))
            continue;
        if (text)
            notify_add(&t->notify, text);
        else
            metric_add(&t->metrics->dropped, 1);
    }
    if (text)
        hook_text_unref(text);
}

/* --- in lal's words --- */

static void on_lal_update(void *arg, json_t *body)
{
    give(arg, EVENT_UPDATE, HOOK_LAL, text_of(json_incref(body), lal_event_name(EVENT_UPDATE)));
}

/* lal tells how it is as soon as it is there, and then once a period. */
static void give_lal(struct hooks *hooks, const struct event *event)
{
    struct compat *compat = hooks->node->compat;
    json_t *body = lal_notify_body(compat, event); /* also of what nobody is told: it counts */

    if (body && is_any_told(hooks, event->id, HOOK_LAL))
        give(hooks, event->id, HOOK_LAL, text_of(json_incref(body), lal_event_name(event->id)));
    json_decref(body);
    if ((event->id == EVENT_UPDATE || event->id == EVENT_SERVER_START) &&
        is_any_told(hooks, EVENT_UPDATE, HOOK_LAL))
        lal_notify_update(compat);
}

static void on_event(struct events_listener *listener, const struct event *event)
{
    struct hooks *hooks = list_entry(listener, struct hooks, listener);

    if (is_any_told(hooks, event->id, HOOK_HEADWATER))
        give(hooks, event->id, HOOK_HEADWATER, text_of(event_json(hooks->node, event), ""));
    if (hooks->has_lal)
        give_lal(hooks, event);
}

/* --- life --- */

static enum err make_targets(struct hooks *hooks, struct conf_error *error)
{
    const struct node_conf *conf = &hooks->node->conf;
    enum err e = E_OK;

    while (e == E_OK && hooks->n_targets < conf->hooks_targets.n_items) {
        struct hook_target *t = &hooks->targets[hooks->n_targets];
        struct hook_item item;

        e = hook_item_read(&conf->hooks_targets, hooks->n_targets, &item, error);
        if (e == E_OK)
            e = hook_target_init(t, hooks->node, hooks->n_targets, &item, error);
        if (e == E_OK) {
            hooks->has_lal |= t->item.format == HOOK_LAL;
            hooks->n_targets++;
        }
    }
    return e;
}

enum err hooks_init(struct node *node, struct conf_error *error)
{
    struct hooks *hooks = calloc(1, sizeof *hooks);
    uint32_t told = 0;
    enum err e;

    if (!hooks)
        return E_NOMEM;
    node->hooks = hooks;
    hooks->node = node;
    gate_init(&hooks->gate, hooks);
    update_init(&hooks->update, node);
    hooks->listener.on_event = on_event;
    e = make_targets(hooks, error);
    if (e != E_OK) {
        hooks_destroy(&node->hooks);
        return e;
    }
    for (unsigned i = 0; i < hooks->n_targets; i++)
        *(hooks->targets[i].item.mode == HOOK_GATE ? &hooks->gate_events : &told) |=
            hooks->targets[i].events;
    if (hooks->has_lal) {
        told |= k_lal_events; /* sessions are counted, whatever is told */
        lal_notify_listen(node->compat, on_lal_update, hooks);
    }
    events_listen(&node->events, &hooks->listener, told);
    return E_OK;
}

void hooks_finish(struct hooks *hooks)
{
    update_stop(&hooks->update);
    for (unsigned i = 0; i < hooks->n_targets; i++)
        notify_finish(&hooks->targets[i].notify);
}

bool hooks_is_busy(const struct hooks *hooks)
{
    for (unsigned i = 0; hooks && i < hooks->n_targets; i++)
        if (notify_is_busy(&hooks->targets[i].notify))
            return true;
    return false;
}

void hooks_destroy(struct hooks **ref)
{
    struct hooks *hooks = *ref;

    if (!hooks)
        return;
    *ref = NULL;
    update_stop(&hooks->update);
    if (hooks->listener.mask)
        events_listen(&hooks->node->events, &hooks->listener, 0);
    gate_fini(&hooks->gate);
    for (unsigned i = 0; i < hooks->n_targets; i++)
        hook_target_fini(&hooks->targets[i]);
    free(hooks);
}

void hooks_reload(struct hooks *hooks)
{
    struct conf_error error;

    update_plan(&hooks->update);
    for (unsigned i = 0; i < hooks->n_targets; i++)
        if (hook_target_read_secret(&hooks->targets[i], &error) != E_OK)
            log_error("hooks", "msg=\"the secret stays as it was\" reason=%s", LOG_STR(error.text));
}

/* --- state --- */

static json_int_t value_of(const struct metric *m)
{
    return (json_int_t)atomic_load_explicit(&m->value, memory_order_relaxed);
}

static json_t *names_json(uint32_t events)
{
    json_t *names = json_array();

    for (unsigned i = 0; i < N_EVENTS; i++)
        if (events & 1u << i)
            (void)json_array_append_new(names, json_string(k_event_names[i]));
    return names;
}

static json_t *age_json(int64_t wall_us)
{
    return wall_us ? json_integer((clock_wall_us() - wall_us) / 1000) : json_null();
}

static json_t *target_json(const struct hook_target *t)
{
    const struct hook_metrics *m = t->metrics;
    bool is_bad = t->last_error_wall_us > t->last_ok_wall_us;

    return json_pack(
        "{s:i, s:s, s:s, s:o, s:s, s:b, s:I, s:I, s:I, s:I, s:o, s:o, s:s}", "target", t->index,
        "url", t->shown, "mode", t->item.mode == HOOK_GATE ? "gate" : "notify", "events",
        names_json(t->events), "state",
        is_bad               ? "failing"
        : t->last_ok_wall_us ? "ok"
                             : "idle",
        "signed", t->secrets.sent[0] != '\0', "waiting", value_of(&m->waiting), "sent",
        value_of(&m->sent), "failed", value_of(&m->failed), "dropped", value_of(&m->dropped),
        "last_ok_ms_ago", age_json(t->last_ok_wall_us), "last_error_ms_ago",
        age_json(t->last_error_wall_us), "last_error", t->last_error);
}

json_t *hooks_json(const struct hooks *hooks)
{
    json_t *items = json_array();

    for (unsigned i = 0; hooks && i < hooks->n_targets; i++)
        (void)json_array_append_new(items, target_json(&hooks->targets[i]));
    return items;
}
