/* gate.c, gate_asking.c: questions and who waits for them. */
#include "hooks_rig.h"

#define MANY 20

static struct server_conn *held; /* has not been answered */

static void hold(struct server_conn *c)
{
    held = c;
}

static void fail_once(struct server_conn *c)
{
    say_status(c, c->server->n_requests == 1 ? "500 Oops" : "200 OK");
}

struct waiting {
    unsigned n_answers, n_drops;
    struct gate_answer answer;
};

static void on_answer(void *arg, const struct gate_answer *answer)
{
    struct waiting *w = arg;

    w->n_answers++;
    w->answer = *answer;
}

static void on_drop(void *arg)
{
    ((struct waiting *)arg)->n_drops++;
}

static void ask(struct waiting *w, const char *stream, const char *query, const char *peer)
{
    struct gate_question question = {.action = GATE_PLAY,
                                     .stream = stream,
                                     .query = query,
                                     .protocol = "flv",
                                     .session = "f-1",
                                     .peer = peer,
                                     .agent = NULL};

    *w = (struct waiting){.n_answers = 0};
    assert_true(gate_ask(&nl, &question, on_answer, on_drop, w));
}

static void ask_and_wait(struct waiting *w, const char *stream, const char *query, const char *peer)
{
    ask(w, stream, query, peer);
    assert_int_equal(w->n_answers, 0); /* never from within */
    TURN_UNTIL(w->n_answers);
}

static void test_is_asked_gives_true_for_its_events_alone(void **state)
{
    (void)state;
    open_hooks("%s mode=gate events=on_play,%s");
    assert_true(gate_is_asked(&node, GATE_PLAY));
    assert_false(gate_is_asked(&node, GATE_PUBLISH));
    assert_false(gate_is_asked(&node, GATE_NOT_FOUND));
    close_hooks();
}

static void test_ask_says_what_is_known_and_gives_answer(void **state)
{
    struct waiting w;

    (void)state;
    open_hooks("%s/gate mode=gate");
    a.body = "{\"allow\":false,\"reason\":\"unpaid\",\"status\":402}";
    ask_and_wait(&w, "live/x", "token=1", "10.0.0.1:5");
    assert_int_equal(w.answer.verdict, GATE_DENY);
    assert_int_equal(w.answer.status, 402);
    assert_string_equal(w.answer.reason, "unpaid");
    assert_false(w.answer.is_policy);
    assert_non_null(
        strstr(a.last, "\"question\":{\"id\":\"abc-q1\",\"event\":\"on_play\",\"time\":\""));
    assert_non_null(strstr(a.last,
                           "\"stream\":\"live/x\",\"query\":\"token=1\",\"protocol\":\"flv\","
                           "\"session\":\"f-1\",\"peer\":\"10.0.0.1:5\",\"referrer\":\"\","
                           "\"agent\":\"\",\"trace\":\""));
    close_hooks();
}

/* MANY who differ by session and port alone, while the receiver holds back. */
static void ask_many(struct waiting w[MANY])
{
    char peer[24];

    a.on_request = hold;
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(peer, sizeof peer, "10.0.0.1:%u", 5000 + i);
        ask(&w[i], "live/x", "t=1", peer);
    }
    TURN_UNTIL(a.n_requests == 1);
}

static void test_ask_is_one_question_when_answer_may_be_kept(void **state)
{
    struct waiting w[MANY];
    int64_t n_shared = count_of(&m_gate_shared);

    (void)state;
    open_hooks("%s mode=gate");
    a.body = "{\"cache_s\":9}";
    ask_many(w);
    answer_ok(held);
    TURN_UNTIL(w[MANY - 1].n_answers);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(w[i].n_answers, 1);
    assert_int_equal(a.n_requests, 1);
    assert_int_equal(count_of(&m_gate_shared) - n_shared, MANY - 1);
    close_hooks();
}

