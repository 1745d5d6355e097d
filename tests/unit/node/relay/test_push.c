/* node/relay/push: an edge's stream to origins that the test plays, over loopback. The scheduler is
 * played, too. */
#include "tests/unit/node/node_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>

#include "node/cluster/agent.h"
#include "node/relay/push.h"
#include "node/relay/push_wire.h"
#include "node/session/session.h"

#define N_ORIGINS 3
#define RUN 4711

struct origin {
    int listen_fd, fd; /* fd -1: nobody is connected */
    bool ended;        /* the edge closed */
    char http[64];
    struct buf_writer got; /* after the head */
    bool has_head;
    struct http_head head;
    char head_text[4096];
};

static struct rig {
    struct node_rig base;
    struct origin origins[N_ORIGINS];
    struct agent_ask *ask; /* not answered yet */
    unsigned n_asked, n_released;
    struct stream *stream;
    struct source source;
    struct push *push;
    unsigned n_granted, n_standby, n_failed;
    uint64_t epoch;
    enum err why;
    char text[400];
    int64_t dts_ms;
} * rig;

/* --- stand-ins --- */

const char *sessions_kick_reason(const struct node_loop *nl)
{
    (void)nl;
    return "kicked";
}

void agent_ask(struct agent *agent, struct agent_ask *ask)
{
    ask->agent = agent;
    assert_null(rig->ask);
    rig->ask = ask;
    rig->n_asked++;
}

void agent_release(struct agent *agent, const struct stream_name *name, uint64_t epoch)
{
    (void)agent;
    (void)name;
    (void)epoch;
    rig->n_released++;
}

static void answer(const struct cluster_publish_reply *reply, bool degraded)
{
    struct agent_ask *ask = rig->ask;

    assert_non_null(ask);
    rig->ask = NULL;
    ask->publish_reply = *reply;
    ask->degraded = degraded;
    ask->done(ask);
}

static struct cluster_publish_reply forward_to(unsigned index)
{
    struct cluster_publish_reply reply = {.decision = CLUSTER_PUBLISH_FORWARD};

    snprintf(reply.origin, sizeof reply.origin, "o%u", index + 1);
    snprintf(reply.origin_http, sizeof reply.origin_http, "%s", rig->origins[index].http);
    return reply;
}

static void answer_forward(unsigned index)
{
    struct cluster_publish_reply reply = forward_to(index);

    answer(&reply, false);
}

/* --- origins --- */

static void origin_open(struct origin *o)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;

    o->fd = -1;
    o->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(o->listen_fd >= 0);
    assert_int_equal(bind(o->listen_fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(o->listen_fd, 4), 0);
    assert_int_equal(getsockname(o->listen_fd, (struct sockaddr *)&addr, &size), 0);
    snprintf(o->http, sizeof o->http, "http://127.0.0.1:%u", ntohs(addr.sin_port));
    buf_writer_init(&o->got, 16u << 20);
}

/* Forgets its connection: the next one is taken. */
static void origin_hang_up(struct origin *o)
{
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
    o->ended = o->has_head = false;
    buf_writer_clear(&o->got);
}

static void origin_close(struct origin *o)
{
    origin_hang_up(o);
    close(o->listen_fd);
    o->listen_fd = -1;
    buf_writer_fini(&o->got);
}

static void take_head(struct origin *o)
{
    struct buf_reader in = buf_reader_from(buf_writer_view(&o->got));
    struct http_error error;
    size_t head_bytes;

    if (http_parse_request(&in, sizeof o->head_text, &o->head, &error) != E_OK)
        return;
    head_bytes = o->got.used_bytes - in.left_bytes;
    memcpy(o->head_text, o->got.data, head_bytes);
    o->head_text[head_bytes] = '\0';
    in = buf_reader_from(buf_view_of(o->head_text, head_bytes));
    assert_int_equal(http_parse_request(&in, sizeof o->head_text, &o->head, &error), E_OK);
    buf_writer_consume(&o->got, head_bytes);
    o->has_head = true;
}

