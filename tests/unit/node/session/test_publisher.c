/* node/session/publisher: what becomes of a publish, for any protocol. The scheduler and the push
 * are played by the test. */
#include "tests/unit/node/session/publisher_rig.h"

#include "node/cluster/agent.h"
#include "node/relay/push.h"

#define MAX_SESSIONS 3
#define MAX_ASKS 4

static struct rig {
    struct node_rig base;
    struct session sessions[MAX_SESSIONS];
    struct agent_ask *asks[MAX_ASKS]; /* not answered yet */
    unsigned n_asks, n_asked;
    uint64_t released;
    unsigned n_released;
    /* the push */
    struct push_conf push_conf;
    struct push *push; /* not NULL while there is one */
    char pushed_to[CLUSTER_ID_SIZE];
    unsigned n_sends;
} * rig;

/* --- stand-ins for agent.c and push.c --- */

void agent_ask(struct agent *agent, struct agent_ask *ask)
{
    ask->agent = agent;
    assert_true(rig->n_asks < MAX_ASKS);
    rig->asks[rig->n_asks++] = ask;
    rig->n_asked++;
}

void agent_release(struct agent *agent, const struct stream_name *name, uint64_t epoch)
{
    (void)agent;
    assert_string_equal(name->text, "live/x");
    rig->released = epoch;
    rig->n_released++;
}

struct push *push_create(const struct push_conf *conf, const struct cluster_publish_reply *origin)
{
    assert_null(rig->push);
    rig->push_conf = *conf;
    rig->push = (struct push *)rig;
    snprintf(rig->pushed_to, sizeof rig->pushed_to, "%s", origin ? origin->origin : "fallback");
    return rig->push;
}

void push_send(struct push *push)
{
    assert_ptr_equal(push, rig->push);
    rig->n_sends++;
}

void push_destroy(struct push **push)
{
    if (*push)
        rig->push = NULL;
    *push = NULL;
}

/* Answers the oldest question. */
static void answer(const struct cluster_publish_reply *reply, bool degraded)
{
    struct agent_ask *ask = rig->asks[0];

    assert_true(rig->n_asks > 0);
    memmove(rig->asks, rig->asks + 1, --rig->n_asks * sizeof rig->asks[0]);
    ask->publish_reply = *reply;
    ask->degraded = degraded;
    ask->done(ask);
}

static void grant(uint64_t epoch)
{
    answer(&(struct cluster_publish_reply){.decision = CLUSTER_PUBLISH_GRANTED, .epoch = epoch},
           false);
}

/* --- sessions --- */

struct how { /* to begin */
    const char *app;
    unsigned loop;
    const char *edge;
    uint64_t run;
};

static void end_and_settle(struct session *s)
{
    end(s);
    node_rig_settle(&rig->base);
}

static struct session *begin_as(unsigned index, const struct how *how)
{
    struct session *s = &rig->sessions[index];
    struct stream_name name = node_rig_name(how->app ? how->app : "live", "x");
    struct publisher_request request = {
        .name = &name, .client = "10.0.0.9:1", .edge = how->edge ? how->edge : "", .run = how->run};
    struct access_request access = k_access_request_empty;

    access.name = name;
    if (!how->edge)
        request.access = &access;
    if (s->peer_fd >= 0)
        end_and_settle(s);
    open_session(s, &rig->base.loops[how->loop]);
    enter(s);
    publisher_begin(&s->publisher, &request);
    leave(s);
    node_rig_settle(&rig->base);
    return s;
}

static struct session *begin(unsigned index)
{
    return begin_as(index, &(struct how){.app = "live"});
}

static void media(struct session *s, uint8_t type, int64_t dts_ms, struct buf_view body)
{
    const char *why = "";

    assert_int_equal(publisher_media(&s->publisher, type, dts_ms * 1000, body, &why), E_OK);
}

static struct stream_info info_of(const struct session *s)
{
    struct stream_info info;

    stream_get_info(s->publisher.stream, &info);
    return info;
}

/* --- set-up --- */

