/* Publishing, whatever the protocol. */
#include "node/session/publisher_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/cluster/agent.h"
#include "node/conf.h"
#include "node/control/node_metrics.h"
#include "node/relay/push.h"
#include "node/session/admission.h"
#include "node/session/session.h"
#include "proto/flv/flv.h"

static const struct {
    const char *text;
    struct metric *refused, *ended; /* NULL = not counted */
} k_faults[PUBLISHER_N_FAULTS] = {
    [PUBLISHER_DENIED] = {"not allowed", NULL, NULL}, /* counted where it was decided */
    [PUBLISHER_ELSEWHERE] = {"", NULL, NULL},
    [PUBLISHER_LEAVING] = {"this node is shutting down", &m_publish_refused_closed, NULL},
    [PUBLISHER_BUSY] = {"the stream has a publisher already (publish.duplicate is refuse)",
                        &m_publish_refused_busy, NULL},
    [PUBLISHER_REFUSED] = {"refused by the scheduler", &m_publish_refused_cluster, NULL},
    [PUBLISHER_NO_MEMORY] = {"out of memory", &m_publish_refused_limit, NULL},
    [PUBLISHER_NO_ORIGIN] = {"no origin takes the stream", &m_publish_refused_cluster, NULL},
    [PUBLISHER_TAKEN] = {"another publisher took over", NULL, NULL},
    [PUBLISHER_FENCED] = {"the stream has a newer owner on another node", NULL, NULL},
    [PUBLISHER_SILENT] = {"no media within publish_stall_ms", NULL, &m_timeout_publish_stall},
    [PUBLISHER_KICKED] = {"closed by the operator", NULL, NULL},
};

/* Last statement of its callers: p may be gone. text NULL: what the table says. */
void publisher_over(struct publisher *p, enum publisher_fault fault, const char *text)
{
    struct metric *metric = p->accepted ? k_faults[fault].ended : k_faults[fault].refused;

    if (!text || !*text)
        text = k_faults[fault].text;
    if (metric)
        metric_add(metric, 1);
    if (p->accepted)
        log_warn(p->ops->protocol, "msg=\"publish ended\" session=%s peer=%s stream=%s reason=%s",
                 p->info->id, p->info->peer, p->info->stream, LOG_STR(text));
    p->ops->on_over(p->session, fault, text);
}

/* --- the source's side --- */

static void on_evict(struct source *source, enum err why)
{
    static const struct {
        enum err why;
        enum publisher_fault fault;
    } k_evictions[] = {
        {E_BUSY, PUBLISHER_TAKEN},
        {E_STALE, PUBLISHER_FENCED},
        {E_TIMEOUT, PUBLISHER_SILENT},
    };
    enum publisher_fault fault = PUBLISHER_KICKED;

    for (size_t i = 0; i < sizeof k_evictions / sizeof k_evictions[0]; i++)
        if (k_evictions[i].why == why)
            fault = k_evictions[i].fault;
    publisher_over(list_entry(source, struct publisher, source), fault, NULL);
}

static void set_pace(struct source *source, enum conn_pace pace)
{
    struct publisher *p = list_entry(source, struct publisher, source);

    if (*p->conn) /* else it is closing */
        conn_set_pace(*p->conn, pace);
}

/* When a standby that says nothing more has been silent for too long. */
int64_t publisher_silent_at_us(const struct publisher *p)
{
    return p->heard_us + (int64_t)publisher_node(p)->conf.publish_stall_ms * 1000;
}

/* --- from outside --- */

static void on_timer(struct timer *timer)
{
    struct publisher *p = list_entry(timer, struct publisher, timer);
    struct publisher_guard guard = publisher_enter(p);

    if (p->state == PUBLISHER_DECIDING && !p->ask && !p->push)
        publisher_decide(p);
    else if (p->state == PUBLISHER_STANDBY && loop_now_us(timer->loop) < publisher_silent_at_us(p))
        timer_start_at_us(timer, publisher_silent_at_us(p));
    else if (p->state == PUBLISHER_STANDBY)
        publisher_over(p, PUBLISHER_SILENT, NULL);
    publisher_leave(guard);
}

static void on_arrival(struct loop_msg *msg)
{
    struct publisher *p = list_entry(msg, struct publisher, msg);
    struct media_loop *home = stream_home(p->stream);
    struct publisher_guard guard;

    *p->nl = home->owner;
    list_push_back(&home->sessions, &p->info->node);
    home->n_sessions++;
    timer_init(&p->timer, home->loop, on_timer);
    conn_adopt(*p->conn, home->loop, p->ops->conn_ops, p->session);
    guard = publisher_enter(p);
    if ((*p->nl)->closed) /* it came too late */
        publisher_over(p, PUBLISHER_LEAVING, NULL);
    else
        publisher_decide(p);
    publisher_leave(guard);
}

