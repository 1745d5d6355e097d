/* Route questions (first byte 'q'), route answers and publish messages.
 * links: proto/cluster */
#include <stdlib.h>
#include <string.h>

#include "proto/cluster/cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PATH_BYTES (sizeof "/v1/route?" - 1)

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void try_query(struct buf_view query, struct buf_writer *w)
{
    struct cluster_route_query first, second;
    struct cluster_error error;

    if (cluster_route_query_decode(query, &first, &error) != E_OK)
        return;
    must(cluster_route_query_encode(&first, w) == E_OK);
    must(cluster_route_query_decode(buf_view_of(w->data + PATH_BYTES, w->used_bytes - PATH_BYTES),
                                    &second, &error) == E_OK);
    must(strcmp(first.name.text, second.name.text) == 0 && first.intent == second.intent);
    must(strcmp(first.client_ip, second.client_ip) == 0);
    must(first.avoid.n == second.avoid.n && first.have_epoch == second.have_epoch);
    must(first.explain == second.explain);
}

static void try_route(struct buf_view json, struct buf_writer *w)
{
    struct cluster_route first, second;
    struct cluster_error error;

    if (cluster_route_decode(json, &first, &error) != E_OK)
        return;
    buf_writer_clear(w);
    must(cluster_route_encode(&first, w) == E_OK);
    must(cluster_route_decode(buf_writer_view(w), &second, &error) == E_OK);
    must(first.n_upstreams == second.n_upstreams && first.decision == second.decision);
    must(strcmp(first.redirect_url, second.redirect_url) == 0);
}

static void try_publish(struct buf_view json, struct buf_writer *w)
{
    struct cluster_publish first, second;
    struct cluster_publish_reply reply, reply_again;
    struct cluster_error error;

    if (cluster_publish_decode(json, &first, &error) == E_OK) {
        buf_writer_clear(w);
        must(cluster_publish_encode(&first, w) == E_OK);
        must(cluster_publish_decode(buf_writer_view(w), &second, &error) == E_OK);
        must(first.epoch == second.epoch && strcmp(first.client, second.client) == 0);
        must(first.run == second.run && first.duplicate == second.duplicate);
        must(first.avoid.n == second.avoid.n);
    }
    if (cluster_publish_reply_decode(json, &reply, &error) == E_OK) {
        buf_writer_clear(w);
        must(cluster_publish_reply_encode(&reply, w) == E_OK);
        must(cluster_publish_reply_decode(buf_writer_view(w), &reply_again, &error) == E_OK);
        must(reply.decision == reply_again.decision && reply.epoch == reply_again.epoch);
        must(strcmp(reply.origin_http, reply_again.origin_http) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct buf_writer w;

    buf_writer_init(&w, 1 << 20);
    if (copy && size) {
        memcpy(copy, data, size);
        if (copy[0] == 'q') {
            try_query(buf_view_of(copy + 1, size - 1), &w);
        } else {
            try_route(buf_view_of(copy, size), &w);
            try_publish(buf_view_of(copy, size), &w);
        }
    }
    buf_writer_fini(&w);
    free(copy);
    return 0;
}
