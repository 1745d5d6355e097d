/* A registry under a simulated clock, and what its watch heard: shared by the tests of the
 * registry's files. */
#ifndef HW_TESTS_UNIT_SCHEDULER_REGISTRY_WORLD_H
#define HW_TESTS_UNIT_SCHEDULER_REGISTRY_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/registry.h"

#define SECOND 1000000ll
#define WALL_US 1700000000000000ll

struct world {
    struct registry r;
    int64_t now_us;
    char said[1024]; /* what the watch heard, in order */
};

static inline void say(struct world *w, const char *what, const char *first, const char *second)
{
    size_t used = strlen(w->said);

    snprintf(w->said + used, sizeof w->said - used, "%s%s:%s:%s", used ? " " : "", what, first,
             second);
}

static inline void hear_owner(void *arg, const struct registry_stream *s,
                              const struct registry_node *old)
{
    say(arg, old ? "moved" : "owner", s->name.text, s->owner->id);
}

static inline void hear_ended(void *arg, const struct registry_stream *s,
                              const struct registry_node *old)
{
    say(arg, "ended", s->name.text, old->id);
}

static inline void hear_dropped(void *arg, const struct registry_stream *s,
                                const struct registry_node *old)
{
    say(arg, "dropped", s->name.text, old->id);
}

static inline void hear_dispute(void *arg, const struct registry_stream *s, const char *node)
{
    say(arg, "dispute", s->name.text, node);
}

static inline void hear_orphan(void *arg, const struct registry_stream *s)
{
    say(arg, "orphan", s->name.text, s->owner ? s->owner->id : "-");
}

static inline void hear_leaving(void *arg, const struct registry_node *node)
{
    char instance[24];

    snprintf(instance, sizeof instance, "%llu", (unsigned long long)node->instance);
    say(arg, "leaving", node->id, instance);
}

static inline void hear_lapse(void *arg, const struct registry_node *node)
{
    say(arg, "lapse", node->id, "");
}

static inline void hear_suspect(void *arg, const struct registry_node *node)
{
    say(arg, "suspect", node->id, "");
}

static inline void hear_differs(void *arg, const struct registry_node *node)
{
    say(arg, "differs", node->id, "");
}

static inline void hear_clash(void *arg, enum registry_clash clash,
                              const struct registry_node *node, const char *other)
{
    static const char *const k_words[] = {"second", "shared", "load"};

    say(arg, k_words[clash], node->id, other);
}

/* A lease of 5 s, heartbeats each second, room for 8 nodes and 8 streams. */
static inline int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    const struct registry_conf conf = {
        .lease_us = 5 * SECOND, .interval_us = SECOND, .max_nodes = 8, .max_streams = 8};
    const struct registry_watch watch = {
        hear_owner,   hear_ended, hear_dropped, hear_dispute, hear_orphan, hear_leaving,
        hear_differs, hear_lapse, NULL,         hear_suspect, hear_clash,  w,
    };

    w->now_us = 100 * SECOND;
    registry_init(&w->r, &conf, &watch);
    *state = w;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *w = *state;

    registry_fini(&w->r);
    free(w);
    return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* And forgets it. */
static inline void assert_said(struct world *w, const char *expected)
{
    assert_string_equal(w->said, expected);
    w->said[0] = '\0';
}

static inline void sweep(struct world *w)
{
    assert_true(registry_sweep(&w->r, w->now_us, 100));
}

static inline void reap(struct world *w)
{
    assert_true(registry_reap(&w->r, w->now_us, 100));
}

static inline struct stream_name name_of(const char *path)
{
    struct stream_name name;
    const char *why;

    assert_int_equal(stream_name_from_path(&name, buf_view_str(path), &why), E_OK);
    return name;
}

static inline struct cluster_stream owned(const char *path, uint64_t epoch)
{
    return (struct cluster_stream){.name = name_of(path), .epoch = epoch};
}

static inline struct cluster_stream carried(const char *path, uint64_t epoch, const char *upstream)
{
    struct cluster_stream s = {
        .name = name_of(path), .epoch = epoch, .kind = CLUSTER_STREAM_CARRIED, .depth = 1};

    snprintf(s.upstream, sizeof s.upstream, "%s", upstream);
    return s;
}

/* A heartbeat, with what came of it. Start from beat_of(). */
struct beat {
    struct cluster_heartbeat m;
    struct cluster_standby standbys[4]; /* m.n_standbys of them */
    enum err e;
    struct cluster_heartbeat_reply reply; /* fini by the next send_beat() or drop_beat() */
    char error[160];
};

/* A full report of an active node of both roles without streams. */
static inline struct beat beat_of(const char *node, uint64_t instance, uint64_t seq)
{
    struct beat b = {.m = {.instance = instance,
                           .seq = seq,
                           .full = true,
                           .role = CLUSTER_BOTH,
                           .state = CLUSTER_NODE_ACTIVE}};

    snprintf(b.m.node, sizeof b.m.node, "%s", node);
    return b;
}

static inline void drop_beat(struct beat *b)
{
    cluster_heartbeat_reply_fini(&b->reply);
}

static inline enum err send_beat(struct world *w, struct beat *b)
{
    struct cluster_error error = {""};

    drop_beat(b);
    b->reply = (struct cluster_heartbeat_reply){0};
    b->m.standbys = b->standbys;
    b->e = registry_heartbeat(&w->r, &b->m, w->now_us, WALL_US, &b->reply, &error);
    memcpy(b->error, error.text, sizeof b->error);
    return b->e;
}

/* A full report that must be accepted. */
static inline void report(struct world *w, const char *node, uint64_t instance, uint64_t seq,
                          struct cluster_stream *streams, size_t n)
{
    struct beat b = beat_of(node, instance, seq);

    b.m.streams = streams;
    b.m.n_streams = n;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_false(b.reply.want_full);
    drop_beat(&b);
}

static inline void grant_run(struct world *w, const char *path, const char *node, uint64_t epoch,
                             uint64_t run)
{
    struct stream_name name = name_of(path);
    struct registry_lease lease = {&name, registry_node(&w->r, node), epoch, run, false};

    assert_int_equal(registry_grant(&w->r, &lease, w->now_us), E_OK);
}

static inline void grant(struct world *w, const char *path, const char *node, uint64_t epoch)
{
    grant_run(w, path, node, epoch, 0);
}

static inline void hold(struct world *w, const char *path, const char *node)
{
    struct stream_name name = name_of(path);

    assert_int_equal(registry_add_standby(&w->r, &name, registry_node(&w->r, node), w->now_us),
                     E_OK);
}

static inline const char *owner_of(struct world *w, const char *name)
{
    const struct registry_stream *s = registry_stream(&w->r, name);

    return s && s->owner ? s->owner->id : "";
}

#endif
