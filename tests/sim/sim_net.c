/* Connections. A pipe is shared by its two ends and by what is on its way; each keeps it alive. */
#include "tests/sim/sim_net.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RETRANSMIT_US 200000
#define MAX_RETRANSMIT_SHIFT 4

struct sim_end {
    struct pipe *pipe;
    struct sim_process *process; /* NULL: not accepted yet */
    const struct sim_end_ops *ops;
    void *arg;
    bool is_open;    /* the process still has it */
    bool is_set_up;  /* the handshake is over: what was written goes out */
    bool is_hard;    /* closed by a reset */
    bool wants_room; /* on_room() is due when parcels is empty */
    size_t unsent_bytes;
    struct list parcels; /* sent from here and not arrived, oldest first: TCP keeps their order */
    struct list node;    /* in process->ends */
};

struct pipe {
    unsigned refs; /* open ends, parcels, and whoever is about to accept */
    struct sim_host *hosts[2];
    struct sim_end ends[2]; /* 0 = who connected */
    unsigned port;
};

enum parcel_kind { PARCEL_CONNECT, PARCEL_CONNECTED, PARCEL_REFUSED, PARCEL_MESSAGE, PARCEL_CLOSE };
struct parcel {
    struct list node; /* in parcels of the end that sent it; the first one has an event */
    struct pipe *pipe;
    unsigned to; /* the end that it goes to */
    enum parcel_kind kind;
    int64_t sent_us, due_us;
    unsigned n_tries;
    size_t size;
    uint8_t bytes[];
};

struct sim_listening {
    struct list node; /* in process->listeners */
    struct sim_process *process;
    unsigned port;
    sim_accept *accept;
    void *arg;
    bool is_closed;
};

static struct {
    unsigned cuts[SIM_MAX_HOSTS][SIM_MAX_HOSTS];
    int64_t troubled_us[SIM_MAX_HOSTS][SIM_MAX_HOSTS];
    struct list listeners[SIM_MAX_HOSTS];
} g;

struct sim_weather sim_weather;
static const struct buf_view k_nothing;

/* --- the way from host to host --- */

void sim_net_cut(const struct sim_host *from, const struct sim_host *to)
{
    g.cuts[from->index][to->index]++;
}

void sim_net_mend(const struct sim_host *from, const struct sim_host *to)
{
    assert(g.cuts[from->index][to->index]);
    g.cuts[from->index][to->index]--;
}

bool sim_net_is_cut(const struct sim_host *from, const struct sim_host *to)
{
    return g.cuts[from->index][to->index] > 0;
}

int64_t sim_net_troubled_us(const struct sim_host *from, const struct sim_host *to)
{
    return g.troubled_us[from->index][to->index];
}

static int64_t latency_us(const struct sim_host *from, const struct sim_host *to)
{
    int64_t jitter_us = 0;

    if (from == to)
        return 30;
    if (sim_weather.jitter_us) /* a throw below a throw: long delays are rare */
        jitter_us = sim_between(0, sim_between(0, sim_weather.jitter_us));
    return sim_weather.latency_us + jitter_us;
}

/* --- pipes and parcels --- */

static void *need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static void pipe_unref(struct pipe *pipe)
{
    if (--pipe->refs == 0)
        free(pipe);
}

/* The process has no more to do with it. The pipe may be gone after this. */
static void end_shut(struct sim_end *end)
{
    end->is_open = false;
    list_remove(&end->node);
    pipe_unref(end->pipe);
}

static void end_open(struct sim_end *end, struct sim_process *process)
{
    end->process = process;
    end->is_open = true;
    end->pipe->refs++;
    list_push_back(&process->ends, &end->node);
}

static void parcel_free(void *arg)
{
    struct parcel *parcel = arg;

    list_remove(&parcel->node);
    pipe_unref(parcel->pipe);
    free(parcel);
}

static void parcel_arrive(void *arg);

static void parcel_go(struct parcel *parcel, int64_t at_us)
{
    sim_at(at_us, NULL, (struct sim_task){.run = parcel_arrive, .arg = parcel});
}

/* The first of what is left goes on its way, unless the handshake is still to come. */
static void send_next(struct sim_end *from)
{
    struct parcel *next;

    if (list_is_empty(&from->parcels))
        return;
    next = list_entry(from->parcels.next, struct parcel, node);
    if (from->is_set_up || next->kind == PARCEL_CONNECT)
        parcel_go(next, next->due_us);
}

