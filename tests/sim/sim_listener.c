/* Stands in for common/net/listener.c. */
#include "common/net/listener.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/net/conn.h"
#include "tests/sim/sim_conn.h"
#include "tests/sim/sim_loop.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_wrap.h"

#define FIRST_FD (1 << 20)
#define MAX_FDS 64 /* between accept and conn_create(): one at a time, as a rule */

static struct sim_end *ends[MAX_FDS];

static int give_fd(struct sim_end *end)
{
    for (int i = 0; i < MAX_FDS; i++) {
        if (ends[i])
            continue;
        ends[i] = end;
        return FIRST_FD + i;
    }
    abort();
}

struct sim_end *sim_fd_take(int fd)
{
    struct sim_end *end = ends[fd - FIRST_FD];

    assert(end);
    ends[fd - FIRST_FD] = NULL;
    return end;
}

int __wrap_close(int fd)
{
    struct sim_end *end;

    if (fd < FIRST_FD)
        return __real_close(fd);
    end = sim_fd_take(fd);
    sim_close(&end);
    return 0;
}

struct listener {
    struct loop *loop;
    struct sim_listening *listening;
    void (*on_accept)(void *arg, int fd, const struct addr *peer);
    void *arg;
};

static void on_accept(void *arg, struct sim_end *end)
{
    struct listener *l = arg;
    struct addr peer;
    char text[ADDR_TEXT_SIZE];

    snprintf(text, sizeof text, "%s:%u", sim_peer(end)->address, 10000 + sim_below(50000));
    if (addr_parse(&peer, text) != E_OK)
        abort();
    l->on_accept(l->arg, give_fd(end), &peer);
    loop_kick(l->loop);
}

enum err listen_resolve(const char *what, const char *text, struct addr *out,
                        struct listen_error *error)
{
    (void)what, (void)error;
    return addr_parse(out, text);
}

enum err listen_reserve(const char *what, const char *text, struct addr *bound, int *hold_fd,
                        struct listen_error *error)
{
    (void)what, (void)error;
    *hold_fd = -1;
    return addr_parse(bound, text);
}

struct listener *listener_open(struct loop *loop, const struct addr *bound,
                               void (*accept)(void *arg, int fd, const struct addr *peer),
                               void *arg, struct listen_error *error)
{
    struct listener *l = calloc(1, sizeof *l);

    (void)error;
    if (!l)
        abort();
    *l = (struct listener){.loop = loop, .on_accept = accept, .arg = arg};
    l->listening = sim_listen(sim_loop_process(loop), addr_port(bound), on_accept, l);
    return l;
}

struct listener *listener_adopt(struct loop *loop, const int *fds, unsigned n_fds,
                                void (*accept)(void *arg, int fd, const struct addr *peer),
                                void *arg, struct listen_error *error)
{
    (void)loop, (void)fds, (void)n_fds, (void)accept, (void)arg, (void)error;
    abort(); /* nobody hands sockets over here */
}

unsigned listener_fds(const struct listener *l, int *out, unsigned max)
{
    (void)l, (void)out, (void)max;
    return 0;
}

void listener_set_proxies(struct listener *l, const struct trust *trust)
{
    (void)l, (void)trust; /* nobody comes through a proxy here */
}

void listener_close(struct listener **l)
{
    if (*l)
        sim_unlisten(&(*l)->listening);
    *l = NULL; /* a connection may be on its way to it */
}

long net_raise_nofile(void)
{
    return 100000;
}
