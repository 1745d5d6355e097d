/* hooks.c, target.c, notify.c: what receivers on loopback are told. */
#include "hooks_rig.h"

#include "common/net/hmac.h"

static struct server_conn *held; /* has not been answered */

static void hold(struct server_conn *c)
{
    held = c;
}

static void fail_once(struct server_conn *c)
{
    say_status(c, c->server->n_requests == 1 ? "500 Oops" : "200 OK");
}

static void refuse_once(struct server_conn *c)
{
    say_status(c, c->server->n_requests == 1 ? "422 No" : "200 OK");
}

static void answer_500(struct server_conn *c)
{
    say_status(c, "500 Oops");
}

/* number is in the text, to tell one from another. */
static void tell(enum event_id id, int64_t number)
{
    struct event_field fields[] = {{"stream", "live/x", 0}, {"n", NULL, number}};

    events_tell(&node, id, fields, 2);
}

static void tell_many(int from, int to)
{
    for (int i = from; i <= to; i++)
        tell(EVENT_PLAY, i);
}

/* The events of the last request, as the list of their numbers: "1 2 3". */
static const char *told(const struct server *s)
{
    static char text[256];
    const char *body = strstr(s->last, "\r\n\r\n");
    json_t *json = body ? json_loads(body, 0, NULL) : NULL;
    json_t *events = json_object_get(json, "events"), *event;
    size_t i, used = 0;

    text[0] = '\0';
    json_array_foreach(events, i, event)
    {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld", used ? " " : "",
                                 json_integer_value(json_object_get(event, "n")));
    }
    json_decref(json);
    return text;
}

static const struct hook_metrics *metrics(void)
{
    return node.hooks->targets[0].metrics;
}

static void test_told_says_who_what_and_when(void **state)
{
    (void)state;
    open_hooks("%s/hook?key=k events=on_play");
    tell(EVENT_PUBLISH, 0); /* nobody wants it */
    tell(EVENT_PLAY, 1);
    TURN_UNTIL(a.n_requests == 1);
    assert_non_null(strstr(a.last, "POST /hook?key=k HTTP/1.1\r\n"));
    assert_non_null(strstr(a.last, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(a.last, "X-Headwater-Timestamp: "));
    assert_null(strstr(a.last, "X-Headwater-Signature"));
    assert_non_null(strstr(a.last,
                           "\r\n\r\n{\"v\":1,\"node\":\"n1\",\"instance\":\"2748\",\"events\":["
                           "{\"id\":\"abc-1\",\"event\":\"on_play\",\"time\":\"2"));
    assert_non_null(strstr(a.last, "\"node\":\"n1\",\"stream\":\"live/x\",\"n\":1}]}"));
    close_hooks();
}

static void test_told_is_signed_when_there_is_a_secret(void **state)
{
    char path[] = "/tmp/hook-secret-XXXXXX", target[128], when[32] = "", found[80] = "";
    char expected[HMAC_SHA256_HEX_SIZE];
    const char *at, *body;
    struct buf_view parts[3];
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, "s3cret\n", 7), 7);
    close(fd);
    snprintf(target, sizeof target, "%%s secret_file=%s", path);
    open_hooks(target);
    unlink(path);
    tell(EVENT_PLAY, 1);
    TURN_UNTIL(a.n_requests == 1);
    at = strstr(a.last, "X-Headwater-Timestamp: ");
    assert_int_equal(sscanf(at, "X-Headwater-Timestamp: %31s", when), 1);
    at = strstr(a.last, "X-Headwater-Signature: ");
    assert_int_equal(sscanf(at, "X-Headwater-Signature: sha256=%79s", found), 1);
    body = strstr(a.last, "\r\n\r\n") + 4;
    parts[0] = buf_view_str(when);
    parts[1] = buf_view_str(".");
    parts[2] = buf_view_str(body);
    assert_int_equal(hmac_sha256_hex(buf_view_str("s3cret"), parts, 3, expected), E_OK);
    assert_string_equal(found, expected);
    assert_null(strstr(a.last, "s3cret"));
    close_hooks();
}

