/* See report.h. */
#include "node/cluster/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/control/gather.h"
#include "node/handover.h"

void report_init(struct report *r, const struct node *node)
{
    *r = (struct report){.node = node};
}

void report_fini(struct report *r)
{
    free(r->streams);
    free(r->standbys);
    report_init(r, r->node);
}

/* One more item, zeroed. NULL: out of memory, or as many as the scheduler takes. */
static void *add(struct report *r, void **items, size_t *n, size_t *room, size_t item_bytes)
{
    char *item;

    if (*n == CLUSTER_MAX_STREAMS)
        return NULL;
    if (*n == *room) {
        size_t more = *room ? 2 * *room : 64;
        void *grown = realloc(*items, more * item_bytes);

        if (!grown) {
            r->out_of_memory = true;
            return NULL;
        }
        *items = grown;
        *room = more;
    }
    item = (char *)*items + (*n)++ * item_bytes;
    memset(item, 0, item_bytes);
    return item;
}

static struct cluster_stream *add_stream(struct report *r)
{
    void *items = r->streams;
    void *item = add(r, &items, &r->n_streams, &r->streams_room, sizeof *r->streams);

    r->streams = items;
    return item;
}

static struct cluster_standby *add_standby(struct report *r)
{
    void *items = r->standbys;
    void *item = add(r, &items, &r->n_standbys, &r->standbys_room, sizeof *r->standbys);

    r->standbys = items;
    return item;
}

/* An edge owns nothing: what is published there is forwarded, and it carries the stream of the
 * origin that took it, one step away, without being its relay. */
static bool is_owned(const struct report *r, const struct stream_info *info)
{
    return info->kind == SOURCE_PUBLISHER && r->node->conf.cluster_role != CLUSTER_EDGE;
}

static void fill_stream(const struct report *r, const struct stream_info *info,
                        struct cluster_stream *to)
{
    to->name = info->name;
    to->epoch = info->epoch;
    to->n_viewers = info->n_viewers;
    to->n_children = info->n_children;
    if (is_owned(r, info)) {
        to->kind = CLUSTER_STREAM_OWNED;
        to->run = info->run;
        return;
    }
    to->kind = CLUSTER_STREAM_CARRIED;
    to->depth = info->kind == SOURCE_PUBLISHER ? 1 : info->depth;
    if (info->kind == SOURCE_PULL && cluster_id_is_valid(info->upstream) &&
        !handover_is_old(r->node, info->upstream))
        snprintf(to->upstream, sizeof to->upstream, "%.*s", CLUSTER_ID_SIZE - 1, info->upstream);
}

static void count(struct report *r, const struct stream_info *info)
{
    r->load.n_streams++;
    r->load.n_viewers += info->n_viewers;
    r->load.n_relays += info->n_children;
    r->load.n_publishers += info->live && info->kind == SOURCE_PUBLISHER;
}

static void add_one(struct stream *stream, void *arg)
{
    struct report *r = arg;
    struct cluster_standby *standby;
    struct cluster_stream *to;
    struct stream_info info;

    stream_get_info(stream, &info);
    count(r, &info);
    standby = info.n_standbys ? add_standby(r) : NULL;
    if (standby)
        standby->name = info.name;
    to = info.live ? add_stream(r) : NULL;
    if (to)
        fill_stream(r, &info, to);
}

void report_add_loop(struct report *r, struct media_loop *ml)
{
    gather_each_stream(ml, add_one, r);
}
