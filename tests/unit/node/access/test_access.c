/* node/access/access: the way of a question through the checks. The table is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/metrics.h"
#include "node/access/checks.h"
#include "node/control/node_metrics.h"

/* --- a table of three, each says what it is told to --- */

static struct {
    enum access_verdict says[3];
    unsigned n_asked[3];
    struct access_pending *held;
    bool wants_hook;
    const char *renames_to;   /* by the second check */
    const char *banned_first; /* the stream that the first one denies */
} table;

static enum access_verdict look(struct access_question *q, unsigned i)
{
    enum access_verdict says = table.says[i];

    table.n_asked[i]++;
    if (i == 0 && table.banned_first && !strcmp(table.banned_first, q->request->name.text))
        return access_deny(q, 403, "banned");
    if (i == 1 && table.renames_to) {
        q->answer->is_renamed = true;
        snprintf(q->answer->name.text, sizeof q->answer->name.text, "%s", table.renames_to);
    }
    if (i == 1 && table.wants_hook)
        q->needs_hook = true;
    if (says == ACCESS_LATER) {
        table.held = access_hold(q);
        table.says[i] = ACCESS_NEXT;
        assert_non_null(table.held);
    }
    return says == ACCESS_FINAL ? access_deny(q, 403, "check %u", i) : says;
}

static enum access_verdict first(struct access_question *q)
{
    return look(q, 0);
}

static enum access_verdict second(struct access_question *q)
{
    return look(q, 1);
}

static enum access_verdict third(struct access_question *q)
{
    return look(q, 2);
}

const struct access_check k_access_checks[] = {
    {"first", true, first, NULL}, {"second", false, second, NULL}, {"third", true, third, NULL}};
const unsigned k_n_access_checks = 3;

/* --- who asks --- */

static struct access_answer answer;
static struct access_pending *pending;
static unsigned n_done;
static struct node_loop loop;

static void on_done(void *arg, const struct access_answer *got)
{
    assert_ptr_equal(arg, &answer);
    assert_null(pending);
    answer = *got;
    n_done++;
}

static struct access_request request_of(const char *query)
{
    struct access_request request = k_access_request_empty;
    const char *why;

    request.action = ACCESS_PLAY;
    request.query = query;
    assert_int_equal(stream_name_make(&request.name, buf_view_str("live"), buf_view_str("a"), &why),
                     E_OK);
    return request;
}

static bool ask(const struct access_request *request)
{
    return access_ask(&loop, request, &answer, &pending, on_done, &answer);
}

static int set_up(void **state)
{
    (void)state;
    memset(&table, 0, sizeof table);
    n_done = 0;
    pending = NULL;
    return 0;
}

/* --- the tests --- */

static void test_ask_allows_when_no_check_has_anything_against_it(void **state)
{
    struct access_request request = request_of("");

    (void)state;
    assert_true(ask(&request));
    assert_int_equal(answer.decision, ACCESS_ALLOW);
    assert_string_equal(answer.name.text, "live/a");
    assert_false(answer.is_renamed);
    assert_int_equal(answer.options.duplicate, -1);
    assert_int_equal(table.n_asked[2], 1);
}

static void test_ask_gives_the_first_final_answer_and_asks_nobody_after(void **state)
{
    struct access_request request = request_of("");

    (void)state;
    table.says[1] = ACCESS_FINAL;
    assert_true(ask(&request));
    assert_int_equal(answer.decision, ACCESS_DENY);
    assert_int_equal(answer.denial.status, 403);
    assert_string_equal(answer.text, "check 1");
    assert_int_equal(table.n_asked[2], 0);
}

static void test_ask_asks_lasting_checks_alone_about_who_goes_on(void **state)
{
    struct access_request request = request_of("");

    (void)state;
    request.goes_on = true;
    table.says[1] = ACCESS_FINAL;
    assert_true(ask(&request));
    assert_int_equal(answer.decision, ACCESS_ALLOW);
    assert_int_equal(table.n_asked[0], 1);
    assert_int_equal(table.n_asked[1], 0);
    assert_int_equal(table.n_asked[2], 1);
}

static void test_resume_goes_on_behind_the_check_with_copies_of_all_texts(void **state)
{
    char query[] = "key=secret";
    struct access_request request = request_of(query);
    char value[16];

    (void)state;
    table.says[0] = ACCESS_LATER;
    assert_false(ask(&request));
    assert_ptr_equal(pending, table.held);
    memset(query, 'x', sizeof query - 1);
    assert_int_equal(access_query(access_held(table.held)->request, "key", value, sizeof value),
                     E_OK);
    assert_string_equal(value, "secret");
    assert_int_equal(n_done, 0);
    access_resume(table.held, ACCESS_NEXT);
    assert_int_equal(n_done, 1);
    assert_int_equal(answer.decision, ACCESS_ALLOW);
    assert_int_equal(table.n_asked[1], 1);
    assert_int_equal(table.n_asked[0], 2); /* a lasting one: once more, at the end */
    assert_int_equal(table.n_asked[2], 2);
}

static void test_resume_denies_when_a_lasting_check_has_come_to_deny_meanwhile(void **state)
{
    struct access_request request = request_of("");

    (void)state;
    table.says[1] = ACCESS_LATER;
    assert_false(ask(&request));
    table.says[0] = ACCESS_FINAL;
    access_resume(table.held, ACCESS_NEXT);
    assert_int_equal(n_done, 1);
    assert_int_equal(answer.decision, ACCESS_DENY);
}