static void set_up(const char *const *sets, bool with_scheduler)
{
    static const struct stream_hooks k_hooks;

    rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    node_rig_open(&rig->base, sets, &k_hooks);
    if (with_scheduler)
        rig->base.node.agent = (struct agent *)rig;
    for (unsigned i = 0; i < MAX_SESSIONS; i++)
        rig->sessions[i].peer_fd = -1;
}

static void tear_down(void)
{
    for (unsigned i = 0; i < MAX_SESSIONS; i++)
        if (rig->sessions[i].peer_fd >= 0)
            end_and_settle(&rig->sessions[i]);
    assert_int_equal(rig->n_asks, 0);
    assert_null(rig->push);
    node_rig_close(&rig->base);
    free(rig);
}

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_SETS ((const char *const[]){NULL})

/* --- tests --- */

static void test_begin_goes_live_without_a_scheduler(void **state)
{
    struct session *s;

    (void)state;
    set_up(NO_SETS, false);
    s = begin(0);
    assert_true(s->live);
    assert_string_equal(s->info.kind, "publish");
    assert_int_equal(info_of(s).epoch, 0);
    assert_true(info_of(s).run != 0);
    tear_down();
}

static void test_begin_moves_to_the_home_loop_before_it_decides(void **state)
{
    struct session *s;
    struct node_loop *home;

    (void)state;
    set_up(NO_SETS, false);
    s = begin(0);
    home = stream_home(s->publisher.stream)->owner;
    end_and_settle(s);
    s = begin_as(0, &(struct how){.loop = home == &rig->base.loops[0] ? 1 : 0});
    assert_int_equal(s->n_moves, 1);
    assert_ptr_equal(s->nl, home);
    assert_int_equal(home->media.n_sessions, 1);
    assert_true(s->live);
    tear_down();
}

static void test_begin_is_refused_when_publishing_is_closed_but_not_to_an_edge(void **state)
{
    struct session *s;

    (void)state;
    set_up(SETS("publish.open=false"), false);
    s = begin(0);
    assert_true(s->over);
    assert_int_equal(s->fault, PUBLISHER_DENIED);
    s = begin_as(1, &(struct how){.edge = "edge-1", .run = 5});
    assert_true(s->live);
    assert_string_equal(info_of(s).upstream, "edge-1");
    assert_true(info_of(s).run == 5);
    tear_down();
}

static void test_begin_is_refused_when_the_node_drains(void **state)
{
    struct session *s;

    (void)state;
    set_up(NO_SETS, false);
    atomic_store(&rig->base.node.draining, true);
    s = begin(0);
    assert_true(s->over);
    assert_int_equal(s->fault, PUBLISHER_LEAVING);
    tear_down();
}

static void test_second_publisher_is_treated_by_the_policy_of_the_app(void **state)
{
    struct session *first, *second;

    (void)state;
    set_up(SETS("publish.duplicate_apps=live/take=takeover,spare=standby"), false);
    first = begin(0);
    second = begin(1);
    assert_true(first->live);
    assert_int_equal(second->fault, PUBLISHER_BUSY);
    end_and_settle(first);
    first = begin_as(0, &(struct how){.app = "live/take"});
    second = begin_as(2, &(struct how){.app = "live/take"});
    assert_true(second->live);
    assert_true(first->over);
    assert_int_equal(first->fault, PUBLISHER_TAKEN);
    end_and_settle(second);
    first = begin_as(0, &(struct how){.app = "spare"});
    second = begin_as(2, &(struct how){.app = "spare"});
    assert_true(first->live);
    assert_true(second->standby);
    assert_string_equal(second->info.kind, "standby");
    assert_int_equal(info_of(first).n_standbys, 1);
    tear_down();
}

static void test_same_run_takes_over_whatever_the_policy(void **state)
{
    struct session *first, *second;

    (void)state;
    set_up(NO_SETS, false);
    first = begin_as(0, &(struct how){.edge = "edge-1", .run = 7});
    second = begin_as(1, &(struct how){.edge = "edge-1", .run = 7});
    assert_true(second->live);
    assert_int_equal(first->fault, PUBLISHER_TAKEN);
    second = begin_as(2, &(struct how){.edge = "edge-1", .run = 8});
    assert_int_equal(second->fault, PUBLISHER_BUSY);
    tear_down();
}