/* A receiver that lets in two of one token counts them. */
static void test_ask_is_a_question_each_when_answer_may_not_be_kept(void **state)
{
    struct waiting w[MANY];

    (void)state;
    open_hooks("%s mode=gate");
    ask_many(w);
    a.on_request = answer_404;
    answer_ok(held);
    for (unsigned i = 0; i < MANY; i++)
        TURN_UNTIL(w[i].n_answers);
    assert_int_equal(w[0].answer.verdict, GATE_ALLOW);
    for (unsigned i = 1; i < MANY; i++)
        assert_int_equal(w[i].answer.verdict, GATE_DENY);
    assert_int_equal(a.n_requests, MANY);
    close_hooks();
}

static void test_ask_is_one_policy_when_nobody_answers(void **state)
{
    struct waiting w[MANY];

    (void)state;
    open_hooks("%s mode=gate retries=0");
    ask_many(w);
    server_conn_close(held);
    TURN_UNTIL(w[MANY - 1].n_answers);
    for (unsigned i = 0; i < MANY; i++)
        assert_true(w[i].n_answers == 1 && w[i].answer.is_policy);
    assert_int_equal(a.n_requests, 1);
    close_hooks();
}

/* Each of them differs from the first in one thing that receivers are told. */
static const struct gate_question k_others[] = {
    /* action, stream, query, protocol, session, peer, referrer, agent, trace */
    {GATE_PLAY, "live/x", "t=1", "flv", "f-1", "10.0.0.1:5", "r", "a b", {0, 0}},
    {GATE_PUBLISH, "live/x", "t=1", "flv", "f-1", "10.0.0.1:5", "r", "a b", {0, 0}},
    {GATE_PLAY, "live/y", "t=1", "flv", "f-1", "10.0.0.1:5", "r", "a b", {0, 0}},
    {GATE_PLAY, "live/x", "t=2", "flv", "f-1", "10.0.0.1:5", "r", "a b", {0, 0}},
    {GATE_PLAY, "live/x", "", "flv", "f-1", "10.0.0.1:5", "r", "a b", {0, 0}},
    {GATE_PLAY, "live/x", "t=1", "ts", "f-1", "10.0.0.1:5", "r", "a b", {0, 0}},
    {GATE_PLAY, "live/x", "t=1", "flv", "f-1", "10.0.0.2:5", "r", "a b", {0, 0}},
    {GATE_PLAY, "live/x", "t=1", "flv", "f-1", "[2001:db8::1]:5", "r", "a b", {0, 0}},
    {GATE_PLAY, "live/x", "t=1", "flv", "f-1", "[2001:db8::2]:5", "r", "a b", {0, 0}},
    {GATE_PLAY, "live/x", "t=1", "flv", "f-1", "10.0.0.1:5", "r a", "b", {0, 0}}, /* no guess where
                                                                                     it ends */
    {GATE_PLAY, "live/x", "t=1", "flv", "f-1", "10.0.0.1:5", "r", "a", {0, 0}},
};
#define N_OTHERS (sizeof k_others / sizeof k_others[0])

static void put_question(struct waiting *w, const struct gate_question *question)
{
    *w = (struct waiting){.n_answers = 0};
    assert_true(gate_ask(&nl, question, on_answer, on_drop, w));
}

static void test_ask_shares_nothing_when_anything_told_differs(void **state)
{
    struct waiting w[N_OTHERS], again;
    struct gate_question same = k_others[0];

    (void)state;
    open_hooks("%s mode=gate");
    a.body = "{\"cache_s\":60}";
    for (size_t i = 0; i < N_OTHERS; i++)
        put_question(&w[i], &k_others[i]);
    for (size_t i = 0; i < N_OTHERS; i++)
        TURN_UNTIL(w[i].n_answers);
    assert_int_equal(a.n_requests, N_OTHERS);
    same.session = "f-2";
    same.peer = "10.0.0.1:77";
    put_question(&again, &same);
    TURN_UNTIL(again.n_answers);
    assert_int_equal(a.n_requests, N_OTHERS); /* from the cache */
    close_hooks();
}

