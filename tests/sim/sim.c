/* Time, random numbers, processes. */
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_net.h"

struct event {
    int64_t at_us;
    uint64_t number; /* events of one moment run in the order they were made */
    struct sim_process *process;
    struct sim_task task;
};

static struct {
    int64_t now_us;
    uint64_t state[2]; /* xoroshiro128++ */
    struct event *heap;
    size_t n_events, room;
    uint64_t n_made;
    struct sim_host hosts[SIM_MAX_HOSTS];
    unsigned n_hosts;
    struct sim_process *current;
} g;

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "headwater-sim: out of memory\n");
        abort();
    }
    return memory;
}

/* --- random numbers: Blackman and Vigna's xoroshiro128++, seeded by splitmix64 --- */

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = *x += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

uint64_t sim_random(void)
{
    uint64_t a = g.state[0], b = g.state[1], out = rotate(a + b, 17) + a;

    b ^= a;
    g.state[0] = rotate(a, 49) ^ b ^ b << 21;
    g.state[1] = rotate(b, 28);
    return out;
}

uint32_t sim_below(uint32_t n)
{
    assert(n > 0);
    return (uint32_t)(sim_random() >> 32) % n;
}

bool sim_chance(unsigned permille)
{
    return sim_below(1000) < permille;
}

int64_t sim_between(int64_t low, int64_t high)
{
    assert(low <= high);
    return low + (int64_t)(sim_random() % (uint64_t)(high - low + 1));
}

/* --- events: a binary heap --- */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void push(const struct event *event)
{
    size_t at = g.n_events++;

    if (g.n_events > g.room) {
        g.room = g.room ? 2 * g.room : 1024;
        g.heap = need(realloc(g.heap, g.room * sizeof *g.heap));
    }
    while (at > 0 && is_before(event, &g.heap[(at - 1) / 2])) {
        g.heap[at] = g.heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    g.heap[at] = *event;
}

static struct event pop(void)
{
    struct event first = g.heap[0], last = g.heap[--g.n_events];
    size_t at = 0, child;

    while ((child = 2 * at + 1) < g.n_events) {
        if (child + 1 < g.n_events && is_before(&g.heap[child + 1], &g.heap[child]))
            child++;
        if (!is_before(&g.heap[child], &last))
            break;
        g.heap[at] = g.heap[child];
        at = child;
    }
    g.heap[at] = last;
    return first;
}

void sim_at(int64_t at_us, struct sim_process *process, struct sim_task task)
{
    struct event event = {at_us > g.now_us ? at_us : g.now_us, g.n_made++, process, task};

    push(&event);
}

static void drop(const struct sim_task *task)
{
    if (task->drop)
        task->drop(task->arg);
}

static void hold(struct sim_process *process, const struct sim_task *task)
{
    if (process->n_held == process->held_room) {
        process->held_room = process->held_room ? 2 * process->held_room : 16;
        process->held = need(realloc(process->held, process->held_room * sizeof *process->held));
    }
    process->held[process->n_held++] = *task;
}

void sim_run_on(struct sim_process *process, struct sim_task task)
{
    struct sim_process *before = g.current;

    if (process && process->dead) {
        drop(&task);
    } else if (process && process->frozen) {
        hold(process, &task);
    } else {
        g.current = process;
        task.run(task.arg);
        g.current = before;
    }
}

void sim_run_until(int64_t until_us)
{
    while (g.n_events && g.heap[0].at_us <= until_us && !sim_has_failed()) {
        struct event event = pop();

        g.now_us = event.at_us;
        sim_run_on(event.process, event.task);
    }
    if (!sim_has_failed() && g.now_us < until_us)
        g.now_us = until_us;
}

int64_t sim_now_us(void)
{
    return g.now_us;
}

/* --- hosts and processes --- */

struct sim_host *sim_host_add(const char *name)
{
    struct sim_host *host = &g.hosts[g.n_hosts];

    assert(g.n_hosts < SIM_MAX_HOSTS);
    *host = (struct sim_host){.index = g.n_hosts++};
    snprintf(host->name, sizeof host->name, "%s", name);
    snprintf(host->address, sizeof host->address, "10.0.0.%u", host->index + 1);
    return host;
}

unsigned sim_n_hosts(void)
{
    return g.n_hosts;
}

struct sim_host *sim_host(unsigned index)
{
    return &g.hosts[index];
}

struct sim_host *sim_host_by_address(const char *address, size_t size_bytes)
{
    for (unsigned i = 0; i < g.n_hosts; i++)
        if (strlen(g.hosts[i].address) == size_bytes &&
            memcmp(g.hosts[i].address, address, size_bytes) == 0)
            return &g.hosts[i];
    return NULL;
}

struct sim_process *sim_process_start(struct sim_host *host, const char *name)
{
    struct sim_process *process = need(calloc(1, sizeof *process));

    process->host = host;
    snprintf(process->name, sizeof process->name, "%s", name);
    list_init(&process->ends);
    return process;
}

static void drop_held(struct sim_process *process)
{
    for (size_t i = 0; i < process->n_held; i++)
        drop(&process->held[i]);
    process->n_held = 0;
}

void sim_process_kill(struct sim_process *process)
{
    process->dead = true;
    process->frozen = false;
    drop_held(process);
    sim_net_process_died(process);
}

void sim_process_freeze(struct sim_process *process)
{
    process->frozen = true;
}

void sim_process_thaw(struct sim_process *process)
{
    process->frozen = false;
    for (size_t i = 0; i < process->n_held; i++) /* before anything that comes now */
        sim_run_on(process, process->held[i]);
    process->n_held = 0;
}

struct sim_process *sim_current(void)
{
    return g.current;
}

struct sim_process *sim_enter(struct sim_process *process)
{
    struct sim_process *before = g.current;

    g.current = process;
    return before;
}

void sim_leave(struct sim_process *before)
{
    g.current = before;
}

void sim_begin(uint64_t seed)
{
    uint64_t x = seed;

    memset(&g, 0, sizeof g);
    g.state[0] = splitmix(&x);
    g.state[1] = splitmix(&x);
    sim_trail_begin(seed);
    sim_net_begin();
}