static void test_standby_goes_live_with_what_it_said_of_its_tracks(void **state)
{
    struct session *first, *second;

    (void)state;
    set_up(SETS("publish.duplicate=standby"), false);
    first = begin(0);
    media(first, FLV_TAG_AUDIO, 0, VIEW(k_aac_config));
    second = begin(1);
    media(second, FLV_TAG_SCRIPT, 0, VIEW(k_metadata));
    media(second, FLV_TAG_VIDEO, 0, VIEW(k_avc_config));
    media(second, FLV_TAG_VIDEO, 0, VIEW(k_avc_key));
    media(second, FLV_TAG_VIDEO, 40, VIEW(k_avc_inter));
    assert_int_equal(info_of(first).n_frames[MEDIA_VIDEO], 0);
    end_and_settle(first);
    assert_true(second->live);
    assert_int_equal(second->n_accepted, 2);
    assert_string_equal(second->info.kind, "publish");
    assert_int_equal(info_of(second).n_frames[MEDIA_DATA], 1);
    assert_int_equal(info_of(second).n_frames[MEDIA_VIDEO], 1); /* the configuration alone */
    assert_int_equal(info_of(second).codecs.video, CODEC_H264);
    assert_true(info_of(second).gop == 0);
    media(second, FLV_TAG_VIDEO, 80, VIEW(k_avc_inter)); /* useless before a key frame */
    assert_true(info_of(second).gop == 0);
    tear_down();
}

static void test_standbys_have_their_turns_in_the_order_of_coming(void **state)
{
    struct session *a, *b, *c;

    (void)state;
    set_up(SETS("publish.duplicate=standby"), false);
    a = begin(0);
    b = begin(1);
    c = begin(2);
    end_and_settle(a);
    assert_true(b->live);
    assert_true(c->standby);
    end_and_settle(b);
    assert_true(c->live);
    tear_down();
}

static void test_standby_that_leaves_has_no_turn(void **state)
{
    struct session *a, *b;

    (void)state;
    set_up(SETS("publish.duplicate=standby"), false);
    a = begin(0);
    b = begin(1);
    end_and_settle(b);
    assert_int_equal(info_of(a).n_standbys, 0);
    tear_down();
}

static void test_silent_standby_is_closed(void **state)
{
    struct session *a, *b;

    (void)state;
    set_up(SETS("publish.duplicate=standby", "publish_stall_ms=100"), false);
    rig->base.node.stream_conf.publish_stall_ms = 60000; /* the owner may be silent */
    a = begin(0);
    b = begin(1);
    NODE_RIG_UNTIL(&rig->base, b->over);
    assert_int_equal(b->fault, PUBLISHER_SILENT);
    assert_true(a->live);
    tear_down();
}

static void test_broken_media_of_a_standby_is_an_error(void **state)
{
    static const uint8_t k_broken[] = {0x17};
    struct session *b;
    const char *why = "";

    (void)state;
    set_up(SETS("publish.duplicate=standby"), false);
    begin(0);
    b = begin(1);
    assert_int_equal(publisher_media(&b->publisher, FLV_TAG_VIDEO, 0, VIEW(k_broken), &why),
                     E_PROTO);
    assert_true(*why);
    tear_down();
}

static void test_media_of_nodes_in_an_encoders_stream_is_dropped(void **state)
{
    struct flv_hw hw = {.v = 1, .epoch = 99, .end = true};
    struct buf_writer body;
    struct session *s;

    (void)state;
    set_up(NO_SETS, false);
    s = begin(0);
    buf_writer_init(&body, 1024);
    flv_write_hw_body(&body, &hw);
    media(s, FLV_TAG_SCRIPT, 0, buf_writer_view(&body));
    assert_int_equal(info_of(s).n_frames[MEDIA_DATA], 0);
    media(s, FLV_TAG_SCRIPT, 0, VIEW(k_metadata));
    assert_int_equal(info_of(s).n_frames[MEDIA_DATA], 1);
    buf_writer_fini(&body);
    tear_down();
}