static void origin_poll(struct origin *o)
{
    uint8_t bytes[65536];
    ssize_t n;

    if (o->fd < 0 && o->listen_fd >= 0)
        o->fd = accept4(o->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (o->fd < 0)
        return;
    while ((n = recv(o->fd, bytes, sizeof bytes, 0)) > 0)
        buf_write(&o->got, bytes, (size_t)n);
    o->ended |= n == 0;
    if (!o->has_head)
        take_head(o);
}

static void turn(bool wait)
{
    node_rig_turn(&rig->base, wait);
    for (unsigned i = 0; i < N_ORIGINS; i++)
        origin_poll(&rig->origins[i]);
}

#define UNTIL(condition)                                                   \
    do {                                                                   \
        int64_t end_us = clock_mono_us() + NODE_RIG_PATIENCE_US;           \
                                                                           \
        while (!(condition)) {                                             \
            turn(true);                                                    \
            if (clock_mono_us() > end_us)                                  \
                fail_msg("%d: never came true: %s", __LINE__, #condition); \
        }                                                                  \
    } while (0)

static void origin_say(struct origin *o, const char *text)
{
    assert_int_equal(send(o->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

#define CONTINUE(epoch) "HTTP/1.1 100 Continue\r\nX-Headwater-Epoch: " #epoch "\r\n\r\n"
#define PROCESSING "HTTP/1.1 102 Processing\r\n\r\n"

static void origin_end(struct origin *o, unsigned status, const char *detail)
{
    struct buf_writer out;

    buf_writer_init(&out, 4096);
    push_write_final(&out, status, "", detail);
    buf_write_u8(&out, 0);
    origin_say(o, (const char *)out.data);
    buf_writer_fini(&out);
}

/* What came, as FLV. */
struct media {
    unsigned n_key, n_inter, n_hw;
    bool key_first;
    struct flv_hw hw; /* the last one */
};

static struct media media_of(const struct origin *o)
{
    struct flv_decoder *dec = flv_decoder_create(FLV_MAX_TAG_BYTES);
    struct buf_reader in = buf_reader_from(buf_writer_view(&o->got));
    struct media m = {0};
    struct flv_tag tag;
    enum err e;

    while ((e = flv_decoder_feed(dec, &in, &tag)) == E_OK) {
        struct media_frame_info info = {0};
        const char *why;

        if (tag.header.type_id == FLV_TAG_SCRIPT) {
            m.n_hw += flv_parse_hw_body(tag.body, &m.hw) == E_OK;
            continue;
        }
        assert_int_equal(flv_parse_body(tag.header.type_id, tag.body, &info, &why), E_OK);
        if (info.flags & FRAME_CONFIG)
            continue;
        m.key_first |= !m.n_key && !m.n_inter && info.flags & FRAME_KEY;
        *(info.flags & FRAME_KEY ? &m.n_key : &m.n_inter) += 1;
    }
    assert_int_equal(e, E_AGAIN);
    flv_decoder_destroy(&dec);
    return m;
}

/* --- the publisher --- */

static void on_evict(struct source *source, enum err why)
{
    (void)source;
    (void)why;
}

static void attach(uint64_t epoch)
{
    struct source_offer offer = {.epoch = epoch, .run = RUN, .numbers_gops = true};

    rig->source = (struct source){.kind = SOURCE_PUBLISHER,
                                  .protocol = "test",
                                  .session_id = "t",
                                  .upstream = "",
                                  .on_evict = on_evict};
    assert_int_equal(stream_attach(rig->stream, &rig->source, &offer), E_OK);
    stream_expect_tracks(&rig->source, false, true);
}

static void frame(struct buf_view body)
{
    const char *why;

    assert_int_equal(stream_push(&rig->source, FLV_TAG_VIDEO, rig->dts_ms * 1000, body, &why),
                     E_OK);
    rig->dts_ms += 40;
}

static void gop(unsigned n_inter)
{
    frame(VIEW(k_avc_key));
    for (unsigned i = 0; i < n_inter; i++)
        frame(VIEW(k_avc_inter));
}

static void on_granted(void *arg, uint64_t epoch)
{
    (void)arg;
    rig->n_granted++;
    rig->epoch = epoch;
    if (!rig->source.stream)
        attach(epoch);
    else
        stream_set_epoch(rig->stream, epoch);
    push_send(rig->push);
}

static void on_standby(void *arg)
{
    (void)arg;
    rig->n_standby++;
}

static void on_failed(void *arg, enum err why, const char *text)
{
    (void)arg;
    rig->n_failed++;
    rig->why = why;
    snprintf(rig->text, sizeof rig->text, "%s", text);
    push_destroy(&rig->push);
}

static const struct push_ops k_ops = {on_granted, on_standby, on_failed};

static void start(const struct cluster_publish_reply *origin)
{
    struct push_conf conf = {.nl = stream_home(rig->stream)->owner,
                             .stream = rig->stream,
                             .run = RUN,
                             .duplicate = CLUSTER_DUPLICATE_STANDBY,
                             .client = "10.0.0.9:1",
                             .ops = &k_ops};

    rig->push = push_create(&conf, origin);
    assert_non_null(rig->push);
}

static void start_at(unsigned index)
{
    struct cluster_publish_reply reply = forward_to(index);

    start(&reply);
    UNTIL(rig->origins[index].has_head);
}

/* The first origin has the stream. */
static void start_granted(void)
{
    start_at(0);
    origin_say(&rig->origins[0], CONTINUE(42));
    UNTIL(rig->n_granted == 1);
}

/* The first origin has the stream and leaves; the second one has been asked to take it. */
static void start_moving(void)
{
    start_granted();
    push_on_leaving(&rig->base.node, rig->stream, "o1");
    UNTIL(rig->ask != NULL);
    answer_forward(1);
    UNTIL(rig->origins[1].has_head);
}

static void set_up(const char *const *sets)
{
    static const struct stream_hooks k_hooks;
    struct stream_name name = node_rig_name("live", "x");

    rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    node_rig_open(&rig->base, sets, &k_hooks);
    rig->base.node.agent = (struct agent *)rig;
    for (unsigned i = 0; i < N_ORIGINS; i++)
        origin_open(&rig->origins[i]);
    rig->stream = registry_get(rig->base.node.registry, &name);
    assert_non_null(rig->stream);
    node_rig_settle(&rig->base);
}

static void tear_down(void)
{
    push_destroy(&rig->push);
    stream_detach(&rig->source);
    stream_unref(&rig->stream);
    node_rig_settle(&rig->base);
    if (rig->ask) /* nobody's any more */
        answer(&(struct cluster_publish_reply){.decision = CLUSTER_PUBLISH_REFUSED}, false);
    for (unsigned i = 0; i < N_ORIGINS; i++)
        origin_close(&rig->origins[i]);
    node_rig_close(&rig->base);
    free(rig);
}

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_SETS ((const char *const[]){NULL})

/* --- tests --- */

static void test_origin_that_grants_gets_the_stream(void **state)
{
    struct origin *o;
    struct media m;

    (void)state;
    set_up(NO_SETS);
    o = &rig->origins[0];
    start_at(0);
    assert_true(buf_view_equals(o->head.method, "POST"));
    assert_true(buf_view_equals(http_find(&o->head, "authorization")->value, "Bearer secret"));
    assert_true(buf_view_equals(http_find(&o->head, PUSH_FORWARD_HEADER)->value, "n1,10.0.0.9:1"));
    assert_true(buf_view_equals(http_find(&o->head, PUSH_RUN_HEADER)->value, "4711"));
    assert_int_equal(rig->n_granted, 0);
    origin_say(o, CONTINUE(42));
    UNTIL(rig->n_granted == 1);
    assert_true(rig->epoch == 42);
    frame(VIEW(k_avc_config));
    gop(3);
    UNTIL(media_of(o).n_inter == 3);
    m = media_of(o);
    assert_int_equal(m.n_key, 1);
    assert_true(m.n_hw >= 1);
    assert_true(m.hw.epoch == 42 && m.hw.run == RUN);
    tear_down();
}

static void test_origin_may_hold_the_encoder_ready_first(void **state)
{
    (void)state;
    set_up(NO_SETS);
    start_at(0);
    origin_say(&rig->origins[0], PROCESSING PROCESSING);
    UNTIL(rig->n_standby == 1);
    assert_int_equal(rig->n_granted, 0);
    origin_say(&rig->origins[0], PROCESSING CONTINUE(43));
    UNTIL(rig->n_granted == 1);
    assert_int_equal(rig->n_standby, 1);
    tear_down();
}

static void test_final_answers_end_the_push(void **state)
{
    static const struct {
        unsigned status;
        enum err why;
    } k_rows[] = {{409, E_BUSY}, {403, E_DENIED}};

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        set_up(NO_SETS);
        start_granted();
        origin_end(&rig->origins[0], k_rows[i].status, "somebody \"else\"");
        UNTIL(rig->n_failed == 1);
        assert_int_equal(rig->why, k_rows[i].why);
        assert_string_equal(rig->text, "somebody \"else\"");
        assert_int_equal(rig->n_asked, 0);
        tear_down();
    }
}

static void test_lost_origin_is_replaced_from_the_gop_in_progress(void **state)
{
    struct origin *second;

    (void)state;
    set_up(NO_SETS);
    second = &rig->origins[1];
    start_granted();
    frame(VIEW(k_avc_config));
    gop(3);
    UNTIL(media_of(&rig->origins[0]).n_inter == 3);
    origin_hang_up(&rig->origins[0]);
    UNTIL(rig->ask != NULL);
    assert_true(rig->ask->publish.run == RUN);
    assert_int_equal(rig->ask->publish.avoid.n, 1);
    assert_string_equal(rig->ask->publish.avoid.id[0], "o1");
    frame(VIEW(k_avc_inter)); /* nobody has it yet */
    answer_forward(1);
    UNTIL(second->has_head);
    origin_say(second, CONTINUE(50));
    UNTIL(rig->n_granted == 2);
    frame(VIEW(k_avc_inter));
    UNTIL(media_of(second).n_inter == 5);
    assert_true(media_of(second).key_first);
    assert_int_equal(media_of(second).n_key, 1);
    assert_int_equal(rig->n_failed, 0);
    tear_down();
}

static void test_silent_origin_is_lost(void **state)
{
    (void)state;
    set_up(SETS("upstream_stall_ms=150"));
    start_granted();
    UNTIL(rig->ask != NULL); /* its connection is open, and nothing comes */
    assert_false(rig->origins[0].fd < 0);
    answer_forward(1);
    UNTIL(rig->origins[1].has_head);
    tear_down();
}

static void test_origin_that_beats_is_not_lost(void **state)
{
    int64_t until_us;

    (void)state;
    set_up(SETS("upstream_stall_ms=200"));
    start_granted();
    until_us = clock_mono_us() + 600000;
    while (clock_mono_us() < until_us) {
        origin_say(&rig->origins[0], PROCESSING);
        turn(true);
    }
    assert_int_equal(rig->n_asked, 0);
    tear_down();
}

static void test_push_fails_when_no_origin_takes_it_in_time(void **state)
{
    (void)state;
    set_up(SETS("forward_buffer_ms=300"));
    start_granted();
    origin_hang_up(&rig->origins[0]);
    close(rig->origins[0].listen_fd);
    rig->origins[0].listen_fd = -1;
    while (!rig->n_failed) {
        turn(true);
        if (rig->ask)
            answer_forward(0);
    }
    assert_int_equal(rig->why, E_TIMEOUT);
    assert_non_null(strstr(rig->text, "forward_buffer_ms"));
    assert_non_null(strstr(rig->text, "o1: "));
    assert_true(rig->n_asked >= 2);
    tear_down();
}

static void test_push_tries_the_next_origin_before_the_first_grant(void **state)
{
    (void)state;
    set_up(NO_SETS);
    start_at(0);
    origin_end(&rig->origins[0], 503, "this node is shutting down");
    UNTIL(rig->ask != NULL);
    assert_string_equal(rig->ask->publish.avoid.id[0], "o1");
    answer_forward(1);
    UNTIL(rig->origins[1].has_head);
    origin_say(&rig->origins[1], CONTINUE(44));
    UNTIL(rig->n_granted == 1);
    tear_down();
}

static void test_refusal_with_an_owner_is_final_and_one_without_only_at_first(void **state)
{
    struct cluster_publish_reply owned = {
        .decision = CLUSTER_PUBLISH_REFUSED, .origin = "o9", .reason = "published at o9"};
    struct cluster_publish_reply none = {.decision = CLUSTER_PUBLISH_REFUSED,
                                         .reason = "no origin"};

    (void)state;
    set_up(NO_SETS);
    start_granted();
    origin_hang_up(&rig->origins[0]);
    UNTIL(rig->ask != NULL);
    answer(&none, false);
    UNTIL(rig->ask != NULL); /* it may come back */
    answer(&owned, false);
    assert_int_equal(rig->n_failed, 1);
    assert_int_equal(rig->why, E_BUSY);
    assert_string_equal(rig->text, "published at o9");
    tear_down();

    set_up(NO_SETS);
    start_at(0);
    origin_hang_up(&rig->origins[0]);
    UNTIL(rig->ask != NULL);
    answer(&none, false);
    assert_int_equal(rig->n_failed, 1);
    assert_string_equal(rig->text, "no origin");
    tear_down();
}

static void test_stream_moves_before_its_origin_leaves(void **state)
{
    struct origin *first, *second;

    (void)state;
    set_up(NO_SETS);
    first = &rig->origins[0];
    second = &rig->origins[1];
    start_granted();
    frame(VIEW(k_avc_config));
    gop(2);
    push_on_leaving(&rig->base.node, rig->stream, "o7"); /* not ours */
    push_on_leaving(&rig->base.node, rig->stream, "o1");
    UNTIL(rig->ask != NULL);
    assert_string_equal(rig->ask->publish.avoid.id[0], "o1");
    answer_forward(1);
    UNTIL(second->has_head);
    frame(VIEW(k_avc_inter));
    UNTIL(media_of(first).n_inter == 3); /* it still gets everything */
    assert_false(first->ended);
    origin_say(second, CONTINUE(60));
    UNTIL(rig->n_granted == 2);
    UNTIL(first->ended);
    frame(VIEW(k_avc_inter));
    UNTIL(media_of(second).n_inter == 4);
    assert_true(media_of(second).key_first);
    assert_int_equal(media_of(first).n_inter, 3);
    tear_down();
}

static void test_origin_that_is_fenced_for_the_next_one_does_not_end_the_push(void **state)
{
    (void)state;
    set_up(NO_SETS);
    start_moving();
    origin_end(&rig->origins[0], 409, "the stream has a newer owner on another node");
    UNTIL(rig->origins[0].ended);
    origin_say(&rig->origins[1], CONTINUE(61));
    UNTIL(rig->n_granted == 2);
    assert_int_equal(rig->n_failed, 0);
    tear_down();
}

/* The one that took its place died before it could say so. */
static void test_origin_that_is_fenced_while_leaving_gives_another_question(void **state)
{
    (void)state;
    set_up(NO_SETS);
    start_moving();
    origin_hang_up(&rig->origins[1]);
    UNTIL(rig->ask != NULL);
    origin_end(&rig->origins[0], 409, "the stream has a newer owner on another node");
    UNTIL(rig->origins[0].ended);
    assert_int_equal(rig->n_failed, 0);
    answer_forward(2);
    UNTIL(rig->origins[2].has_head);
    origin_say(&rig->origins[2], CONTINUE(62));
    UNTIL(rig->n_granted == 2);
    tear_down();
}

static void test_operators_word_ends_a_push_that_is_moving(void **state)
{
    (void)state;
    set_up(NO_SETS);
    start_moving();
    origin_end(&rig->origins[0], 403, "closed by the operator");
    UNTIL(rig->n_failed == 1);
    assert_int_equal(rig->why, E_DENIED);
    tear_down();
}

static void test_live_encoder_does_not_step_back(void **state)
{
    (void)state;
    set_up(NO_SETS);
    start_granted();
    origin_hang_up(&rig->origins[0]);
    UNTIL(rig->ask != NULL);
    answer_forward(1);
    UNTIL(rig->origins[1].has_head);
    origin_say(&rig->origins[1], PROCESSING);
    UNTIL(rig->n_failed == 1);
    assert_int_equal(rig->why, E_BUSY);
    assert_int_equal(rig->n_standby, 0);
    tear_down();
}

static void test_fallback_origins_are_used_without_a_scheduler(void **state)
{
    char set[200];

    (void)state;
    set_up(NO_SETS);
    snprintf(set, sizeof set, "fallback_origins=%s,%s", rig->origins[1].http, rig->origins[0].http);
    conf_free(&k_node_schema, &rig->base.node.conf);
    {
        const char *sets[] = {set};
        struct conf_args args = {.sets = sets, .n_sets = 1};
        struct conf_error error;

        assert_int_equal(conf_load(&k_node_schema, &args, &rig->base.node.conf, &error), E_OK);
    }
    start(NULL);
    UNTIL(rig->origins[1].has_head);
    origin_hang_up(&rig->origins[1]);
    UNTIL(rig->ask != NULL);
    assert_int_equal(rig->ask->publish.avoid.n, 0); /* it has no name */
    answer(&(struct cluster_publish_reply){.decision = CLUSTER_PUBLISH_GRANTED, .epoch = 9}, true);
    UNTIL(rig->origins[0].has_head);
    assert_int_equal(rig->n_released, 0);
    tear_down();
}

static void test_encoder_is_refused_at_once_without_scheduler_and_fallback(void **state)
{
    (void)state;
    set_up(NO_SETS);
    start(NULL);
    UNTIL(rig->n_failed == 1);
    assert_int_equal(rig->why, E_TIMEOUT);
    assert_non_null(strstr(rig->text, "fallback_origins is empty"));
    tear_down();
}

/* Within one turn, as sessions do it. */
static void push_and_leave(struct loop_msg *msg)
{
    (void)msg;
    gop(4);
    push_destroy(&rig->push);
    stream_detach(&rig->source);
}

static void test_destroy_sends_what_was_pushed_before(void **state)
{
    struct loop_msg msg = {.run = push_and_leave};

    (void)state;
    set_up(NO_SETS);
    start_granted();
    frame(VIEW(k_avc_config));
    gop(1);
    UNTIL(media_of(&rig->origins[0]).n_inter == 1);
    loop_post(stream_home(rig->stream)->loop, &msg);
    UNTIL(rig->origins[0].ended);
    assert_int_equal(media_of(&rig->origins[0]).n_inter, 5);
    assert_int_equal(media_of(&rig->origins[0]).n_key, 2);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origin_that_grants_gets_the_stream),
        cmocka_unit_test(test_origin_may_hold_the_encoder_ready_first),
        cmocka_unit_test(test_final_answers_end_the_push),
        cmocka_unit_test(test_lost_origin_is_replaced_from_the_gop_in_progress),
        cmocka_unit_test(test_silent_origin_is_lost),
        cmocka_unit_test(test_origin_that_beats_is_not_lost),
        cmocka_unit_test(test_push_fails_when_no_origin_takes_it_in_time),
        cmocka_unit_test(test_push_tries_the_next_origin_before_the_first_grant),
        cmocka_unit_test(test_refusal_with_an_owner_is_final_and_one_without_only_at_first),
        cmocka_unit_test(test_stream_moves_before_its_origin_leaves),
        cmocka_unit_test(test_origin_that_is_fenced_for_the_next_one_does_not_end_the_push),
        cmocka_unit_test(test_origin_that_is_fenced_while_leaving_gives_another_question),
        cmocka_unit_test(test_operators_word_ends_a_push_that_is_moving),
        cmocka_unit_test(test_live_encoder_does_not_step_back),
        cmocka_unit_test(test_fallback_origins_are_used_without_a_scheduler),
        cmocka_unit_test(test_encoder_is_refused_at_once_without_scheduler_and_fallback),
        cmocka_unit_test(test_destroy_sends_what_was_pushed_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
