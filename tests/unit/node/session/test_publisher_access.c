/* node/session/publisher: what access_ask() says of a publish, at once and later. The table of
 * checks is the test's. */
#include "tests/unit/node/session/publisher_rig.h"

#include "node/access/checks.h"

/* --- the only check --- */

static struct {
    enum access_verdict says; /* LATER, or what is done at once */
    void (*write)(struct access_question *q);
    struct access_pending *held;
} check;

static enum access_verdict ask_check(struct access_question *q)
{
    if (check.says == ACCESS_LATER)
        check.held = access_hold(q);
    else if (check.write)
        check.write(q);
    return check.says;
}

const struct access_check k_access_checks[] = {{"test", false, ask_check, NULL}};
const unsigned k_n_access_checks = 1;

static void deny(struct access_question *q)
{
    (void)access_deny(q, 429, "too many");
    q->answer->denial.retry_after_s = 7;
}

static void redirect(struct access_question *q)
{
    q->answer->decision = ACCESS_REDIRECT;
    snprintf(q->answer->text, sizeof q->answer->text, "rtmp://b/live/x");
}

static void rename_it(struct access_question *q)
{
    q->answer->is_renamed = true;
    q->answer->name = node_rig_name("live", "renamed");
    q->answer->options.duplicate = CLUSTER_DUPLICATE_TAKEOVER;
}

/* --- sessions --- */

static struct rig {
    struct node_rig base;
    struct session session;
} * rig;

static struct session *begin(void)
{
    static const struct stream_hooks k_hooks;
    struct access_request access = k_access_request_empty;
    struct publisher_request request = {.client = "10.0.0.9:1", .edge = "", .access = &access};
    struct session *s;

    rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    node_rig_open(&rig->base, (const char *const[]){NULL}, &k_hooks);
    s = &rig->session;
    access.name = node_rig_name("live", "x");
    request.name = &access.name;
    open_session(s, &rig->base.loops[0]);
    enter(s);
    publisher_begin(&s->publisher, &request);
    leave(s);
    node_rig_settle(&rig->base);
    return s;
}

static void tear_down(void)
{
    end(&rig->session);
    node_rig_close(&rig->base);
    free(rig);
    memset(&check, 0, sizeof check);
}

static void resume(enum access_verdict verdict, void (*write)(struct access_question *q))
{
    if (write)
        write(access_held(check.held));
    access_resume(check.held, verdict);
    node_rig_settle(&rig->base);
}

/* --- tests --- */

static void test_begin_goes_live_when_it_is_allowed_later_and_reads_nothing_before(void **state)
{
    struct session *s;

    (void)state;
    check.says = ACCESS_LATER;
    s = begin();
    assert_true(publisher_is_pending(&s->publisher));
    assert_null(s->publisher.stream);
    resume(ACCESS_NEXT, NULL);
    assert_true(s->live);
    assert_string_equal(stream_name_of(s->publisher.stream)->text, "live/x");
    tear_down();
}

static void test_begin_is_over_with_status_and_reason_when_it_is_denied(void **state)
{
    static const enum access_verdict k_ways[] = {ACCESS_FINAL, ACCESS_LATER};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct session *s;

        check.says = k_ways[i];
        check.write = deny;
        s = begin();
        if (check.held)
            resume(ACCESS_FINAL, deny);
        assert_true(s->over);
        assert_int_equal(s->fault, PUBLISHER_DENIED);
        assert_string_equal(s->text, "too many");
        assert_int_equal(s->denial.status, 429);
        assert_int_equal(s->denial.retry_after_s, 7);
        tear_down();
    }
}

static void test_begin_is_over_with_the_place_when_it_is_redirected(void **state)
{
    struct session *s;

    (void)state;
    check.says = ACCESS_FINAL;
    check.write = redirect;
    s = begin();
    assert_int_equal(s->fault, PUBLISHER_ELSEWHERE);
    assert_string_equal(s->text, "rtmp://b/live/x");
    tear_down();
}

static void test_begin_publishes_under_the_name_that_it_gets(void **state)
{
    struct session *s;

    (void)state;
    check.says = ACCESS_LATER;
    s = begin();
    resume(ACCESS_NEXT, rename_it);
    assert_true(s->live);
    assert_string_equal(s->name, "live/renamed");
    assert_string_equal(stream_name_of(s->publisher.stream)->text, "live/renamed");
    assert_int_equal(s->publisher.duplicate, CLUSTER_DUPLICATE_TAKEOVER);
    tear_down();
}

static void test_release_while_asked_forgets_the_question(void **state)
{
    struct access_pending *held;

    (void)state;
    check.says = ACCESS_LATER;
    begin();
    held = check.held;
    tear_down();
    assert_true(access_is_canceled(held));
    access_drop(held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begin_goes_live_when_it_is_allowed_later_and_reads_nothing_before),
        cmocka_unit_test(test_begin_is_over_with_status_and_reason_when_it_is_denied),
        cmocka_unit_test(test_begin_is_over_with_the_place_when_it_is_redirected),
        cmocka_unit_test(test_begin_publishes_under_the_name_that_it_gets),
        cmocka_unit_test(test_release_while_asked_forgets_the_question),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
