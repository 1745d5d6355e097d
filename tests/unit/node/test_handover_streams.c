/* node/handover_streams: where a stream can be had while two processes of a node are there. What
 * happens between two real processes is in tests/integration/test_replace.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "node/handover_private.h"

static struct node *node;

static int setup(void **state)
{
    (void)state;
    node = calloc(1, sizeof *node);
    if (!node || !(node->handover = calloc(1, sizeof *node->handover)))
        return -1;
    strcpy(node->id, "n1");
    node->handover->node = node;
    pthread_mutex_init(&node->handover->lock, NULL);
    map_init(&node->handover->streams);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    map_fini(&node->handover->streams);
    pthread_mutex_destroy(&node->handover->lock);
    free(node->handover);
    free(node);
    return 0;
}

static bool is_at(const char *name, const char *wanted_url, const char *wanted_id)
{
    char url[CLUSTER_URL_SIZE], id[CLUSTER_ID_SIZE];

    if (!handover_upstream(node, name, url, id))
        return false;
    assert_string_equal(url, wanted_url);
    assert_string_equal(id, wanted_id);
    return true;
}

static void test_upstream_gives_the_old_process_for_what_is_published_there(void **state)
{
    struct handover *h = node->handover;
    int no_fd = -1;

    (void)state;
    strcpy(h->peer_id, "n1.old");
    handover_set_state(h, HANDOVER_AFTER);
    handover_on_stream(h, "live/a", &no_fd);
    assert_false(is_at("live/a", "", "")); /* its address is not known yet */
    handover_on_relay(h, "http://127.0.0.1:4711", &no_fd);
    assert_true(is_at("live/a", "http://127.0.0.1:4711", "n1.old"));
    assert_false(is_at("live/b", "", ""));
    handover_on_ended(h, "live/a", &no_fd);
    assert_false(is_at("live/a", "", ""));
}

static void test_upstream_gives_the_new_process_for_whatever_is_asked(void **state)
{
    struct handover *h = node->handover;

    (void)state;
    strcpy(h->peer_id, "n1");
    strcpy(h->peer_url, "http://127.0.0.1:8080");
    handover_set_state(h, HANDOVER_REPLACED);
    assert_true(is_at("live/a", "http://127.0.0.1:8080", "n1"));
}

static void test_upstream_gives_nothing_while_there_is_one_process(void **state)
{
    static const enum handover_state k_states[] = {HANDOVER_ALONE, HANDOVER_GIVEN, HANDOVER_TAKING};
    struct handover *h = node->handover;

    (void)state;
    strcpy(h->peer_url, "http://127.0.0.1:8080");
    handover_note_stream(h, "live/a", true);
    for (size_t i = 0; i < sizeof k_states / sizeof k_states[0]; i++) {
        handover_set_state(h, k_states[i]);
        assert_false(is_at("live/a", "", ""));
    }
}

static void test_is_old_knows_the_name_of_the_process_before(void **state)
{
    struct handover *h = node->handover;

    (void)state;
    strcpy(h->peer_id, "n1.old");
    assert_false(handover_is_old(node, "n1.old"));
    handover_set_state(h, HANDOVER_AFTER);
    assert_true(handover_is_old(node, "n1.old"));
    assert_false(handover_is_old(node, "n2"));
    node->handover = NULL;
    assert_false(handover_is_old(node, "n1.old"));
    node->handover = h;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_upstream_gives_the_old_process_for_what_is_published_there),
        T(test_upstream_gives_the_new_process_for_whatever_is_asked),
        T(test_upstream_gives_nothing_while_there_is_one_process),
        T(test_is_old_knows_the_name_of_the_process_before),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
