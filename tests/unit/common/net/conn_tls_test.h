/* What the tests of conn_tls.c share: a loop, a server that OpenSSL believes, and bytes to send. */
#ifndef HW_TESTS_CONN_TLS_TEST_H
#define HW_TESTS_CONN_TLS_TEST_H

#include "tls_test.h"

#define SIZE (3u << 20)

static struct loop *loop;
static struct issued cert;
static struct tls_server *server;
static uint8_t *data; /* SIZE of pattern */

enum { N_VERSIONS = 2 };
static const int k_versions[N_VERSIONS] = {TLS1_2_VERSION, TLS1_3_VERSION};

static inline int server_setup(void **state)
{
    static const char *const k_alpn[] = {"h2", "http/1.1"};

    (void)state;
    tls_dir_make();
    issue(&cert, (struct issue){"a", "DNS:a.test,DNS:*.b.test,IP:127.0.0.1", .ends_s = 86400});
    server = server_of(&cert, 1, k_alpn, 2);
    data = pattern_bytes(SIZE);
    return 0;
}

static inline int server_teardown(void **state)
{
    (void)state;
    tls_server_destroy(&server);
    issued_free(&cert);
    tls_dir_remove();
    free(data);
    return 0;
}

static inline int loop_setup(void **state)
{
    (void)state;
    loop = loop_create("test", 0);
    return loop ? 0 : -1;
}

static inline int loop_teardown(void **state)
{
    (void)state;
    loop_destroy(&loop);
    return 0;
}

static inline void both_free(struct end *end, struct remote *r)
{
    end_free(end);
    remote_free(r);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, loop_setup, loop_teardown)

#endif