static void test_scheduler_is_asked_with_policy_run_and_client(void **state)
{
    struct session *s;
    const struct cluster_publish *asked;

    (void)state;
    set_up(SETS("publish.duplicate=takeover"), true);
    s = begin_as(0, &(struct how){.edge = "edge-1", .run = 77});
    assert_true(publisher_is_pending(&s->publisher));
    assert_int_equal(rig->n_asks, 1);
    asked = &rig->asks[0]->publish;
    assert_string_equal(asked->name.text, "live/x");
    assert_int_equal(asked->duplicate, CLUSTER_DUPLICATE_TAKEOVER);
    assert_true(asked->run == 77);
    assert_string_equal(asked->client, "10.0.0.9:1");
    grant(500);
    assert_true(s->live);
    assert_true(publisher_epoch(&s->publisher) == 500);
    end_and_settle(s);
    assert_true(rig->released == 500);
    tear_down();
}

static void test_refusal_of_the_scheduler_is_told_with_its_reason(void **state)
{
    struct session *s;

    (void)state;
    set_up(NO_SETS, true);
    s = begin(0);
    answer(&(struct cluster_publish_reply){.decision = CLUSTER_PUBLISH_REFUSED,
                                           .origin = "n7",
                                           .reason = "published at n7"},
           false);
    assert_int_equal(s->fault, PUBLISHER_REFUSED);
    assert_string_equal(s->text, "published at n7");
    s = begin(1); /* nobody has the stream: another node may get a lease */
    answer(&(struct cluster_publish_reply){.decision = CLUSTER_PUBLISH_REFUSED,
                                           .reason = "limits.streams reached"},
           false);
    assert_int_equal(s->fault, PUBLISHER_NO_ORIGIN);
    assert_string_equal(s->text, "limits.streams reached");
    assert_int_equal(rig->n_released, 0);
    tear_down();
}

static void test_lease_that_comes_too_late_is_given_back(void **state)
{
    struct session *s;

    (void)state;
    set_up(NO_SETS, true);
    s = begin(0);
    end_and_settle(s);
    grant(501);
    assert_true(rig->released == 501);
    tear_down();
}

static void test_two_that_come_at_once_are_decided_one_after_the_other(void **state)
{
    struct session *a, *b;

    (void)state;
    set_up(NO_SETS, true);
    a = begin(0);
    b = begin(1);
    assert_int_equal(rig->n_asked, 1);
    assert_true(publisher_is_pending(&b->publisher));
    grant(600);
    assert_true(a->live);
    NODE_RIG_UNTIL(&rig->base, b->over);
    assert_int_equal(b->fault, PUBLISHER_BUSY);
    assert_int_equal(rig->n_asked, 1); /* one lease, not two */
    tear_down();
}

static void test_the_next_one_is_decided_when_the_first_leaves_undecided(void **state)
{
    struct session *a, *b;

    (void)state;
    set_up(NO_SETS, true);
    a = begin(0);
    b = begin(1);
    end_and_settle(a);
    NODE_RIG_UNTIL(&rig->base, rig->n_asks == 2);
    answer(&(struct cluster_publish_reply){.decision = CLUSTER_PUBLISH_REFUSED}, false);
    grant(700);
    assert_true(b->live);
    tear_down();
}

static void test_scheduler_makes_a_standby_and_promotes_it(void **state)
{
    struct session *s;

    (void)state;
    set_up(SETS("publish.duplicate=standby"), true);
    s = begin(0);
    answer(&(struct cluster_publish_reply){.decision = CLUSTER_PUBLISH_STANDBY}, false);
    assert_true(s->standby);
    assert_true(stream_promote(s->publisher.stream, 800));
    assert_true(s->live);
    assert_true(publisher_epoch(&s->publisher) == 800);
    end_and_settle(s);
    assert_true(rig->released == 800);
    tear_down();
}

static void test_turn_asks_for_a_lease_and_may_have_to_stand_by_again(void **state)
{
    struct session *a, *b;

    (void)state;
    set_up(SETS("publish.duplicate=standby"), true);
    a = begin(0);
    grant(900);
    b = begin(1);
    assert_true(b->standby);
    assert_int_equal(rig->n_asked, 1); /* the lease is this node's already */
    end_and_settle(a);
    assert_int_equal(rig->n_asks, 1);
    assert_false(publisher_is_pending(&b->publisher)); /* its media is read meanwhile */
    media(b, FLV_TAG_VIDEO, 0, VIEW(k_avc_key));
    answer(&(struct cluster_publish_reply){.decision = CLUSTER_PUBLISH_STANDBY}, false);
    assert_int_equal(b->n_accepted, 1);
    assert_string_equal(b->info.kind, "standby");
    assert_true(stream_promote(b->publisher.stream, 901));
    assert_true(b->live);
    tear_down();
}

