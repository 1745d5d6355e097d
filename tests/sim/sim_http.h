/* What the checks see of HTTP calls between daemons: sim_http_link.c tells them. */
#ifndef HW_TESTS_SIM_SIM_HTTP_H
#define HW_TESTS_SIM_SIM_HTTP_H

#include "common/base/buf.h"
#include "tests/sim/sim.h"

struct sim_http_call { /* everything is lent */
    const struct sim_process *client;
    const struct sim_host *server;
    const char *method, *path_query;
    struct buf_view request, answer;
    unsigned status; /* 0: it failed, or was given up */
};
struct sim_http_watch {
    void (*on_ended)(const struct sim_http_call *call); /* may be NULL */
};
extern struct sim_http_watch sim_http_watch;

#endif
