/* What is known is answered from the cache. Who asks the same while it is under way waits: for that
 * answer, if it may be kept; else each is asked about alone, since a receiver may count them. All
 * gates that want the event are asked, one after the other. */
#include "node/hooks/gate_asking.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/control/events_json.h"
#include "node/hooks/gate_answer.h"
#include "node/hooks/hooks_private.h"
#include "node/node.h"
#include "node/stream/trace_id.h"

#define RETRY_MS 100
#define RETRY_JITTER 0.5
#define KEY_MAX_BYTES 65536u

struct asking {
    struct gate *gate;
    struct list waiters; /* struct gate_call */
    enum gate_action action;
    unsigned target, n_tried; /* who is asked now, and how often it was */
    struct http_call *call;
    struct timer retry;
    struct gate_answer answer; /* so far */
    uint64_t cache_s;          /* the shortest of those who answered */
    char *body;
    struct trace_id trace; /* of who asked first */
    const char *kept_as;   /* of the cache: what those who ask the same have in common */
    char key[];            /* of gate.asking */
};

static void ask_next(struct asking *a);
static void ask(struct asking *a);

enum event_id gate_event(enum gate_action action)
{
    static const enum event_id k_events[GATE_N_ACTIONS] = {
        [GATE_PUBLISH] = EVENT_PUBLISH,
        [GATE_PLAY] = EVENT_PLAY,
        [GATE_NOT_FOUND] = EVENT_STREAM_NOT_FOUND,
    };

    return k_events[action];
}

static struct hook_target *target_of(struct asking *a)
{
    return &a->gate->hooks->targets[a->target];
}

/* --- answers --- */

static void count_answer(const struct gate_answer *answer)
{
    static struct metric *const k_metrics[] = {
        [GATE_ALLOW] = &m_gate_allow,       [GATE_DENY] = &m_gate_deny,
        [GATE_REDIRECT] = &m_gate_redirect, [GATE_RENAME] = &m_gate_rename,
        [GATE_SOURCE] = &m_gate_source,
    };

    metric_add(k_metrics[answer->verdict], 1);
}

static void asking_free(struct asking *a)
{
    (void)map_remove(&a->gate->asking, a->key);
    timer_stop(&a->retry);
    http_call_cancel(&a->call);
    free(a->body);
    free(a);
}

static void give(struct gate *gate, struct gate_call *call, const struct gate_answer *answer)
{
    gate->n_waiting--;
    call->answer = *answer;
    count_answer(answer);
    gate_call_answered(call);
}

static void ask_alone(struct gate *gate, struct gate_call *call);

/* The first one is who the receivers were told of. Where nobody answers, nobody is asked again. */
static void give_all(struct asking *a)
{
    struct gate *gate = a->gate;
    bool is_for_all = a->cache_s || a->answer.is_policy;
    struct list others, *node;

    list_init(&others);
    for (bool is_first = true; (node = list_pop_front(&a->waiters)); is_first = false) {
        struct gate_call *call = list_entry(node, struct gate_call, node);

        if (!is_first && !is_for_all) {
            list_push_back(&others, node);
            continue;
        }
        metric_add(&m_gate_shared, !is_first);
        give(gate, call, &a->answer);
    }
    asking_free(a);
    while ((node = list_pop_front(&others)))
        ask_alone(gate, list_entry(node, struct gate_call, node));
}

/* Last statement of its callers: a is gone. */
static void finish(struct asking *a)
{
    if (a->cache_s && !a->answer.is_policy)
        gate_cache_put(&a->gate->cache, a->kept_as, &a->answer,
                       clock_mono_us() + (int64_t)a->cache_s * 1000000);
    give_all(a);
}

/* Of each option the first word counts. */
static struct publish_options both(const struct publish_options *first,
                                   const struct publish_options *then)
{
    struct publish_options o = *first;

    if (o.duplicate < 0)
        o.duplicate = then->duplicate;
    if (!o.ingress_bps)
        o.ingress_bps = then->ingress_bps;
    if (o.record == PUBLISH_RECORD_RULES)
        o.record = then->record;
    return o;
}

/* Of several answers that do not deny the first counts, but a later gate may still deny. */
static void take_answer(struct asking *a, const struct gate_answer *answer, uint64_t cache_s)
{
    struct publish_options options = both(&a->answer.options, &answer->options);

    if (cache_s < a->cache_s)
        a->cache_s = cache_s;
    if (answer->verdict == GATE_DENY) {
        if (!answer->is_policy)
            a->cache_s = cache_s;
        a->answer = *answer;
        finish(a);
        return;
    }
    if (a->answer.verdict == GATE_ALLOW)
        a->answer = *answer;
    a->answer.options = options;
    a->target++;
    ask_next(a);
}