static void test_ask_is_answered_from_cache_as_reply_says(void **state)
{
    struct waiting w;

    (void)state;
    open_hooks("%s mode=gate");
    a.body = "{\"allow\":false,\"cache_s\":60}";
    ask_and_wait(&w, "live/x", "", "10.0.0.1:5");
    ask_and_wait(&w, "live/x", "", "10.0.0.1:77");
    assert_int_equal(w.answer.verdict, GATE_DENY);
    assert_int_equal(a.n_requests, 1);
    a.body = "{\"allow\":false}";
    ask_and_wait(&w, "live/y", "", "10.0.0.1:5");
    ask_and_wait(&w, "live/y", "", "10.0.0.1:5");
    assert_int_equal(a.n_requests, 3);
    close_hooks();
}

static void test_ask_asks_again_when_receiver_failed(void **state)
{
    struct waiting w;

    (void)state;
    open_hooks("%s mode=gate retries=1");
    a.on_request = fail_once;
    ask_and_wait(&w, "live/x", "", "10.0.0.1:5");
    assert_int_equal(w.answer.verdict, GATE_ALLOW);
    assert_false(w.answer.is_policy);
    assert_int_equal(a.n_requests, 2);
    close_hooks();
}

static void test_ask_gives_policy_when_nobody_answers(void **state)
{
    static const struct {
        const char *target;
        enum gate_verdict verdict;
    } k_rows[] = {{"%s mode=gate retries=0 fail=open", GATE_ALLOW},
                  {"%s mode=gate retries=0 fail=closed", GATE_DENY},
                  {"%s mode=gate retries=0 fail=open,%s mode=gate", GATE_DENY}};
    struct waiting w;

    (void)state;
    a.body = "{\"cache_s\":9";
    b.on_request = answer_404;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        open_hooks(k_rows[i].target);
        ask_and_wait(&w, "live/x", "", "10.0.0.1:5");
        assert_int_equal(w.answer.verdict, k_rows[i].verdict);
        assert_int_equal(w.answer.is_policy, i < 2);
        assert_int_equal(w.answer.status, i == 0 ? 0 : i == 1 ? 503 : 404);
        assert_int_equal(node.hooks->gate.cache.map.n_entries, 0);
        close_hooks();
    }
}

static void test_ask_takes_first_word_that_is_not_denied_later(void **state)
{
    struct waiting w;

    (void)state;
    a.body = "{\"rename\":\"live/new\",\"cache_s\":60}";
    open_hooks("%s mode=gate,%s mode=gate");
    ask_and_wait(&w, "live/x", "", "10.0.0.1:5");
    assert_int_equal(w.answer.verdict, GATE_RENAME);
    assert_string_equal(w.answer.name.text, "live/new");
    assert_int_equal(b.n_requests, 1);
    ask_and_wait(&w, "live/x", "", "10.0.0.1:5");
    assert_int_equal(b.n_requests, 2); /* b said nothing of keeping it */
    b.body = "{\"allow\":false}";
    ask_and_wait(&w, "live/x", "", "10.0.0.1:5");
    assert_int_equal(w.answer.verdict, GATE_DENY);
    close_hooks();
}

static void test_ask_takes_first_word_of_each_option(void **state)
{
    struct waiting w;

    (void)state;
    open_hooks("%s mode=gate,%s mode=gate");
    a.body = "{\"ingress_bps\":1000,\"cache_s\":60}";
    b.body = "{\"ingress_bps\":2000,\"record\":\"on\",\"cache_s\":60}";
    for (unsigned i = 0; i < 2; i++) { /* asked, and from the cache */
        put_question(&w, &k_others[1]);
        TURN_UNTIL(w.n_answers);
        assert_int_equal(w.answer.options.ingress_bps, 1000);
        assert_int_equal(w.answer.options.record, PUBLISH_RECORD_ON);
        assert_int_equal(w.answer.options.duplicate, -1);
    }
    assert_int_equal(a.n_requests, 1);
    a.body = b.body = "{\"cache_s\":60}";
    for (unsigned i = 0; i < 2; i++) {
        ask_and_wait(&w, "live/x", "", "10.0.0.1:5");
        assert_int_equal(w.answer.options.duplicate, -1);
    }
    close_hooks();
}

