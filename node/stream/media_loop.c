/* Media loop: the order of one turn. Reading and muxing happened in the turn's events; then what is
 * due is published, taps of this and other loops are woken, and this loop's taps send. */
#include "node/stream/media_loop.h"

#include <limits.h>
#include <string.h>

#include "node/stream/feed.h"
#include "node/stream/stream_private.h"
#include "node/stream/tap.h"

#define HOUSEKEEPING_MS 100
#define SCRATCH_MAX_BYTES (1u << 25) /* above any message */
#define TRIM_US 5000000              /* longer than most GOPs, whose blocks are to stay */

static void kick_others(struct media_loop *ml)
{
    if (!ml->any_kick)
        return;
    ml->any_kick = false;
    for (unsigned i = 0; i < MEDIA_LOOPS_MAX; i++) {
        if (!ml->kick[i])
            continue;
        ml->kick[i] = false;
        loop_kick(registry_loop(ml->registry, i)->loop);
    }
}

void media_loop_wake_tap(struct media_loop *from, struct tap *tap)
{
    struct media_loop *to = tap->ml;
    struct tap *head;

    if (to != from) {
        from->kick[to->index] = true;
        from->any_kick = true;
    }
    if (atomic_exchange_explicit(&tap->dirty, 1, memory_order_acq_rel))
        return; /* on its way already; it will see what was published before this call */
    head = atomic_load_explicit(&to->dirty, memory_order_relaxed);
    do
        tap->dirty_next = head;
    while (!atomic_compare_exchange_weak_explicit(&to->dirty, &head, tap, memory_order_release,
                                                  memory_order_relaxed));
}

static void serve_dirty(struct media_loop *ml)
{
    struct tap *tap = atomic_exchange_explicit(&ml->dirty, NULL, memory_order_acquire);

    while (tap) {
        struct tap *next = tap->dirty_next;

        /* Cleared before the pages are looked at: a later publication wakes again. */
        atomic_exchange_explicit(&tap->dirty, 0, memory_order_acq_rel);
        if (tap->state == TAP_CLOSED)
            tap_abandon(tap);
        else
            tap_serve(tap);
        tap = next;
    }
}

/* Above so many publishers on the loop they are read once a tick. A wake-up each is 25 to 70 a
 * second and publisher; a tick adds up to CONN_TICK_MS of delay, so realtime does it only to
 * streams that nobody watches (stream_pace.c), and efficient, which flushes far less often, always.
 */
static const unsigned k_many_publishers[] = {
    [LATENCY_REALTIME] = UINT_MAX,
    [LATENCY_BALANCED] = 200,
    [LATENCY_EFFICIENT] = 0,
};

/* Falls back a quarter below the limit, so that one that comes and goes does not switch all. */
static void count_publishers(struct media_loop *ml)
{
    unsigned many = k_many_publishers[registry_conf(ml->registry)->latency];

    ml->many_publishers = ml->n_publishers > (ml->many_publishers ? many - many / 4 : many);
}

static void on_turn_end(struct loop_hook *hook)
{
    struct media_loop *ml = list_entry(hook, struct media_loop, hook);

    flush_turn(ml);
    kick_others(ml);
    serve_dirty(ml);
}

static void on_housekeeping(struct timer *timer)
{
    struct media_loop *ml = list_entry(timer, struct media_loop, housekeeping);
    int64_t now_us = loop_now_us(ml->loop);
    struct list *node, *tmp;

    timer_start_ms(&ml->housekeeping, HOUSEKEEPING_MS);
    count_publishers(ml);
    list_for_each_safe(node, tmp, &ml->all_taps)
        tap_housekeeping(list_entry(node, struct tap, all_node), now_us);
    list_for_each_safe(node, tmp, &ml->streams)
        stream_housekeeping(list_entry(node, struct stream, home_node), now_us);
    if (now_us - ml->trimmed_us >= TRIM_US) {
        ml->trimmed_us = now_us;
        pool_trim(ml->pool);
    }
}

enum err media_loop_init(struct media_loop *ml, struct loop *loop, struct registry *registry)
{
    memset(ml, 0, sizeof *ml);
    ml->pool = pool_create();
    if (!ml->pool)
        return E_NOMEM;
    ml->loop = loop;
    ml->index = loop_index(loop);
    ml->registry = registry;
    atomic_init(&ml->dirty, NULL);
    buf_writer_init(&ml->scratch, SCRATCH_MAX_BYTES);
    map_init(&ml->taps);
    list_init(&ml->all_taps);
    list_init(&ml->streams);
    list_init(&ml->sessions);
    list_init(&ml->walks);
    list_init(&ml->touched);
    ml->hook.run = on_turn_end;
    loop_hook_add(loop, &ml->hook);
    timer_init(&ml->housekeeping, loop, on_housekeeping);
    timer_start_ms(&ml->housekeeping, HOUSEKEEPING_MS);
    registry_add_loop(registry, ml);
    return E_OK;
}

void media_loop_fini(struct media_loop *ml)
{
    struct list *node;

    timer_stop(&ml->housekeeping);
    while ((node = list_pop_front(&ml->streams))) {
        struct stream *s = stream_at_home(node);

        stream_unref(&s);
    }
    loop_hook_remove(&ml->hook);
    map_fini(&ml->taps);
    buf_writer_fini(&ml->scratch);
    pool_release(&ml->pool); /* pages that taps of other loops hold outlive it */
}

void session_id_make(char id[SESSION_ID_SIZE], char prefix)
{
    uint64_t number = random_u64();

    *id++ = prefix; /* by hand: as much work as the rest of a session_info_init() otherwise */
    *id++ = '-';
    for (unsigned i = 0; i < SESSION_ID_SIZE - 4; i++, number >>= 4)
        *id++ = "0123456789abcdef"[number & 15];
    *id = '\0';
}

void session_info_init(struct session_info *info, struct media_loop *ml, char prefix,
                       const char *protocol, const char *peer)
{
    memset(info, 0, sizeof *info);
    if (prefix)
        session_id_make(info->id, prefix);
    info->protocol = protocol;
    info->kind = "idle";
    info->peer = peer;
    info->stream = "";
    info->since_us = loop_now_us(ml->loop);
    list_init(&info->node);
    list_push_back(&ml->sessions, &info->node);
    ml->n_sessions++;
}

void session_info_fini(struct session_info *info, struct media_loop *ml)
{
    if (list_is_empty(&info->node))
        return;
    media_loop_pass(ml, &info->node);
    list_remove(&info->node);
    ml->n_sessions--;
}

/* --- walks --- */

void media_walk_begin(struct media_walk *walk, struct media_loop *ml)
{
    walk->stream = ml->streams.next;
    walk->session = ml->sessions.next;
    list_push_back(&ml->walks, &walk->node);
}

void media_walk_end(struct media_walk *walk)
{
    if (walk->node.next)
        list_remove(&walk->node);
}

void media_loop_pass(struct media_loop *ml, const struct list *leaving)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &ml->walks) {
        struct media_walk *walk = list_entry(node, struct media_walk, node);

        if (walk->stream == leaving)
            walk->stream = leaving->next;
        if (walk->session == leaving)
            walk->session = leaving->next;
    }
}