/* --- when there is no answer --- */

static struct gate_answer policy(const struct hook_target *t)
{
    struct gate_answer answer = {
        .verdict = GATE_ALLOW, .is_policy = true, .options = PUBLISH_OPTIONS_NONE};

    if (t->item.fail == HOOK_FAIL_OPEN)
        return answer;
    answer.verdict = GATE_DENY;
    answer.status = 503;
    snprintf(answer.reason, sizeof answer.reason, "the gate does not answer");
    return answer;
}

static void use_policy(struct asking *a)
{
    struct gate_answer answer = policy(target_of(a));

    metric_add(&m_gate_policy, 1);
    take_answer(a, &answer, 0);
}

static void on_retry(struct timer *timer)
{
    ask(list_entry(timer, struct asking, retry));
}

static void try_again(struct asking *a)
{
    struct hook_target *t = target_of(a);

    if (++a->n_tried > t->item.retries) {
        metric_add(&t->metrics->failed, 1);
        use_policy(a);
        return;
    }
    timer_start_ms(&a->retry, jitter_ms(RETRY_MS * (int64_t)a->n_tried, RETRY_JITTER));
}

static void on_reply(void *arg, const struct http_reply *reply)
{
    struct asking *a = arg;
    struct hook_target *t = target_of(a);
    struct conf_error error;
    struct gate_answer answer;
    uint64_t cache_s;
    enum err e = E_INVAL;

    a->call = NULL;
    metric_add(&t->metrics->waiting, -1);
    if (reply->e != E_OK)
        (void)hook_reply_fault(reply, error.text);
    else
        e = gate_answer_read(a->action, reply->status, reply->body, &answer, &cache_s, &error);
    hook_target_note(t, reply, e == E_OK ? NULL : error.text);
    if (e != E_OK) {
        try_again(a);
        return;
    }
    metric_add(&t->metrics->sent, 1);
    take_answer(a, &answer, cache_s);
}
_Static_assert(sizeof((struct conf_error *)0)->text >= HOOK_ERROR_SIZE, "both are used for both");

/* --- asking --- */

static void ask(struct asking *a)
{
    struct hook_target *t = target_of(a);

    a->call = hook_target_post(t, "", a->body, &a->trace, on_reply, a);
    if (a->call)
        metric_add(&t->metrics->waiting, 1);
    else
        try_again(a);
}

static bool is_asked(const struct hook_target *t, enum gate_action action)
{
    return t->item.mode == HOOK_GATE && t->events & 1u << gate_event(action);
}

static void ask_next(struct asking *a)
{
    const struct hooks *hooks = a->gate->hooks;

    while (a->target < hooks->n_targets && !is_asked(&hooks->targets[a->target], a->action))
        a->target++;
    a->n_tried = 0;
    if (a->target == hooks->n_targets)
        finish(a);
    else
        ask(a);
}