/* Its receivers have an URL for each event, and take one at a time. */
static void test_told_in_lals_words_is_one_event_a_request(void **state)
{
    struct event_field fields[] = {
        {"session", "f-1", 0},     {"protocol", "flv", 0},  {"kind", "play", 0},
        {"peer", "10.0.0.9:5", 0}, {"stream", "live/x", 0}, {"bytes_in", NULL, 3},
        {"bytes_out", NULL, 4},
    };
    const char *body;
    int64_t n_sent;

    (void)state;
    open_hooks("%s/lal/{event}?k=1 format=lal events=on_play");
    n_sent = count_of(&metrics()->sent); /* the tests before this one have the same place */
    events_tell(&node, EVENT_PUBLISH, fields, 7); /* nobody is told, but it counts */
    events_tell(&node, EVENT_PLAY, fields, 7);
    events_tell(&node, EVENT_PLAY, fields, 7);
    TURN_UNTIL(a.n_requests == 2);
    assert_non_null(strstr(a.last, "POST /lal/on_sub_start?k=1 HTTP/1.1\r\n"));
    body = strstr(a.last, "\r\n\r\n{");
    assert_non_null(body);
    assert_non_null(
        strstr(body, "{\"server_id\":\"n1\",\"session_id\":\"f-1\",\"protocol\":\"FLV\","));
    assert_non_null(strstr(body, "\"has_in_session\":true,\"has_out_session\":true,"));
    TURN_UNTIL(count_of(&metrics()->sent) == n_sent + 2);
    close_hooks();
}

static void test_told_comes_in_batches_while_receiver_is_slow(void **state)
{
    (void)state;
    open_hooks("%s batch=3");
    a.on_request = hold;
    tell_many(1, 6);
    TURN_UNTIL(a.n_requests == 1);
    assert_string_equal(told(&a), "1");
    turn_ready(loop);
    assert_int_equal(a.n_requests, 1); /* one under way */
    answer_ok(held);
    TURN_UNTIL(a.n_requests == 2);
    assert_string_equal(told(&a), "2 3 4");
    a.on_request = answer_ok;
    answer_ok(held);
    TURN_UNTIL(a.n_requests == 3);
    assert_string_equal(told(&a), "5 6");
    assert_int_equal(a.n_conns, 1);
    TURN_UNTIL(!hooks_is_busy(node.hooks));
    close_hooks();
}

static void test_told_again_in_order_when_receiver_failed(void **state)
{
    int64_t began_us = clock_mono_us();

    (void)state;
    open_hooks("%s");
    a.on_request = fail_once;
    tell(EVENT_PLAY, 1);
    TURN_UNTIL(a.n_requests == 1);
    tell_many(2, 3);
    TURN_UNTIL(a.n_requests == 2);
    assert_string_equal(told(&a), "1 2 3");
    assert_non_null(strstr(a.last, "\"id\":\"abc-1\"")); /* the same */
    assert_true(clock_mono_us() - began_us >= 300000);   /* it backed off */
    TURN_UNTIL(!hooks_is_busy(node.hooks));
    assert_int_equal(node.hooks->targets[0].last_error_wall_us > 0, 1);
    assert_string_equal(node.hooks->targets[0].last_error, "answered with status 500");
    close_hooks();
}

static void test_told_goes_on_when_receiver_refuses(void **state)
{
    int64_t failed, sent;

    (void)state;
    open_hooks("%s");
    failed = count_of(&metrics()->failed);
    sent = count_of(&metrics()->sent);
    a.on_request = refuse_once;
    tell_many(1, 2);
    TURN_UNTIL(a.n_requests == 2);
    assert_string_equal(told(&a), "2");
    TURN_UNTIL(!hooks_is_busy(node.hooks));
    assert_int_equal(count_of(&metrics()->failed) - failed, 1);
    assert_int_equal(count_of(&metrics()->sent) - sent, 1);
    close_hooks();
}

