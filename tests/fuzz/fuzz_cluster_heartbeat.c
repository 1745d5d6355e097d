/* Heartbeats and their answers: whatever is accepted survives encode and decode again.
 * links: proto/cluster */
#include <stdlib.h>
#include <string.h>

#include "proto/cluster/cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void must_be_equal(const struct cluster_stream *a, const struct cluster_stream *b)
{
    must(strcmp(a->name.text, b->name.text) == 0 && strcmp(a->upstream, b->upstream) == 0);
    must(a->epoch == b->epoch && a->kind == b->kind && a->removed == b->removed);
    must(a->run == b->run);
    must(a->n_viewers == b->n_viewers && a->n_children == b->n_children && a->depth == b->depth);
}

static void try_heartbeat(struct buf_view json, struct buf_writer *w)
{
    struct cluster_heartbeat first, second;
    struct cluster_error error;

    if (cluster_heartbeat_decode(json, &first, &error) != E_OK)
        return;
    buf_writer_clear(w);
    must(cluster_heartbeat_encode(&first, w) == E_OK);
    must(cluster_heartbeat_decode(buf_writer_view(w), &second, &error) == E_OK);
    must(first.n_streams == second.n_streams && first.instance == second.instance);
    must(first.seq == second.seq && strcmp(first.zone, second.zone) == 0);
    must(first.part == second.part && first.more == second.more);
    must(first.n_standbys == second.n_standbys && first.replaces == second.replaces);
    for (size_t i = 0; i < first.n_streams; i++)
        must_be_equal(&first.streams[i], &second.streams[i]);
    cluster_heartbeat_fini(&first);
    cluster_heartbeat_fini(&second);
}

static void try_reply(struct buf_view json, struct buf_writer *w)
{
    struct cluster_heartbeat_reply first, second;
    struct cluster_error error;

    if (cluster_heartbeat_reply_decode(json, &first, &error) != E_OK)
        return;
    buf_writer_clear(w);
    must(cluster_heartbeat_reply_encode(&first, w) == E_OK);
    must(cluster_heartbeat_reply_decode(buf_writer_view(w), &second, &error) == E_OK);
    must(first.n_fenced == second.n_fenced && first.lease_ms == second.lease_ms);
    must(first.n_moved == second.n_moved && first.drain == second.drain);
    cluster_heartbeat_reply_fini(&first);
    cluster_heartbeat_reply_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct buf_writer w;

    buf_writer_init(&w, 64 << 20);
    if (copy) {
        if (size)
            memcpy(copy, data, size);
        try_heartbeat(buf_view_of(copy, size), &w);
        try_reply(buf_view_of(copy, size), &w);
    }
    buf_writer_fini(&w);
    free(copy);
    return 0;
}