/* {"v", "node", "instance", "question": {...}}: as an event, its id with a "q". */
static char *make_body(struct gate *gate, const struct gate_question *q,
                       const struct trace_id *trace)
{
    char trace_text[TRACE_TEXT_SIZE];
    const struct event_field fields[] = {
        {"stream", q->stream, 0},   {"query", q->query, 0},   {"protocol", q->protocol, 0},
        {"session", q->session, 0}, {"peer", q->peer, 0},     {"referrer", q->referrer, 0},
        {"agent", q->agent, 0},     {"trace", trace_text, 0},
    };
    const struct node *node = gate->hooks->node;
    struct event *event = malloc(sizeof *event + sizeof fields);
    char instance[24];
    json_t *json = NULL;
    char *text;

    trace_id_write(trace, trace_text);
    if (!event)
        return NULL;
    *event = (struct event){.id = gate_event(q->action),
                            .seq = ++gate->seq,
                            .wall_us = clock_wall_us(),
                            .n_fields = sizeof fields / sizeof fields[0]};
    memcpy(event->fields, fields, sizeof fields);
    json = event_json(node, event);
    free(event);
    (void)json_object_set_new(json, "id",
                              json_sprintf("%" PRIx64 "-q%" PRIu64, node->instance, gate->seq));
    snprintf(instance, sizeof instance, "%" PRIu64, node->instance);
    json = json_pack("{s:i, s:s, s:s, s:o}", "v", 1, "node", node->id, "instance", instance,
                     "question", json);
    text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

/* --- keys --- */

/* All that receivers are told, but for what is another for each connection: session and port. */
static enum err write_key(const struct gate_question *q, uint64_t number, size_t *number_bytes,
                          struct buf_writer *out)
{
    const char *const texts[] = {q->protocol, q->stream, q->referrer, q->agent, q->query};
    const char *port = strrchr(q->peer, ':');

    buf_printf(out, "%" PRIu64 " ", number);
    *number_bytes = out->used_bytes;
    buf_printf(out, "%d %.*s", q->action, port ? (int)(port - q->peer) : (int)strlen(q->peer),
               q->peer);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        buf_printf(out, " %zu:%s", strlen(texts[i]), texts[i]);
    buf_write_u8(out, 0);
    return buf_writer_status(out);
}

/* number 0: who asks the same may wait for it. */
static struct asking *asking_new(struct gate *gate, const struct gate_question *q, uint64_t number)
{
    struct asking *a = NULL;
    size_t number_bytes;
    struct buf_writer key;

    buf_writer_init(&key, KEY_MAX_BYTES);
    if (write_key(q, number, &number_bytes, &key) == E_OK)
        a = malloc(sizeof *a + key.used_bytes);
    if (a) {
        *a = (struct asking){.gate = gate, .action = q->action, .cache_s = UINT64_MAX};
        a->answer = (struct gate_answer){.verdict = GATE_ALLOW, .options = PUBLISH_OPTIONS_NONE};
        memcpy(a->key, key.data, key.used_bytes);
        a->kept_as = a->key + number_bytes;
        list_init(&a->waiters);
        timer_init(&a->retry, gate->hooks->node->control, on_retry);
    }
    buf_writer_fini(&key);
    return a;
}

/* --- calls --- */

/* What all gates say together that are not asked. */
static struct gate_answer policy_of_all(const struct gate *gate, enum gate_action action)
{
    struct gate_answer answer = {
        .verdict = GATE_ALLOW, .is_policy = true, .options = PUBLISH_OPTIONS_NONE};

    for (unsigned i = 0; i < gate->hooks->n_targets && answer.verdict == GATE_ALLOW; i++) {
        const struct hook_target *t = &gate->hooks->targets[i];

        if (!is_asked(t, action))
            continue;
        metric_add(&t->metrics->dropped, 1);
        answer = policy(t);
    }
    metric_add(&m_gate_policy, 1);
    return answer;
}

static void give_policy(struct gate *gate, struct gate_call *call)
{
    struct gate_answer answer = policy_of_all(gate, call->question.action);

    give(gate, call, &answer);
}

/* Takes a. */
static void begin(struct gate *gate, struct asking *a, struct gate_call *call)
{
    a->trace = trace_id_of(&call->question.trace, call->question.session);
    if (gate->asking.n_entries < GATE_MAX_ASKING)
        a->body = make_body(gate, &call->question, &a->trace);
    if (!a->body || map_set(&gate->asking, a->key, a) != E_OK) {
        free(a->body);
        free(a);
        give_policy(gate, call);
        return;
    }
    list_push_back(&a->waiters, &call->node);
    ask_next(a);
}

static void ask_alone(struct gate *gate, struct gate_call *call)
{
    struct asking *a = asking_new(gate, &call->question, ++gate->n_alone);

    if (a)
        begin(gate, a, call);
    else
        give_policy(gate, call);
}

void gate_call_begin(struct gate *gate, struct gate_call *call)
{
    bool has_room = gate->n_waiting++ < GATE_MAX_WAITING;
    struct asking *a = has_room ? asking_new(gate, &call->question, 0) : NULL, *same;
    struct gate_answer answer;

    if (!a) {
        give_policy(gate, call);
        return;
    }
    if (gate_cache_get(&gate->cache, a->kept_as, clock_mono_us(), &answer)) {
        metric_add(&m_gate_cached, 1);
        give(gate, call, &answer);
        free(a);
        return;
    }
    same = map_get(&gate->asking, a->key);
    if (!same) {
        begin(gate, a, call);
        return;
    }
    free(a);
    list_push_back(&same->waiters, &call->node);
}

/* --- life --- */

void gate_init(struct gate *gate, struct hooks *hooks)
{
    *gate = (struct gate){.hooks = hooks};
    map_init(&gate->asking);
    gate_cache_init(&gate->cache);
}

/* The loops are stopped: nobody waits any more. */
void gate_fini(struct gate *gate)
{
    struct map_cursor cursor = {0};
    const char *key;
    void *value;

    while (map_next(&gate->asking, &cursor, &key, &value)) {
        struct asking *a = value;
        struct list *node;

        while ((node = list_pop_front(&a->waiters)))
            gate_call_drop(list_entry(node, struct gate_call, node));
        asking_free(a);
    }
    map_fini(&gate->asking);
    gate_cache_fini(&gate->cache);
}
