/* See tick.h. The set is level-triggered, so what a member leaves unread is found by the next tick,
 * and a socket can change between this set and the poller's at any time without losing anything. */
#include "common/net/tick.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/net/conn.h"

#define FIRST_PLACES 64
/* Ticks of different loops are spread, not to send in one burst. */
#define LOOP_PHASES 10
#define LOOP_PHASE_US (CONN_TICK_MS * 1000 / LOOP_PHASES)

struct place {
    void (*run)(void *arg);
    void *arg;
    int fd;
    uint32_t n_used; /* how often the place was given away: tells an old event from a new one */
};

struct tick {
    struct loop *loop;
    struct timer timer; /* armed while there are members */
    int64_t length_us, phase_us;
    struct place *places;
    uint32_t *free_places; /* a stack */
    struct epoll_event *events;
    uint32_t n_places, n_free; /* members = n_places - n_free */
    int epoll_fd;
};

/* Ticks are at whole multiples of their length, so neither late turns nor work make them drift. */
static int64_t next_tick_us(const struct tick *tick)
{
    int64_t now_us = loop_now_us(tick->loop);

    return now_us - (now_us - tick->phase_us) % tick->length_us + tick->length_us;
}

/* One epoll_wait for all: the kernel gives each ready socket once. Callbacks may add and remove
 * members, so the arrays may move and an event may be out of date. */
static void on_tick(struct timer *timer)
{
    struct tick *tick = list_entry(timer, struct tick, timer);
    int n = epoll_wait(tick->epoll_fd, tick->events, (int)tick->n_places, 0);

    timer_start_at_us(&tick->timer, next_tick_us(tick));
    for (int i = 0; i < n; i++) {
        uint64_t key = tick->events[i].data.u64;
        const struct place *place = &tick->places[(uint32_t)key];

        if (place->run && place->n_used == (uint32_t)(key >> 32))
            place->run(place->arg);
    }
}

struct tick *tick_create(struct loop *loop, unsigned length_ms, unsigned phase_ms)
{
    struct tick *tick = calloc(1, sizeof *tick);

    if (!tick)
        return NULL;
    tick->loop = loop;
    tick->length_us = (int64_t)length_ms * 1000;
    tick->phase_us =
        (int64_t)phase_ms * 1000 + (int64_t)(loop_index(loop) % LOOP_PHASES) * LOOP_PHASE_US;
    timer_init(&tick->timer, loop, on_tick);
    tick->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (tick->epoll_fd < 0)
        tick_destroy(&tick);
    return tick;
}

void tick_destroy(struct tick **tick_ref)
{
    struct tick *tick = *tick_ref;

    *tick_ref = NULL;
    if (!tick)
        return;
    timer_stop(&tick->timer);
    if (tick->epoll_fd >= 0)
        close(tick->epoll_fd);
    free(tick->places);
    free(tick->free_places);
    free(tick->events);
    free(tick);
}

/* Doubles the arrays. False when out of memory, with nothing changed but some spare room. */
static bool grow(struct tick *tick)
{
    uint32_t n = tick->n_places ? tick->n_places * 2 : FIRST_PLACES;
    struct place *places = realloc(tick->places, n * sizeof *places);
    uint32_t *free_places = realloc(tick->free_places, n * sizeof *free_places);
    struct epoll_event *events = realloc(tick->events, n * sizeof *events);

    tick->places = places ? places : tick->places;
    tick->free_places = free_places ? free_places : tick->free_places;
    tick->events = events ? events : tick->events;
    if (!places || !free_places || !events)
        return false;
    for (uint32_t i = n; i-- > tick->n_places;) {
        places[i] = (struct place){.run = NULL};
        free_places[tick->n_free++] = i;
    }
    tick->n_places = n;
    return true;
}

uint32_t tick_add(struct tick *tick, int fd, void (*run)(void *arg), void *arg)
{
    struct epoll_event event = {.events = EPOLLIN}; /* an end and errors come anyway */
    struct place *place;
    uint32_t at;

    if (tick->n_free == 0 && !grow(tick))
        return TICK_NO_PLACE;
    at = tick->free_places[tick->n_free - 1];
    place = &tick->places[at];
    event.data.u64 = (uint64_t)(place->n_used + 1) << 32 | at;
    if (epoll_ctl(tick->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return TICK_NO_PLACE;
    tick->n_free--;
    *place = (struct place){run, arg, fd, place->n_used + 1};
    if (!timer_is_armed(&tick->timer))
        timer_start_at_us(&tick->timer, next_tick_us(tick));
    return at;
}

void tick_remove(struct tick *tick, uint32_t at)
{
    struct place *place = &tick->places[at];

    epoll_ctl(tick->epoll_fd, EPOLL_CTL_DEL, place->fd, NULL);
    place->run = NULL;
    tick->free_places[tick->n_free++] = at;
    if (tick->n_free == tick->n_places)
        timer_stop(&tick->timer);
}