static void test_told_drops_oldest_when_queue_is_full(void **state)
{
    int64_t dropped;

    (void)state;
    open_hooks("%s queue=3");
    dropped = count_of(&metrics()->dropped);
    a.on_request = hold;
    tell_many(1, 6);
    TURN_UNTIL(a.n_requests == 1);
    assert_int_equal(count_of(&metrics()->dropped) - dropped, 3);
    assert_int_equal(count_of(&metrics()->waiting), 3);
    a.on_request = answer_ok;
    answer_ok(held);
    TURN_UNTIL(a.n_requests == 2);
    assert_string_equal(told(&a), "5 6"); /* 1 was under way */
    TURN_UNTIL(!hooks_is_busy(node.hooks));
    assert_int_equal(count_of(&metrics()->waiting), 0);
    close_hooks();
}

static void test_told_is_given_up_when_too_old(void **state)
{
    int64_t failed;

    (void)state;
    open_hooks("%s max_age_s=1");
    failed = count_of(&metrics()->failed);
    a.on_request = answer_500;
    tell_many(1, 2);
    TURN_UNTIL(a.n_requests && !hooks_is_busy(node.hooks));
    assert_int_equal(count_of(&metrics()->failed) - failed, 2);
    assert_true(a.n_requests >= 2);
    close_hooks();
}

static void test_told_reaches_others_when_one_receiver_hangs(void **state)
{
    (void)state;
    open_hooks("%s,%s");
    a.on_request = hold;
    tell(EVENT_PLAY, 1);
    TURN_UNTIL(b.n_requests == 1);
    tell(EVENT_PLAY, 2);
    TURN_UNTIL(b.n_requests == 2);
    assert_string_equal(told(&b), "2");
    assert_int_equal(a.n_requests, 1);
    close_hooks();
}

static void test_finish_tries_at_once_and_only_once(void **state)
{
    (void)state;
    open_hooks("%s");
    a.on_request = answer_500;
    tell(EVENT_PLAY, 1);
    TURN_UNTIL(timer_is_armed(&node.hooks->targets[0].notify.retry));
    assert_true(hooks_is_busy(node.hooks));
    hooks_finish(node.hooks);
    TURN_UNTIL(!hooks_is_busy(node.hooks));
    assert_int_equal(a.n_requests, 2);
    close_hooks();
}

static void test_json_shows_state_without_path(void **state)
{
    json_t *list, *target;

    (void)state;
    open_hooks("%s/secret/path?key=k events=on_play|on_idle,%s mode=gate");
    a.on_request = answer_500;
    tell(EVENT_PLAY, 1);
    TURN_UNTIL(node.hooks->targets[0].last_error_wall_us);
    list = hooks_json(node.hooks);
    assert_int_equal(json_array_size(list), 2);
    target = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(target, "url")), a.url);
    assert_string_equal(json_string_value(json_object_get(target, "state")), "failing");
    assert_int_equal(json_array_size(json_object_get(target, "events")), 2);
    assert_int_equal(json_integer_value(json_object_get(target, "waiting")), 1);
    target = json_array_get(list, 1);
    assert_string_equal(json_string_value(json_object_get(target, "mode")), "gate");
    assert_int_equal(json_array_size(json_object_get(target, "events")), 3);
    json_decref(list);
    close_hooks();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_told_says_who_what_and_when, hooks_setup, teardown),
        cmocka_unit_test_setup_teardown(test_told_is_signed_when_there_is_a_secret, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_told_in_lals_words_is_one_event_a_request, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_told_comes_in_batches_while_receiver_is_slow,
                                        hooks_setup, teardown),
        cmocka_unit_test_setup_teardown(test_told_again_in_order_when_receiver_failed, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_told_goes_on_when_receiver_refuses, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_told_drops_oldest_when_queue_is_full, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_told_is_given_up_when_too_old, hooks_setup, teardown),
        cmocka_unit_test_setup_teardown(test_told_reaches_others_when_one_receiver_hangs,
                                        hooks_setup, teardown),
        cmocka_unit_test_setup_teardown(test_finish_tries_at_once_and_only_once, hooks_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_json_shows_state_without_path, hooks_setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
