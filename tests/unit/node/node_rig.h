/* A node without its main program: configuration, registry and media loops that the test turns in
 * its own thread. What the tests of node/session and node/relay share. */
#ifndef HW_TESTS_NODE_RIG_H
#define HW_TESTS_NODE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/node.h"
#include "proto/flv/flv.h"

#define NODE_RIG_LOOPS 2
#define NODE_RIG_PATIENCE_US 20000000
#define NODE_RIG_MAX_SETS 12

struct node_rig {
    struct node node;
    struct node_loop loops[NODE_RIG_LOOPS];
};

/* sets: "key=value" up to NULL. */
static inline void node_rig_open(struct node_rig *r, const char *const *sets,
                                 const struct stream_hooks *hooks)
{
    static char k_token[] = "secret";
    const char *values[NODE_RIG_MAX_SETS];
    struct conf_args args = {.sets = values};
    struct conf_error error;

    memset(r, 0, sizeof *r);
    admission_init(&r->node);
    log_set_level(LOG_ERROR);
    for (; sets[args.n_sets]; args.n_sets++)
        values[args.n_sets] = sets[args.n_sets];
    assert_int_equal(conf_load(&k_node_schema, &args, &r->node.conf, &error), E_OK);
    strcpy(r->node.id, "n1");
    r->node.token = k_token;
    r->node.stream_conf = (struct stream_conf){
        .gop = {.max_gops = 1, .max_bytes = 8u << 20, .max_us = 20000000},
        .latency = LATENCY_REALTIME,
        .play_wait_ms = 10000,
        .tracks_wait_ms = 100,
        .publish_stall_ms = (int64_t)r->node.conf.publish_stall_ms,
        .publisher_grace_ms = 10000,
        .max_lag_ms = 10000,
        .stall_timeout_ms = 10000,
        .pull_idle_ms = 10000,
        .max_pinned_bytes = 64u << 20,
        .max_parked = 100,
    };
    r->node.registry = registry_create(&r->node.stream_conf, hooks);
    assert_non_null(r->node.registry);
    r->node.n_loops = NODE_RIG_LOOPS;
    r->node.loops = r->loops;
    for (unsigned i = 0; i < NODE_RIG_LOOPS; i++) {
        struct node_loop *nl = &r->loops[i];

        nl->node = &r->node;
        assert_int_equal(media_loop_init(&nl->media, loop_create("media", i), r->node.registry),
                         E_OK);
        nl->media.owner = nl;
        list_init(&nl->pulls);
        list_init(&nl->pushes);
        list_init(&nl->deciding);
        list_init(&nl->keepers);
        list_init(&nl->targets);
        buf_writer_init(&nl->out, 1 << 20);
    }
}

static inline void node_rig_turn(struct node_rig *r, bool wait)
{
    for (unsigned i = 0; i < NODE_RIG_LOOPS; i++)
        loop_turn(r->loops[i].media.loop, wait && i == 0);
}

/* Lets messages go to and fro between loops. */
static inline void node_rig_settle(struct node_rig *r)
{
    for (unsigned i = 0; i < 8; i++)
        node_rig_turn(r, false);
}

#define NODE_RIG_UNTIL(r, condition)                                       \
    do {                                                                   \
        int64_t end_us = clock_mono_us() + NODE_RIG_PATIENCE_US;           \
                                                                           \
        while (!(condition)) {                                             \
            node_rig_turn(r, true);                                        \
            if (clock_mono_us() > end_us)                                  \
                fail_msg("%d: never came true: %s", __LINE__, #condition); \
        }                                                                  \
    } while (0)

/* What is on its way between loops is dropped. */
static inline void node_rig_end(struct node_rig *r)
{
    for (unsigned i = 0; i < NODE_RIG_LOOPS; i++) {
        struct node_loop *nl = &r->loops[i];

        assert_true(list_is_empty(&nl->pushes));
        assert_true(list_is_empty(&nl->deciding));
        assert_int_equal(nl->media.n_sessions, 0);
        media_loop_fini(&nl->media);
        buf_writer_fini(&nl->out);
        loop_destroy(&nl->media.loop);
    }
    admission_fini(&r->node);
    registry_destroy(&r->node.registry);
    conf_free(&k_node_schema, &r->node.conf);
}

static inline void node_rig_close(struct node_rig *r)
{
    node_rig_settle(r);
    node_rig_end(r);
}

static inline struct stream_name node_rig_name(const char *app, const char *name)
{
    struct stream_name out;
    const char *why;

    assert_int_equal(stream_name_make(&out, buf_view_str(app), buf_view_str(name), &why), E_OK);
    return out;
}

/* Returns a connection on the loop; *peer_fd is its other end. */
static inline struct conn *node_rig_conn(struct node_loop *nl, const struct conn_ops *ops,
                                         void *arg, int *peer_fd)
{
    struct addr peer;
    struct conn *conn;
    int fds[2];

    assert_int_equal(addr_parse(&peer, "127.0.0.1:1"), E_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    conn = conn_create(nl->media.loop, fds[0], &peer, 1 << 20, ops, arg);
    assert_non_null(conn);
    *peer_fd = fds[1];
    return conn;
}

/* FLV bodies: AVC configuration, key and inter frame; AAC configuration and frame; onMetaData. */
static const uint8_t k_avc_config[] = {0x17, 0, 0, 0, 0, 1, 100, 0, 31, 0xff};
static const uint8_t k_avc_key[] = {0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65};
static const uint8_t k_avc_inter[] = {0x27, 1, 0, 0, 0, 0, 0, 0, 1, 0x41};
static const uint8_t k_aac_config[] = {0xaf, 0, 0x12, 0x10};
static const uint8_t k_aac[] = {0xaf, 1, 0x21, 0x00};
static const uint8_t k_metadata[] = {2,   0,   10, 'o', 'n', 'M', 'e', 't', 'a', 'D', 'a',
                                     't', 'a', 8,  0,   0,   0,   0,   0,   0,   9};

#define VIEW(array) buf_view_of(array, sizeof(array))

#endif
