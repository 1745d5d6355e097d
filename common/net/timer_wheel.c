/* See timer_wheel.h. */
#include "common/net/timer_wheel.h"

#define LIST_MASK (TIMER_WHEEL_LISTS - 1u)
#define MAX_SLOT ((UINT64_C(1) << (TIMER_WHEEL_LEVELS * TIMER_WHEEL_DIGIT_BITS)) - 1)

struct place {
    unsigned level, at;
};

/* Of a slot after now. It stays right while now moves up to the next occupied list: the digits
 * above the level are the same, and the one at the level is still larger than now's. */
static struct place place_of(const struct timer_wheel *w, uint64_t slot)
{
    unsigned high_bit = 63u - (unsigned)__builtin_clzll(slot ^ w->now_slot);
    unsigned level = high_bit / TIMER_WHEEL_DIGIT_BITS;

    return (struct place){level, (unsigned)(slot >> (level * TIMER_WHEEL_DIGIT_BITS)) & LIST_MASK};
}

static void insert(struct timer_wheel *w, struct wheel_entry *entry, struct list *if_due)
{
    struct place p;

    if (entry->due_slot <= w->now_slot) {
        list_push_back(if_due, &entry->node);
        return;
    }
    p = place_of(w, entry->due_slot);
    list_push_back(&w->lists[p.level][p.at], &entry->node);
    w->occupied[p.level] |= UINT64_C(1) << p.at;
}

/* Moves all of from to the end of to. */
static void splice(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    to->prev->next = from->next;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

void timer_wheel_init(struct timer_wheel *w, int64_t now_us)
{
    *w = (struct timer_wheel){.now_slot = (uint64_t)now_us / TIMER_WHEEL_SLOT_US};
    for (unsigned level = 0; level < TIMER_WHEEL_LEVELS; level++) {
        for (unsigned at = 0; at < TIMER_WHEEL_LISTS; at++)
            list_init(&w->lists[level][at]);
    }
    list_init(&w->soon);
    list_init(&w->ready);
}

void timer_wheel_fini(struct timer_wheel *w)
{
    splice(&w->ready, &w->soon);
    for (unsigned level = 0; level < TIMER_WHEEL_LEVELS; level++) {
        for (unsigned at = 0; at < TIMER_WHEEL_LISTS; at++)
            splice(&w->ready, &w->lists[level][at]);
        w->occupied[level] = 0;
    }
    while (list_pop_front(&w->ready))
        continue;
}

bool timer_wheel_is_armed(const struct wheel_entry *entry)
{
    return entry->node.next && !list_is_empty(&entry->node);
}

void timer_wheel_stop(struct timer_wheel *w, struct wheel_entry *entry)
{
    struct place p;

    if (!timer_wheel_is_armed(entry))
        return;
    list_remove(&entry->node);
    if (entry->due_slot <= w->now_slot) /* it was soon or ready */
        return;
    p = place_of(w, entry->due_slot);
    if (list_is_empty(&w->lists[p.level][p.at]))
        w->occupied[p.level] &= ~(UINT64_C(1) << p.at);
}

void timer_wheel_start(struct timer_wheel *w, struct wheel_entry *entry, int64_t due_us)
{
    uint64_t slot = due_us > 0 ? (uint64_t)due_us / TIMER_WHEEL_SLOT_US : 0;

    timer_wheel_stop(w, entry);
    slot += due_us > 0 && due_us % TIMER_WHEEL_SLOT_US != 0; /* up: never early */
    entry->due_slot = slot < MAX_SLOT ? slot : MAX_SLOT;
    insert(w, entry, &w->soon);
}

void timer_wheel_begin_turn(struct timer_wheel *w)
{
    splice(&w->ready, &w->soon);
}

/* The slot at which the next occupied list begins; false when there is none. */
static bool find_next(const struct timer_wheel *w, struct place *p, uint64_t *slot)
{
    unsigned level = 0, shift;

    while (level < TIMER_WHEEL_LEVELS && w->occupied[level] == 0)
        level++;
    if (level == TIMER_WHEEL_LEVELS)
        return false;
    *p = (struct place){level, (unsigned)__builtin_ctzll(w->occupied[level])};
    shift = level * TIMER_WHEEL_DIGIT_BITS;
    *slot = w->now_slot >> shift & ~(uint64_t)LIST_MASK; /* now's digits above the level */
    *slot = (*slot | p->at) << shift;
    return true;
}

int64_t timer_wheel_next_us(const struct timer_wheel *w)
{
    struct place p;
    uint64_t slot;

    if (!list_is_empty(&w->ready) || !list_is_empty(&w->soon))
        return 0;
    return find_next(w, &p, &slot) ? (int64_t)slot * TIMER_WHEEL_SLOT_US : INT64_MAX;
}

void timer_wheel_advance(struct timer_wheel *w, int64_t now_us)
{
    uint64_t now_slot = (uint64_t)now_us / TIMER_WHEEL_SLOT_US, slot;
    struct place p;

    while (find_next(w, &p, &slot) && slot <= now_slot) {
        struct list due, *node;

        list_init(&due);
        splice(&due, &w->lists[p.level][p.at]);
        w->occupied[p.level] &= ~(UINT64_C(1) << p.at);
        w->now_slot = slot;
        while ((node = list_pop_front(&due)) != NULL)
            insert(w, list_entry(node, struct wheel_entry, node), &w->ready);
    }
    if (now_slot > w->now_slot)
        w->now_slot = now_slot;
}

struct wheel_entry *timer_wheel_pop(struct timer_wheel *w)
{
    struct list *node = list_pop_front(&w->ready);

    return node ? list_entry(node, struct wheel_entry, node) : NULL;
}