/* The node stops: both loops have ended. */
static void on_lost(struct loop_msg *msg)
{
    struct publisher *p = list_entry(msg, struct publisher, msg);
    const char *why = k_faults[PUBLISHER_LEAVING].text;

    if (p->accepted || p->from_edge)
        session_log(publisher_node(p), p->info, why);
    else
        session_log_refused(publisher_node(p), p->info, "publish", why);
    stream_unref(&p->stream);
    track_set_fini(&p->kept);
    p->ops->discard(p->session);
}

/* --- public --- */

static void prepare(struct publisher *p, const struct publisher_request *request)
{
    p->run = request->run ? request->run : random_u64() | 1; /* 0 is "unknown" */
    p->from_edge = request->edge[0] != '\0';
    p->duplicate = -1;
    snprintf(p->client, sizeof p->client, "%s", request->client);
    list_init(&p->node);
    list_init(&p->standby.node);
    p->standby.on_turn = publisher_on_turn;
    track_set_init(&p->kept);
    timer_init(&p->timer, (*p->nl)->media.loop, on_timer);
    p->source = (struct source){.kind = SOURCE_PUBLISHER,
                                .protocol = p->ops->protocol,
                                .session_id = p->info->id,
                                .upstream = request->edge,
                                .on_evict = on_evict,
                                .set_pace = set_pace};
}

/* Counts it, unless a limit is met. What an edge forwards was counted there. */
static bool let_in(struct publisher *p, const struct stream_name *name)
{
    struct admission_ask ask = {ADMISSION_PUBLISHER, conn_peer_addr(*p->conn), name};
    struct admission_refusal no;

    if (p->from_edge || admission_take(publisher_node(p), &ask, &p->info->pass, &no))
        return true;
    p->denial = (struct access_denial){.status = no.status, .retry_after_s = no.retry_after_s};
    publisher_over(p, PUBLISHER_DENIED, no.text);
    return false;
}

/* It may. */
static void find_stream(struct publisher *p, const struct stream_name *name)
{
    struct node *node = publisher_node(p);

    p->state = PUBLISHER_OUT;
    if (atomic_load(&node->draining)) {
        publisher_over(p, PUBLISHER_LEAVING, NULL);
        return;
    }
    if (!let_in(p, name))
        return;
    p->stream = registry_get(node->registry, name);
    if (p->stream)
        publisher_look(p);
    else
        publisher_over(p, PUBLISHER_NO_MEMORY, NULL);
}

void publisher_count(const struct publisher *p, struct session_counts *counts)
{
    counts->frames_in = p->source.n_frames;
    counts->max_in_bps = p->max_in_bps;
}

static void use_options(struct publisher *p, const struct publish_options *options)
{
    p->duplicate = options->duplicate;
    p->source.record = options->record;
    p->max_in_bps = options->ingress_bps;
    if (p->max_in_bps)
        admission_note_own_limit(publisher_node(p));
    if (options->record == PUBLISH_RECORD_ON && !publisher_node(p)->record)
        log_warn(p->ops->protocol,
                 "msg=\"a gate has it recorded, and there is no record.dir\" session=%s stream=%s",
                 p->info->id, p->info->stream);
}

static void apply(struct publisher *p, const struct access_answer *answer)
{
    p->denial = answer->denial;
    if (answer->decision == ACCESS_DENY) {
        publisher_over(p, PUBLISHER_DENIED, answer->text);
        return;
    }
    if (answer->decision == ACCESS_REDIRECT) {
        publisher_over(p, PUBLISHER_ELSEWHERE, answer->text);
        return;
    }
    use_options(p, &answer->options);
    if (answer->is_renamed && !p->ops->on_renamed(p->session, &answer->name))
        return;
    find_stream(p, &answer->name);
}

static void on_access(void *arg, const struct access_answer *answer)
{
    struct publisher *p = arg;
    struct publisher_guard guard = publisher_enter(p);

    apply(p, answer);
    publisher_leave(guard);
}

void publisher_begin(struct publisher *p, const struct publisher_request *request)
{
    struct access_answer answer;

    prepare(p, request);
    if (!request->access) {
        find_stream(p, request->name);
        return;
    }
    p->state = PUBLISHER_ASKED;
    if (access_ask(*p->nl, request->access, &answer, &p->access, on_access, p))
        apply(p, &answer);
    else
        publisher_pause(p);
}

void publisher_move(struct publisher *p)
{
    struct conn *conn = *p->conn;

    timer_stop(&p->timer);
    session_info_fini(p->info, &(*p->nl)->media);
    *p->conn = conn_detach(&conn);
    p->msg.run = on_arrival;
    p->msg.drop = on_lost;
    loop_post(stream_home(p->stream)->loop, &p->msg);
}

bool publisher_is_pending(const struct publisher *p)
{
    return p->state == PUBLISHER_ASKED || (p->state == PUBLISHER_DECIDING && !p->accepted);
}

