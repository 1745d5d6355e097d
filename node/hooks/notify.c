/* See notify.h. A receiver may be told an event twice (its answer was lost), never out of order. */
#include "node/hooks/notify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/hooks/target.h"
#include "node/node.h"

#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 15000
#define BACKOFF_JITTER 0.3

struct entry {
    struct list node;
    struct hook_text *text;
};

static void send_batch(struct notify *n);

void hook_text_unref(struct hook_text *text)
{
    if (--text->n_refs == 0)
        free(text);
}

/* --- the queue --- */

static struct entry *entry_at(struct list *node)
{
    return list_entry(node, struct entry, node);
}

static void show_waiting(const struct notify *n)
{
    metric_set(&n->target->metrics->waiting, (int64_t)n->n_waiting);
}

static void drop(struct notify *n, struct entry *entry)
{
    list_remove(&entry->node);
    n->n_waiting--;
    n->waiting_bytes -= entry->text->size_bytes;
    hook_text_unref(entry->text);
    free(entry);
}

static void pop(struct notify *n, size_t n_entries)
{
    while (n_entries--)
        drop(n, entry_at(n->waiting.next));
    show_waiting(n);
}

/* The oldest that is not under way; NULL when there is none. */
static struct entry *oldest_idle(struct notify *n)
{
    struct list *node = n->waiting.next;

    for (size_t i = 0; i < n->n_sending; i++)
        node = node->next;
    return node == &n->waiting ? NULL : entry_at(node);
}

static bool is_full(const struct notify *n, const struct hook_text *text)
{
    return n->n_waiting >= n->target->item.queue ||
           n->waiting_bytes + text->size_bytes > NOTIFY_MAX_BYTES;
}

static void make_room(struct notify *n, const struct hook_text *text)
{
    struct entry *oldest;

    while (is_full(n, text) && (oldest = oldest_idle(n))) {
        drop(n, oldest);
        metric_add(&n->target->metrics->dropped, 1);
    }
}

/* Those that were tried for long enough. */
static void drop_old(struct notify *n)
{
    int64_t before_us = clock_mono_us() - (int64_t)n->target->item.max_age_s * 1000000;
    size_t n_old = 0;
    struct list *node;

    for (node = n->waiting.next; node != &n->waiting; node = node->next, n_old++)
        if (entry_at(node)->text->told_us > before_us)
            break;
    pop(n, n_old);
    metric_add(&n->target->metrics->failed, (int64_t)n_old);
}

/* --- answers --- */

/* The receiver has looked at it and will not have it; the same again would stop the queue. */
static bool is_refusal(const struct http_reply *reply)
{
    static const unsigned k_refusals[] = {400, 410, 413, 422};

    for (size_t i = 0; i < sizeof k_refusals / sizeof k_refusals[0]; i++)
        if (reply->e == E_OK && reply->status == k_refusals[i])
            return true;
    return false;
}

static void back_off(struct notify *n)
{
    n->n_sending = 0;
    if (n->is_finishing) {
        n->has_given_up = true;
        return;
    }
    timer_start_ms(&n->retry, jitter_ms(n->backoff_ms, BACKOFF_JITTER));
    n->backoff_ms = n->backoff_ms * 2 < BACKOFF_MAX_MS ? n->backoff_ms * 2 : BACKOFF_MAX_MS;
}

static void on_reply(void *arg, const struct http_reply *reply)
{
    struct notify *n = arg;
    struct hook_metrics *m = n->target->metrics;
    char fault[HOOK_ERROR_SIZE];
    const char *why = hook_reply_fault(reply, fault);
    size_t n_sent = n->n_sending;

    n->call = NULL;
    hook_target_note(n->target, reply, why);
    if (why && !is_refusal(reply)) {
        back_off(n);
        return;
    }
    metric_add(why ? &m->failed : &m->sent, (int64_t)n_sent);
    n->n_sending = 0;
    pop(n, n_sent);
    n->backoff_ms = BACKOFF_MIN_MS;
    send_batch(n);
}

