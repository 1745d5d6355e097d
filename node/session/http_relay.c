/* Relays: nodes that pull a stream over HTTP, with @hw tags, a token and a hop list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/session/http_play.h"
#include "node/session/http_asked.h"
#include "proto/flv/flv.h"

struct play_relay {
    struct stream *stream;   /* owned reference */
    struct hops_child child; /* in stream_hops(stream) */
};

void play_relay_refuse_loop(struct http_exchange *x, const struct node *node, const char *hops)
{
    metric_add(&m_relay_loops_refused, 1);
    log_warn("relay", "msg=\"loop refused\" peer=%s hops=%s", http_peer(x), LOG_STR(hops));
    http_respond_problem(
        x, 508,
        "relay loop: the hop list names node %s or one above it, or more than %d, or "
        "this node has too many above it",
        node->id, HOPS_MAX);
}

/* Where the relay broke off: GOP numbers are those of one run, whatever the epoch. */
static void read_have(struct http_exchange *x, struct play_request *r)
{
    const char *have = http_header(x, "X-Headwater-Have"); /* epoch,gop */
    const char *run = http_header(x, "X-Headwater-Have-Run");
    unsigned long long gop;

    if (!have || !run || sscanf(have, "%*20u,%20llu", &gop) != 1)
        return;
    r->have_run = strtoull(run, NULL, 10);
    r->have_gop = gop;
}

/* What it has of segments of another node is where they go on here. */
static void read_last_segment(struct http_exchange *x, struct play_request *r)
{
    const char *have = http_header(x, "X-Headwater-Have-Segment");
    unsigned long long msn, discontinuities;

    r->has_segment = have && sscanf(have, "%20llu,%20llu", &msn, &discontinuities) == 2;
    if (!r->has_segment)
        return;
    r->have_msn = msn;
    r->have_discontinuities = discontinuities;
}

bool play_relay_check(struct http_exchange *x, struct node *node, struct play_request *r)
{
    const char *hops = http_header(x, "X-Headwater-Hops");
    unsigned n_hops;

    if (!hops)
        return true;
    if (!http_is_node(x, node, ACCESS_PLAY, &r->name)) {
        metric_add(&m_play_refused_denied, 1);
        http_respond_problem(x, 401, "a relay needs the node token (cluster.token_file)");
        return false;
    }
    if (strcmp(r->form->suffix, k_relay_form.suffix) != 0 || r->form->websocket) {
        metric_add(&m_play_refused_not_found, 1);
        http_respond_problem(x, 404, "relays are at /{app}/{name}%s", k_relay_form.suffix);
        return false;
    }
    if (strlen(hops) >= HOPS_SIZE || hops_hold(hops, node->id, &n_hops) || n_hops > HOPS_MAX) {
        play_relay_refuse_loop(x, node, hops);
        return false;
    }
    read_have(x, r);
    read_last_segment(x, r);
    r->knows_waiting = http_header(x, "X-Headwater-Waits") != NULL;
    r->hops = hops;
    r->form = &k_relay_form;
    return true;
}

enum err play_relay_begin(struct play_session *s, const struct play_request *r)
{
    struct play_relay *relay;

    relay = s->relay = calloc(1, sizeof *relay);
    if (!relay)
        return E_NOMEM;
    list_init(&relay->child.node);
    relay->stream = registry_get(s->nl->node->registry, &r->name);
    if (!relay->stream) {
        free(relay);
        s->relay = NULL;
        return E_NOMEM;
    }
    if (r->has_segment)
        stream_tell_last_segment(relay->stream, r->have_msn, r->have_discontinuities);
    return hops_add_child(stream_hops(relay->stream), &relay->child, r->hops) ? E_OK : E_STALE;
}

void play_relay_drop(struct play_session *s)
{
    if (!s->relay)
        return;
    hops_remove_child(stream_hops(s->relay->stream), &s->relay->child);
    stream_unref(&s->relay->stream);
    free(s->relay);
    s->relay = NULL;
}

enum err play_relay_say_waiting(struct play_session *s)
{
    return conn_write(s->conn, buf_view_str("HTTP/1.1 102 Processing\r\n\r\n"));
}

void play_relay_start(struct play_session *s, struct buf_writer *head)
{
    char path[HOPS_ID_SIZE + HOPS_PATH_SIZE];

    hops_feed_child(stream_hops(s->relay->stream), &s->relay->child);
    hops_write_path(stream_hops(s->relay->stream), s->nl->node->id, path);
    buf_printf(head, "X-Headwater-Epoch: %llu\r\nX-Headwater-Run: %llu\r\nX-Headwater-Path: %s\r\n",
               (unsigned long long)viewer_epoch(&s->viewer),
               (unsigned long long)viewer_run(&s->viewer), path);
}

void play_relay_say_end(struct play_session *s)
{
    struct flv_hw hw = {.v = FLV_HW_VERSION, .end = true};
    struct buf_writer body, tag;

    buf_writer_init(&body, 1024);
    buf_writer_init(&tag, 1024);
    flv_write_hw_body(&body, &hw);
    flv_write_tag(&tag, FLV_TAG_SCRIPT, 0, buf_writer_view(&body));
    if (buf_writer_status(&tag) == E_OK)
        (void)conn_write(s->conn, buf_writer_view(&tag));
    buf_writer_fini(&body);
    buf_writer_fini(&tag);
}