static const struct cluster_publish_reply k_forward = {.decision = CLUSTER_PUBLISH_FORWARD,
                                                       .origin = "o1",
                                                       .origin_rtmp = "rtmp://h:1",
                                                       .origin_http = "http://h:2"};

static void test_forwarded_publisher_is_accepted_when_the_origin_has_granted(void **state)
{
    struct session *s;

    (void)state;
    set_up(SETS("cluster.role=edge"), true);
    s = begin(0);
    answer(&k_forward, false);
    assert_string_equal(rig->pushed_to, "o1");
    assert_true(rig->push_conf.run != 0);
    assert_true(publisher_is_pending(&s->publisher));
    assert_false(info_of(s).live); /* a stream that is pulled from elsewhere goes on until then */
    rig->push_conf.ops->on_granted(rig->push_conf.arg, 1000);
    assert_true(s->live);
    assert_int_equal(rig->n_sends, 1);
    assert_true(info_of(s).epoch == 1000);
    assert_true(info_of(s).run == rig->push_conf.run);
    rig->push_conf.ops->on_granted(rig->push_conf.arg, 1001); /* another origin */
    assert_int_equal(rig->n_sends, 2);
    assert_true(info_of(s).epoch == 1001);
    assert_int_equal(s->n_accepted, 1);
    end_and_settle(s);
    assert_int_equal(rig->n_released, 0); /* the lease is the origin's */
    tear_down();
}

static void test_posted_publisher_that_is_forwarded_keeps_the_epoch_of_its_origin(void **state)
{
    struct stream_upstream said = {.epoch = 900, .gop = 1, .ingest_us = 1};
    struct session *s;

    (void)state;
    set_up(SETS("cluster.role=edge"), true);
    s = begin_as(0, &(struct how){.app = "live", .edge = "e2", .run = 77});
    answer(&k_forward, false);
    rig->push_conf.ops->on_granted(rig->push_conf.arg, 1000);
    said.run = 77;
    publisher_set_upstream(&s->publisher, &said);
    assert_true(info_of(s).epoch == 1000);
    end_and_settle(s);
    tear_down();
}

static void test_forwarded_publisher_hears_why_it_ends(void **state)
{
    static const struct {
        enum err why;
        enum publisher_fault fault;
    } k_rows[] = {{E_BUSY, PUBLISHER_REFUSED},
                  {E_DENIED, PUBLISHER_KICKED},
                  {E_TIMEOUT, PUBLISHER_NO_ORIGIN}};

    (void)state;
    set_up(SETS("cluster.role=edge"), true);
    for (unsigned i = 0; i < 3; i++) {
        struct session *s = begin(i);

        answer(&k_forward, false);
        rig->push_conf.ops->on_failed(rig->push_conf.arg, k_rows[i].why, "says the origin");
        assert_int_equal(s->fault, k_rows[i].fault);
        assert_string_equal(s->text, "says the origin");
        assert_null(rig->push);
    }
    tear_down();
}

static void test_origin_holds_a_forwarded_publisher_ready(void **state)
{
    struct session *s;

    (void)state;
    set_up(SETS("cluster.role=edge", "publish.duplicate=standby"), true);
    s = begin(0);
    answer(&k_forward, false);
    rig->push_conf.ops->on_standby(rig->push_conf.arg);
    assert_true(s->standby);
    media(s, FLV_TAG_VIDEO, 0, VIEW(k_avc_config));
    rig->push_conf.ops->on_granted(rig->push_conf.arg, 1100);
    assert_true(s->live);
    assert_int_equal(rig->n_sends, 1);
    assert_int_equal(info_of(s).codecs.video, CODEC_H264);
    tear_down();
}