/* --- sending --- */

/* lal's bodies have nothing around them. */
static const char *write_one(struct notify *n, struct buf_writer *out)
{
    const struct hook_text *text = entry_at(n->waiting.next)->text;

    n->n_sending = 1;
    buf_write(out, text->text, text->size_bytes);
    buf_write_u8(out, 0);
    return text->name;
}

/* Writes what goes into one request; how many there are in n->n_sending. */
static void write_batch(struct notify *n, struct buf_writer *out)
{
    const struct node *node = n->target->node;
    struct list *at;

    buf_printf(out, "{\"v\":1,\"node\":\"%s\",\"instance\":\"%" PRIu64 "\",\"events\":[", node->id,
               node->instance);
    for (at = n->waiting.next; at != &n->waiting && n->n_sending < n->target->item.batch;
         at = at->next) {
        const struct hook_text *text = entry_at(at)->text;

        if (n->n_sending && out->used_bytes + text->size_bytes > NOTIFY_BATCH_MAX_BYTES)
            break;
        if (n->n_sending++)
            buf_write_u8(out, ',');
        buf_write(out, text->text, text->size_bytes);
    }
    buf_write(out, "]}", sizeof "]}");
}

/* That of all events of the request; zeros: they are of several, and each says its own. */
static struct trace_id trace_of_batch(const struct notify *n)
{
    struct list *at = n->waiting.next;
    struct trace_id trace = {0, 0};

    for (size_t i = 0; i < n->n_sending; i++, at = at->next) {
        const struct trace_id *one = &entry_at(at)->text->trace;

        if (i && (one->high != trace.high || one->low != trace.low))
            return (struct trace_id){0, 0};
        trace = *one;
    }
    return trace;
}

static void send_batch(struct notify *n)
{
    const char *name = "";
    struct trace_id trace;
    struct buf_writer out;

    if (n->call || timer_is_armed(&n->retry) || n->has_given_up)
        return;
    drop_old(n);
    if (!n->n_waiting)
        return;
    buf_writer_init(&out, SIZE_MAX);
    if (n->target->item.format == HOOK_LAL)
        name = write_one(n, &out);
    else
        write_batch(n, &out);
    trace = trace_of_batch(n);
    if (buf_writer_status(&out) == E_OK)
        n->call = hook_target_post(n->target, name, (const char *)out.data, &trace, on_reply, n);
    buf_writer_fini(&out);
    if (!n->call)
        back_off(n); /* out of memory */
}

static void on_retry(struct timer *timer)
{
    send_batch(list_entry(timer, struct notify, retry));
}

/* --- public --- */

void notify_init(struct notify *n, struct hook_target *target)
{
    *n = (struct notify){.target = target, .backoff_ms = BACKOFF_MIN_MS};
    list_init(&n->waiting);
    timer_init(&n->retry, target->node->control, on_retry);
}

void notify_fini(struct notify *n)
{
    timer_stop(&n->retry);
    http_call_cancel(&n->call);
    pop(n, n->n_waiting);
}

void notify_add(struct notify *n, struct hook_text *text)
{
    struct entry *entry = malloc(sizeof *entry);

    make_room(n, text);
    if (!entry || is_full(n, text)) {
        free(entry);
        metric_add(&n->target->metrics->dropped, 1);
        return;
    }
    text->n_refs++;
    *entry = (struct entry){.text = text};
    list_init(&entry->node);
    list_push_back(&n->waiting, &entry->node);
    n->n_waiting++;
    n->waiting_bytes += text->size_bytes;
    show_waiting(n);
    send_batch(n);
}

void notify_finish(struct notify *n)
{
    n->is_finishing = true;
    timer_stop(&n->retry);
    send_batch(n);
}

bool notify_is_busy(const struct notify *n)
{
    return n->n_waiting && !n->has_given_up;
}
