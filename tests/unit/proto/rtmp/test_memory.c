/* A server runs out of memory at every single allocation of a session. The files that allocate are
 * built in here with failing allocation, so that the libraries' copies of them are not linked. */
#include "tests/unit/proto/rtmp/server_test.h"

static unsigned n_allowed = UINT32_MAX; /* allocations that still succeed */

static void *scarce_malloc(size_t size)
{
    return n_allowed ? (n_allowed--, malloc(size)) : NULL;
}

static void *scarce_calloc(size_t n, size_t size)
{
    return n_allowed ? (n_allowed--, calloc(n, size)) : NULL;
}

static void *scarce_realloc(void *old, size_t size)
{
    return n_allowed ? (n_allowed--, realloc(old, size)) : NULL;
}

#undef fail /* cmocka's */
#define malloc scarce_malloc
#define calloc scarce_calloc
#define realloc scarce_realloc
#include "common/base/buf.c"
#include "proto/amf/amf_doc.c"
#include "proto/rtmp/chunk_decoder.c"
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
    static const uint8_t k_random[1528];

    (void)state;
    for (unsigned n = 0; n < 3; n++) { /* server, handshake, decoder */
        struct rtmp_server *s;

        n_allowed = n;
        s = rtmp_server_create(&k_rtmp_limits_default, k_random);
        n_allowed = UINT32_MAX;
        assert_null(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_gives_nomem_when_memory_ends_anywhere),
        cmocka_unit_test(test_create_gives_null_when_memory_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