static void test_edge_without_scheduler_forwards_to_fallback_origins(void **state)
{
    struct session *s;

    (void)state;
    set_up(SETS("cluster.role=edge"), true);
    s = begin(0);
    answer(&(struct cluster_publish_reply){.decision = CLUSTER_PUBLISH_GRANTED, .epoch = 3}, true);
    assert_string_equal(rig->pushed_to, "fallback");
    end_and_settle(s);
    assert_int_equal(rig->n_released, 0);
    tear_down();
}

static void test_forward_without_http_address_says_where_to_publish(void **state)
{
    struct cluster_publish_reply reply = k_forward;
    struct session *s;

    (void)state;
    set_up(SETS("cluster.role=edge"), true);
    reply.origin_http[0] = '\0';
    s = begin(0);
    answer(&reply, false);
    assert_int_equal(s->fault, PUBLISHER_REFUSED);
    assert_non_null(strstr(s->text, "rtmp://h:1"));
    tear_down();
}

static void test_fenced_and_kicked_publishers_hear_why(void **state)
{
    struct session *a, *b;

    (void)state;
    set_up(NO_SETS, true);
    a = begin(0);
    grant(1200);
    stream_fence(a->publisher.stream);
    assert_int_equal(a->fault, PUBLISHER_FENCED);
    b = begin(1);
    grant(1201);
    stream_kick(b->publisher.stream);
    assert_int_equal(b->fault, PUBLISHER_KICKED);
    tear_down();
}

static void test_standby_of_a_stream_that_is_kicked_begins_the_next_one(void **state)
{
    struct session *a, *b;

    (void)state;
    set_up(SETS("publish.duplicate=standby"), false);
    a = begin(0);
    b = begin(1);
    stream_kick(a->publisher.stream);
    NODE_RIG_UNTIL(&rig->base, b->live);
    assert_int_equal(a->fault, PUBLISHER_KICKED);
    assert_false(stream_has_ended(b->publisher.stream));
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begin_goes_live_without_a_scheduler),
        cmocka_unit_test(test_begin_moves_to_the_home_loop_before_it_decides),
        cmocka_unit_test(test_begin_is_refused_when_publishing_is_closed_but_not_to_an_edge),
        cmocka_unit_test(test_begin_is_refused_when_the_node_drains),
        cmocka_unit_test(test_second_publisher_is_treated_by_the_policy_of_the_app),
        cmocka_unit_test(test_same_run_takes_over_whatever_the_policy),
        cmocka_unit_test(test_standby_goes_live_with_what_it_said_of_its_tracks),
        cmocka_unit_test(test_standbys_have_their_turns_in_the_order_of_coming),
        cmocka_unit_test(test_standby_that_leaves_has_no_turn),
        cmocka_unit_test(test_silent_standby_is_closed),
        cmocka_unit_test(test_broken_media_of_a_standby_is_an_error),
        cmocka_unit_test(test_media_of_nodes_in_an_encoders_stream_is_dropped),
        cmocka_unit_test(test_scheduler_is_asked_with_policy_run_and_client),
        cmocka_unit_test(test_refusal_of_the_scheduler_is_told_with_its_reason),
        cmocka_unit_test(test_lease_that_comes_too_late_is_given_back),
        cmocka_unit_test(test_two_that_come_at_once_are_decided_one_after_the_other),
        cmocka_unit_test(test_the_next_one_is_decided_when_the_first_leaves_undecided),
        cmocka_unit_test(test_scheduler_makes_a_standby_and_promotes_it),
        cmocka_unit_test(test_turn_asks_for_a_lease_and_may_have_to_stand_by_again),
        cmocka_unit_test(test_forwarded_publisher_is_accepted_when_the_origin_has_granted),
        cmocka_unit_test(test_posted_publisher_that_is_forwarded_keeps_the_epoch_of_its_origin),
        cmocka_unit_test(test_forwarded_publisher_hears_why_it_ends),
        cmocka_unit_test(test_origin_holds_a_forwarded_publisher_ready),
        cmocka_unit_test(test_edge_without_scheduler_forwards_to_fallback_origins),
        cmocka_unit_test(test_forward_without_http_address_says_where_to_publish),
        cmocka_unit_test(test_fenced_and_kicked_publishers_hear_why),
        cmocka_unit_test(test_standby_of_a_stream_that_is_kicked_begins_the_next_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