bool publisher_is_live(const struct publisher *p)
{
    return p->state == PUBLISHER_LIVE;
}

bool publisher_was_accepted(const struct publisher *p)
{
    return p->accepted;
}

const struct access_denial *publisher_denial(const struct publisher *p)
{
    return &p->denial;
}

uint64_t publisher_epoch(const struct publisher *p)
{
    return stream_epoch(p->stream);
}

/* Of a standby nothing but configuration and metadata is kept: it starts at its next key frame. */
static enum err keep(struct publisher *p, uint8_t flv_type, int64_t src_dts_us,
                     struct buf_view body, const char **why)
{
    struct media_frame_info info = {0};
    struct buf_view inner;
    bool metadata = flv_type == FLV_TAG_SCRIPT && flv_is_metadata(body, &inner);
    const struct media_frame *frame;
    enum err e;

    p->heard_us = loop_now_us((*p->nl)->media.loop);
    p->dts_us = src_dts_us;
    if (!body.size_bytes)
        return E_OK;
    e = flv_parse_body(flv_type, metadata ? inner : body, &info, why);
    if (e != E_OK)
        return e;
    if (metadata)
        info.flags |= FRAME_METADATA;
    if (!(info.flags & FRAME_HEADERS))
        return E_OK;
    frame = media_frame_create(&info, metadata ? inner : body);
    if (!frame)
        return E_NOMEM;
    track_set_apply(&p->kept, frame);
    media_frame_unref(&frame);
    return E_OK;
}

/* @hw is what nodes say to each other; an encoder's would be taken for ours further on. */
static bool is_forged(uint8_t flv_type, struct buf_view body)
{
    struct flv_hw hw;

    return flv_type == FLV_TAG_SCRIPT && flv_parse_hw_body(body, &hw) != E_NOT_FOUND;
}

static bool is_header(uint8_t flv_type, struct buf_view body)
{
    struct media_frame_info info = {0};
    const char *why;

    return flv_type == FLV_TAG_SCRIPT ||
           (flv_parse_body(flv_type, body, &info, &why) == E_OK && info.flags & FRAME_HEADERS);
}

enum err publisher_media(struct publisher *p, uint8_t flv_type, int64_t src_dts_us,
                         struct buf_view body, const char **why)
{
    if (is_forged(flv_type, body))
        return E_OK;
    if (p->is_of_other_run && !is_header(flv_type, body)) /* headers come before what names a run */
        return E_OK;
    if (p->state == PUBLISHER_LIVE)
        return stream_push(&p->source, flv_type, src_dts_us, body, why);
    return p->accepted ? keep(p, flv_type, src_dts_us, body, why) : E_OK;
}

void publisher_set_upstream(struct publisher *p, const struct stream_upstream *said)
{
    struct stream_upstream ours = *said;

    /* An edge where one encoder follows another still has the last GOP of the first one when it
     * begins to forward the second, and a moment of the second when it ends with the first. */
    p->is_of_other_run = said->run && p->run && said->run != p->run;
    if (p->is_of_other_run)
        return;
    /* The edge may still say an earlier one. Forwarded from here, the lease is the origin's. */
    ours.epoch = p->push ? stream_epoch(p->stream) : p->lease_epoch;
    ours.run = p->run;
    stream_set_upstream(&p->source, &ours);
}

void publisher_expect_tracks(struct publisher *p, bool audio, bool video)
{
    stream_expect_tracks(&p->source, audio, video);
}

/* The encoder of a stream that an edge forwards is the edge's to tell of. */
void publisher_tell_live(struct publisher *p)
{
    p->is_told = !p->from_edge;
    if (p->is_told)
        session_tell(publisher_node(p), EVENT_PUBLISH, p->info, NULL);
}

bool publisher_tell_done(struct publisher *p, const char *reason)
{
    bool was_live = p->is_told;

    if (was_live)
        session_tell(publisher_node(p), EVENT_PUBLISH_DONE, p->info, reason);
    p->is_told = false;
    return was_live;
}

void publisher_release(struct publisher *p)
{
    struct agent *agent = publisher_node(p)->agent;

    access_cancel(&p->access);
    admission_give(publisher_node(p), &p->info->pass);
    p->state = PUBLISHER_OUT;
    if (!p->stream)
        return;
    assert(!p->is_told);
    publisher_settle(p);
    timer_stop(&p->timer);
    if (p->ask)
        p->ask->arg = NULL; /* its answer frees it */
    p->ask = NULL;
    stream_remove_standby(&p->standby);
    push_destroy(&p->push);
    stream_detach(&p->source);
    if (p->lease_epoch && agent)
        agent_release(agent, stream_name_of(p->stream), p->lease_epoch);
    track_set_fini(&p->kept);
    stream_unref(&p->stream);
}