static void dispatch(struct pipe *pipe, unsigned to, enum parcel_kind kind, struct buf_view bytes)
{
    struct sim_end *from = &pipe->ends[!to];
    struct parcel *parcel = need(calloc(1, sizeof *parcel + bytes.size_bytes));
    bool is_first = list_is_empty(&from->parcels);

    *parcel = (struct parcel){.pipe = pipe, .to = to, .kind = kind, .size = bytes.size_bytes};
    if (bytes.size_bytes)
        memcpy(parcel->bytes, bytes.data, bytes.size_bytes);
    from->unsent_bytes += bytes.size_bytes;
    parcel->sent_us = sim_now_us();
    parcel->due_us = sim_now_us() + latency_us(pipe->hosts[!to], pipe->hosts[to]);
    pipe->refs++;
    list_push_back(&from->parcels, &parcel->node);
    if (is_first)
        send_next(from);
}

/* True when it goes again. What was sent after it waits behind it. */
static bool is_lost(struct parcel *parcel)
{
    const struct sim_host *a = parcel->pipe->hosts[!parcel->to];
    const struct sim_host *b = parcel->pipe->hosts[parcel->to];
    unsigned shift =
        parcel->n_tries < MAX_RETRANSMIT_SHIFT ? parcel->n_tries : MAX_RETRANSMIT_SHIFT;
    int64_t wait_us = (int64_t)RETRANSMIT_US << shift;

    if (!sim_net_is_cut(a, b) && (a == b || !sim_chance(sim_weather.loss_permille)))
        return false;
    g.troubled_us[a->index][b->index] = sim_now_us();
    parcel->n_tries++;
    parcel_go(parcel, sim_now_us() + sim_between(wait_us / 2, wait_us));
    return true;
}

/* --- arrival --- */

static void deliver(void *arg)
{
    struct parcel *parcel = arg;
    struct sim_end *end = &parcel->pipe->ends[parcel->to];
    const struct sim_end_ops *ops = end->ops;
    void *owner = end->arg;

    if (!end->is_open) {
        ; /* the process has closed it meanwhile */
    } else if (parcel->kind == PARCEL_MESSAGE) {
        ops->on_bytes(owner, buf_view_of(parcel->bytes, parcel->size));
    } else if (parcel->kind == PARCEL_CONNECTED) {
        ops->on_open(owner, E_OK);
    } else {
        end_shut(end);
        if (parcel->kind == PARCEL_REFUSED)
            ops->on_open(owner, E_IO);
        else
            ops->on_closed(owner);
    }
    parcel_free(parcel);
}

/* One of those that listen, by chance: the kernel spreads connections over loops. */
static struct sim_listening *find_listening(const struct sim_host *host, unsigned port)
{
    struct sim_listening *found = NULL;
    struct list *node, *tmp;
    uint32_t n = 0;

    list_for_each_safe(node, tmp, &g.listeners[host->index]) {
        struct sim_listening *l = list_entry(node, struct sim_listening, node);

        if (l->port == port && sim_below(++n) == 0)
            found = l;
    }
    return found;
}

struct accepting {
    struct pipe *pipe;
    struct sim_listening *listening;
};

static void drop_accept(void *arg)
{
    struct accepting *a = arg;

    pipe_unref(a->pipe);
    free(a);
}

static void accept_end(void *arg)
{
    struct accepting *a = arg;
    struct sim_end *end = &a->pipe->ends[1];

    if (end->is_open && a->listening->is_closed)
        sim_close(&end);
    else if (end->is_open)
        a->listening->accept(a->listening->arg, end);
    drop_accept(a);
}

/* The kernel accepts, also for a frozen process. */
static void connect_arrives(struct pipe *pipe)
{
    struct sim_listening *listening = find_listening(pipe->hosts[1], pipe->port);
    struct accepting *a;

    pipe->ends[1].is_set_up = true; /* on its side */
    if (!listening) {
        dispatch(pipe, 0, PARCEL_REFUSED, k_nothing);
        return;
    }
    end_open(&pipe->ends[1], listening->process);
    dispatch(pipe, 0, PARCEL_CONNECTED, k_nothing);
    a = need(malloc(sizeof *a));
    *a = (struct accepting){pipe, listening};
    pipe->refs++;
    sim_run_on(listening->process, (struct sim_task){accept_end, drop_accept, a});
}

static void unref_end(void *arg)
{
    pipe_unref(((struct sim_end *)arg)->pipe);
}

static void tell_room(void *arg)
{
    struct sim_end *end = arg;

    if (end->is_open && end->wants_room && !end->unsent_bytes) {
        end->wants_room = false;
        end->ops->on_room(end->arg);
    }
    unref_end(end);
}

/* At the machine of who connected; the process hears of it in its own time. If it has given up
 * meanwhile, the other side is told now. */
static void set_up(struct sim_end *end)
{
    end->is_set_up = true;
    if (end->is_open)
        send_next(end);
    else
        dispatch(end->pipe, 1, PARCEL_CLOSE, k_nothing);
}