static void test_ask_denies_when_a_lasting_check_has_something_against_the_new_name(void **state)
{
    struct access_request request = request_of("");

    (void)state;
    table.renames_to = "vip/b";
    assert_true(ask(&request));
    assert_int_equal(answer.decision, ACCESS_ALLOW);
    assert_string_equal(answer.name.text, "vip/b");
    table.banned_first = "vip/b";
    assert_true(ask(&request));
    assert_int_equal(answer.decision, ACCESS_DENY);
    assert_string_equal(answer.text, "banned");
    table.says[1] = ACCESS_LATER;
    assert_false(ask(&request));
    access_resume(table.held, ACCESS_NEXT);
    assert_int_equal(answer.decision, ACCESS_DENY);
}

static void test_resume_asks_again_or_ends_as_it_is_told(void **state)
{
    struct access_request request = request_of("");

    (void)state;
    table.says[0] = ACCESS_LATER;
    assert_false(ask(&request));
    access_resume(table.held, ACCESS_AGAIN);
    assert_int_equal(table.n_asked[0], 3); /* and as a lasting one */
    assert_int_equal(n_done, 1);
    table.says[1] = ACCESS_LATER;
    assert_false(ask(&request));
    (void)access_deny(access_held(table.held), 404, "gone");
    access_resume(table.held, ACCESS_FINAL);
    assert_int_equal(n_done, 2);
    assert_int_equal(answer.denial.status, 404);
    assert_int_equal(table.n_asked[2], 2);
}

static void test_two_checks_may_answer_later_one_after_the_other(void **state)
{
    struct access_request request = request_of("");
    struct access_pending *held;

    (void)state;
    table.says[0] = table.says[2] = ACCESS_LATER;
    assert_false(ask(&request));
    held = table.held;
    access_resume(held, ACCESS_NEXT);
    assert_ptr_equal(table.held, held);
    assert_ptr_equal(pending, held);
    assert_int_equal(n_done, 0);
    access_resume(held, ACCESS_NEXT);
    assert_int_equal(n_done, 1);
}

static void test_cancel_keeps_done_from_being_called(void **state)
{
    struct access_request request = request_of("");

    (void)state;
    table.says[1] = ACCESS_LATER;
    assert_false(ask(&request));
    assert_false(access_is_canceled(table.held));
    access_cancel(&pending);
    assert_null(pending);
    assert_true(access_is_canceled(table.held));
    access_resume(table.held, ACCESS_NEXT);
    assert_int_equal(n_done, 0);
    assert_int_equal(table.n_asked[2], 0);
    access_cancel(&pending);
}

static void test_drop_leaves_nothing_pending(void **state)
{
    struct access_request request = request_of("");

    (void)state;
    table.says[1] = ACCESS_LATER;
    assert_false(ask(&request));
    access_drop(table.held);
    assert_null(pending);
    table.says[1] = ACCESS_LATER;
    assert_false(ask(&request));
    access_cancel(&pending);
    access_drop(table.held);
    assert_int_equal(n_done, 0);
}

static void test_ask_denies_when_a_hook_was_to_decide_and_none_did(void **state)
{
    struct access_request request = request_of("");

    (void)state;
    table.wants_hook = true;
    assert_true(ask(&request));
    assert_int_equal(answer.decision, ACCESS_DENY);
    assert_int_equal(answer.denial.status, 403);
}

static void test_query_is_that_of_the_stream_and_then_of_tcurl(void **state)
{
    struct access_request request = request_of("key=a");
    char value[8];

    (void)state;
    request.tc_url = "rtmp://host/live?key=b&token=c";
    assert_int_equal(access_query(&request, "key", value, sizeof value), E_OK);
    assert_string_equal(value, "a");
    assert_int_equal(access_query(&request, "token", value, sizeof value), E_OK);
    assert_string_equal(value, "c");
    assert_int_equal(access_query(&request, "x", value, sizeof value), E_NOT_FOUND);
    request.tc_url = "rtmp://host/live";
    assert_int_equal(access_query(&request, "token", value, sizeof value), E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_ask_allows_when_no_check_has_anything_against_it, set_up),
        cmocka_unit_test_setup(test_ask_gives_the_first_final_answer_and_asks_nobody_after, set_up),
        cmocka_unit_test_setup(test_ask_asks_lasting_checks_alone_about_who_goes_on, set_up),
        cmocka_unit_test_setup(test_resume_goes_on_behind_the_check_with_copies_of_all_texts,
                               set_up),
        cmocka_unit_test_setup(test_resume_denies_when_a_lasting_check_has_come_to_deny_meanwhile,
                               set_up),
        cmocka_unit_test_setup(
            test_ask_denies_when_a_lasting_check_has_something_against_the_new_name, set_up),
        cmocka_unit_test_setup(test_resume_asks_again_or_ends_as_it_is_told, set_up),
        cmocka_unit_test_setup(test_two_checks_may_answer_later_one_after_the_other, set_up),
        cmocka_unit_test_setup(test_cancel_keeps_done_from_being_called, set_up),
        cmocka_unit_test_setup(test_drop_leaves_nothing_pending, set_up),
        cmocka_unit_test_setup(test_ask_denies_when_a_hook_was_to_decide_and_none_did, set_up),
        cmocka_unit_test_setup(test_query_is_that_of_the_stream_and_then_of_tcurl, set_up),
    };

    node_metrics_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
