/* A server runs out of memory at every single allocation of a session, and holds little of it:
 * nodes have a server for each of many thousand viewers. The files that allocate are built in here
 * with failing allocation, so that the libraries' copies of them are not linked. */
#include <malloc.h>

#include "tests/unit/proto/rtmp/server_test.h"

static unsigned n_allowed = UINT32_MAX; /* allocations that still succeed */

static size_t held_bytes; /* allocated and not freed */

static void *count(void *block)
{
    held_bytes += malloc_usable_size(block);
    return block;
}

static void *scarce_malloc(size_t size)
{
    return n_allowed ? (n_allowed--, count(malloc(size))) : NULL;
}

static void *scarce_calloc(size_t n, size_t size)
{
    return n_allowed ? (n_allowed--, count(calloc(n, size))) : NULL;
}

static void *scarce_realloc(void *old, size_t size)
{
    if (!n_allowed)
        return NULL;
    n_allowed--;
    held_bytes -= malloc_usable_size(old);
    return count(realloc(old, size));
}

static void counted_free(void *block)
{
    held_bytes -= malloc_usable_size(block);
    free(block);
}

#undef fail /* cmocka's */
#define malloc scarce_malloc
#define calloc scarce_calloc
#define realloc scarce_realloc
#define free counted_free
#include "common/base/buf.c"
#include "proto/amf/amf_doc.c"
#include "proto/rtmp/chunk_decoder.c"
#include "proto/rtmp/error_text.c"
#include "proto/rtmp/rtmp_server.c"
#include "proto/rtmp/server_commands.c"
#define fail handshake_fail
#include "proto/rtmp/handshake.c"
#undef fail

static void put_session(struct peer *p)
{
    static const uint8_t k_audio[300];

    peer_put_handshake(p);
    peer_put_connect(p, "live", "rtmp://localhost/live");
    peer_command(p, 0, "createStream", 4, buf_view_of(NULL, 0));
    peer_command_name(p, 1, "publish", 5, "x");
    peer_put(p, RTMP_AUDIO, 10, 1, k_audio, sizeof k_audio);
    peer_command_number(p, 0, "deleteStream", 6, 1);
}

/* Runs the session that was put; true when it came to its end. */
static bool run_session(struct peer *p)
{
    struct rtmp_event event = {0};

    while (peer_run(p, &event))
        if (event.type == RTMP_EVENT_PUBLISH)
            rtmp_server_accept(p->server, &p->out);
    return p->e == E_AGAIN && event.type == RTMP_EVENT_STOP;
}

static void test_feed_gives_nomem_when_memory_ends_anywhere(void **state)
{
    bool ended = false;
    unsigned n;

    (void)state;
    for (n = 0; !ended; n++) {
        struct peer p;

        assert_in_range(n, 0, 100);
        peer_begin(&p);
        put_session(&p);
        n_allowed = n;
        ended = run_session(&p);
        n_allowed = UINT32_MAX;
        if (!ended) {
            assert_int_equal(p.e, E_NOMEM);
            assert_true(rtmp_server_error(p.server)[0] != '\0');
        }
        peer_end(&p);
    }
    assert_in_range(n, 15, 100); /* there was something to fail */
}

static void test_create_gives_null_when_memory_ends(void **state)
{
    static const uint8_t k_seed[RTMP_SEED_BYTES];

    (void)state;
    for (unsigned n = 0; n < 2; n++) { /* server, handshake */
        struct rtmp_server *s;

        n_allowed = n;
        s = rtmp_server_create(&k_rtmp_limits_default, k_seed);
        n_allowed = UINT32_MAX;
        assert_null(s);
    }
}

/* What goes with the server. */
static size_t server_bytes(struct peer *p)
{
    size_t before = held_bytes;

    rtmp_server_destroy(&p->server);
    return before - held_bytes;
}

static void test_create_holds_little_before_the_first_byte(void **state)
{
    struct peer p;

    (void)state;
    peer_begin(&p);
    assert_in_range(server_bytes(&p), 1, 350);
    peer_end(&p);
}

static void test_accept_leaves_little_held_by_a_player(void **state)
{
    struct rtmp_event event;
    struct peer p;

    (void)state;
    peer_begin(&p);
    p.step = 100; /* commands come in pieces, and have to be gathered */
    peer_put_handshake(&p);
    peer_put_connect(&p, "live", "rtmp://localhost/live");
    peer_command(&p, 0, "createStream", 4, buf_view_of(NULL, 0));
    peer_command_name(&p, 1, "play", 5, /* more than a chunk, so it is gathered */
                      "x?token=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456");
    assert_true(peer_run(&p, &event));
    assert_true(peer_run(&p, &event));
    assert_int_equal(event.type, RTMP_EVENT_PLAY);
    rtmp_server_accept(p.server, &p.out);
    assert_false(peer_run(&p, &event));
    assert_int_equal(p.e, E_AGAIN);
    assert_in_range(server_bytes(&p), 1, 350);
    peer_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_gives_nomem_when_memory_ends_anywhere),
        cmocka_unit_test(test_create_gives_null_when_memory_ends),
        cmocka_unit_test(test_create_holds_little_before_the_first_byte),
        cmocka_unit_test(test_accept_leaves_little_held_by_a_player),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