static void parcel_arrive(void *arg)
{
    struct parcel *parcel = arg;
    struct pipe *pipe = parcel->pipe;
    struct sim_end *from = &pipe->ends[!parcel->to], *end = &pipe->ends[parcel->to];
    bool is_given_up = parcel->kind == PARCEL_CONNECT && !from->is_open;

    if (!is_given_up && is_lost(parcel))
        return;
    list_remove(&parcel->node);
    from->unsent_bytes -= parcel->size;
    if (!list_is_empty(&from->parcels)) {
        send_next(from);
    } else if (from->wants_room && from->is_open) {
        pipe->refs++;
        sim_run_on(from->process, (struct sim_task){tell_room, unref_end, from});
    }
    if (parcel->kind == PARCEL_CONNECTED)
        set_up(end);
    if (parcel->kind == PARCEL_CONNECT && !is_given_up)
        connect_arrives(pipe);
    if (parcel->kind != PARCEL_CONNECT && end->process)
        sim_run_on(end->process, (struct sim_task){deliver, parcel_free, parcel});
    else
        parcel_free(parcel);
}

/* --- public --- */

struct sim_listening *sim_listen(struct sim_process *process, unsigned port, sim_accept *accept,
                                 void *arg)
{
    struct sim_listening *l = need(calloc(1, sizeof *l));

    *l = (struct sim_listening){.process = process, .port = port, .accept = accept, .arg = arg};
    list_push_back(&g.listeners[process->host->index], &l->node);
    return l;
}

/* It is not freed: a connection may be on its way to it, held by a frozen process. */
void sim_unlisten(struct sim_listening **listening)
{
    list_remove(&(*listening)->node);
    (*listening)->is_closed = true;
    *listening = NULL;
}

struct sim_end *sim_connect(struct sim_process *process, const struct sim_host *host, unsigned port,
                            const struct sim_end_ops *ops, void *arg)
{
    struct pipe *pipe = need(calloc(1, sizeof *pipe));

    pipe->port = port;
    pipe->hosts[0] = process->host;
    pipe->hosts[1] = sim_host(host->index);
    for (unsigned i = 0; i < 2; i++) {
        pipe->ends[i].pipe = pipe;
        list_init(&pipe->ends[i].node);
        list_init(&pipe->ends[i].parcels);
    }
    end_open(&pipe->ends[0], process);
    sim_end_own(&pipe->ends[0], ops, arg);
    dispatch(pipe, 1, PARCEL_CONNECT, k_nothing);
    return &pipe->ends[0];
}

void sim_end_own(struct sim_end *end, const struct sim_end_ops *ops, void *arg)
{
    end->ops = ops;
    end->arg = arg;
}

void sim_send(struct sim_end *end, struct buf_view bytes)
{
    assert(end->is_open);
    dispatch(end->pipe, end == end->pipe->ends, PARCEL_MESSAGE, bytes);
}

size_t sim_unsent_bytes(const struct sim_end *end)
{
    return end->unsent_bytes;
}

void sim_want_room(struct sim_end *end)
{
    end->wants_room = true;
}

/* Not connected yet, or closed by a reset: the kernel forgets what was written. The one on its way
 * has an event, which the close takes over. */
static void forget_parcels(struct sim_end *end)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &end->parcels) {
        struct parcel *parcel = list_entry(node, struct parcel, node);

        if (end->is_set_up && node == end->parcels.next)
            parcel->kind = PARCEL_CLOSE;
        else if (parcel->kind != PARCEL_CONNECT)
            parcel_free(parcel);
    }
}

void sim_reset_at_close(struct sim_end *end)
{
    end->is_hard = true;
}

void sim_close(struct sim_end **ref)
{
    struct sim_end *end = *ref;

    *ref = NULL;
    if (!end)
        return;
    if (end->is_hard || !end->is_set_up)
        forget_parcels(end);
    if (end->is_set_up)
        dispatch(end->pipe, end == end->pipe->ends, PARCEL_CLOSE, k_nothing);
    end_shut(end);
}

const struct sim_host *sim_peer(const struct sim_end *end)
{
    return end->pipe->hosts[end == end->pipe->ends];
}

int64_t sim_unsent_us(const struct sim_end *end)
{
    if (list_is_empty(&end->parcels))
        return 0;
    return sim_now_us() - list_entry(end->parcels.next, struct parcel, node)->sent_us;
}

void sim_net_process_died(struct sim_process *process)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &process->ends) {
        struct sim_end *end = list_entry(node, struct sim_end, node);

        sim_close(&end);
    }
    list_for_each_safe(node, tmp, &g.listeners[process->host->index]) {
        if (list_entry(node, struct sim_listening, node)->process == process)
            list_remove(node);
    }
}

void sim_net_begin(void)
{
    memset(&g, 0, sizeof g);
    sim_weather = (struct sim_weather){0};
    for (unsigned a = 0; a < SIM_MAX_HOSTS; a++) {
        list_init(&g.listeners[a]);
        for (unsigned b = 0; b < SIM_MAX_HOSTS; b++)
            g.troubled_us[a][b] = INT64_MIN;
    }
}