static void test_ask_gives_policy_when_too_many_are_under_way(void **state)
{
    static struct waiting w[GATE_MAX_ASKING], more;
    char stream[32];

    (void)state;
    open_hooks("%s mode=gate fail=closed timeout_ms=60000");
    a.on_request = hold;
    for (unsigned i = 0; i < GATE_MAX_ASKING; i++) {
        snprintf(stream, sizeof stream, "live/%u", i);
        ask(&w[i], stream, "", "10.0.0.1:5");
    }
    ask_and_wait(&more, "live/more", "", "10.0.0.1:5");
    assert_int_equal(more.answer.verdict, GATE_DENY);
    assert_true(more.answer.is_policy);
    assert_int_equal(w[0].n_answers, 0);
    close_hooks();
    assert_int_equal(w[0].n_drops, 1);
}

/* Of one question, from clients that come and go while the receiver holds back. */
static void test_ask_gives_policy_when_too_many_wait(void **state)
{
    static struct waiting w[GATE_MAX_WAITING], more;
    size_t n_drops = 0;

    (void)state;
    open_hooks("%s mode=gate fail=closed timeout_ms=60000");
    a.on_request = hold;
    for (unsigned i = 0; i < GATE_MAX_WAITING; i++)
        ask(&w[i], "live/x", "", "10.0.0.1:5");
    ask_and_wait(&more, "live/x", "", "10.0.0.1:5");
    assert_true(more.answer.is_policy);
    TURN_UNTIL(a.n_requests == 1);
    a.on_request = answer_ok;
    a.body = "{\"cache_s\":9}";
    answer_ok(held);
    TURN_UNTIL(w[GATE_MAX_WAITING - 1].n_answers);
    ask_and_wait(&more, "live/y", "", "10.0.0.1:5");
    assert_false(more.answer.is_policy);
    close_hooks();
    for (unsigned i = 0; i < GATE_MAX_WAITING; i++)
        n_drops += w[i].n_drops;
    assert_int_equal(n_drops, 0);
}

static void test_destroy_drops_who_waits(void **state)
{
    struct waiting w[2];

    (void)state;
    open_hooks("%s mode=gate");
    a.on_request = hold;
    ask(&w[0], "live/x", "", "10.0.0.1:5");
    ask(&w[1], "live/x", "", "10.0.0.1:5");
    TURN_UNTIL(a.n_requests == 1);
    close_hooks();
    assert_int_equal(w[0].n_answers + w[1].n_answers, 0);
    assert_int_equal(w[0].n_drops, 1);
    assert_int_equal(w[1].n_drops, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_is_asked_gives_true_for_its_events_alone, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_ask_says_what_is_known_and_gives_answer, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_ask_is_one_question_when_answer_may_be_kept,
                                        hooks_setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask_is_a_question_each_when_answer_may_not_be_kept,
                                        hooks_setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask_is_one_policy_when_nobody_answers, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_ask_shares_nothing_when_anything_told_differs,
                                        hooks_setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask_is_answered_from_cache_as_reply_says, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_ask_asks_again_when_receiver_failed, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_ask_gives_policy_when_nobody_answers, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_ask_takes_first_word_that_is_not_denied_later,
                                        hooks_setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask_takes_first_word_of_each_option, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_ask_gives_policy_when_too_many_are_under_way,
                                        hooks_setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask_gives_policy_when_too_many_wait, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_destroy_drops_who_waits, hooks_setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
