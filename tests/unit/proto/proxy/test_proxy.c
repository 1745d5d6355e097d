/* PROXY protocol: headers of both versions, in every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/proxy/proxy.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4_BLOCK "\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\xb0\x07\x8f"

struct vector {
    const char *bytes;
    size_t size_bytes;
    size_t header_bytes; /* of them; E_OK */
    enum proxy_family family;
    uint8_t first, last; /* of the address */
    uint16_t port;
};

/* clang-format off */
#define V(text, rest, family, first, last, port) \
    {text rest, sizeof text rest - 1, sizeof text - 1, family, first, last, port}
static const struct vector k_good[] = {
    V("PROXY TCP4 192.0.2.7 198.51.100.1 40112 1935\r\n", "\x03", PROXY_IPV4, 192, 7, 40112),
    V("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "", PROXY_IPV4, 255, 255, 65535),
    V("PROXY TCP6 2001:db8::9 2001:db8::1 1 0\r\n", "GET / ", PROXY_IPV6, 0x20, 9, 1),
    V("PROXY UNKNOWN\r\n", "GET / ", PROXY_NONE, 0, 0, 0),
    V("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "", PROXY_NONE, 0, 0, 0),
    V(SIGNATURE "\x21\x11\x00\x0c" IPV4_BLOCK, "\x03", PROXY_IPV4, 192, 7, 40112),
    V(SIGNATURE "\x21\x11\x00\x10" IPV4_BLOCK "\x04\x00\x01\x00", "\x03", PROXY_IPV4, 192, 7, 40112), /* NOOP TLV */
    V(SIGNATURE "\x21\x21\x00\x24" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" "\x00\x50\x01\xbb", "x", PROXY_IPV6, 0x20, 9, 80),
    V(SIGNATURE "\x20\x00\x00\x00", "x", PROXY_NONE, 0, 0, 0),                                        /* LOCAL: health checks of haproxy */
    V(SIGNATURE "\x20\x11\x00\x0c" IPV4_BLOCK, "x", PROXY_NONE, 0, 0, 0),
    V(SIGNATURE "\x21\x00\x00\x00", "x", PROXY_NONE, 0, 0, 0),                                        /* PROXY of nothing known */
    V(SIGNATURE "\x21\x31\x00\x03" "abc", "x", PROXY_NONE, 0, 0, 0),                                  /* a Unix socket */
};

#define B(text) {text, sizeof text - 1, 0, PROXY_NONE, 0, 0, 0}
static const struct vector k_broken[] = {
    B("PROXY TCP4 192.0.2.7 198.51.100.1 40112\r\n"),
    B("PROXY TCP4 192.0.2.7 198.51.100.1 40112 1935 7\r\n"),
    B("PROXY TCP4 192.0.2.7 198.51.100.1 40112 1935 \r\n "),
    B("PROXY TCP4 192.0.2.7 198.51.100.1 65536 1935\r\n"),
    B("PROXY TCP4 192.0.2.7 198.51.100.1 040 1935\r\n"),
    B("PROXY TCP4 192.0.2.7 198.51.100.1 -1 1935\r\n"),
    B("PROXY TCP4 192.0.2.256 198.51.100.1 40112 1935\r\n"),
    B("PROXY TCP4 2001:db8::9 2001:db8::1 1 1\r\n"),
    B("PROXY TCP6 192.0.2.7 198.51.100.1 1 1\r\n"),
    B("PROXY TCP4  192.0.2.7 198.51.100.1 1 1\r\n"),
    B("PROXY UDP4 192.0.2.7 198.51.100.1 1 1\r\n"),
    B("PROXY \r\n"),
    B("PROXY TCP4 192.0.2.7 198.51.100.1 40112 1935\n"),
    B("PROXY UNKNOWN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
    B(SIGNATURE "\x11\x11\x00\x0c" IPV4_BLOCK),
    B(SIGNATURE "\x22\x11\x00\x0c" IPV4_BLOCK),
    B(SIGNATURE "\x21\x11\x00\x0b" "\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\xb0\x07"),
    B(SIGNATURE "\x21\x21\x00\x0c" IPV4_BLOCK),
    B(SIGNATURE "\x21\x11\x07\xf1"),
};

static const struct vector k_others[] = {
    B("GET / HTTP/1.1\r\n"), B("POST /x"), B("PUT /x"), B("PROPFIND /"), B("PROXX"), B("\x03\0\0\0"),
    B("\x16\x03\x01"), B("\r\n\r\nGET"), B("PRI * HTTP/2.0\r\n"), B("\0"),
};
/* clang-format on */

/* From memory of exactly that size. */
static enum err parse(const char *bytes, size_t size_bytes, size_t *used, struct proxy_header *out)
{
    uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
    struct buf_reader in = buf_reader_from(buf_view_of(copy, size_bytes));
    const char *why = NULL;
    enum err e;

    assert_non_null(copy);
    memcpy(copy, bytes, size_bytes);
    e = proxy_parse(&in, out, &why);
    assert_true((e == E_PROTO) == (why != NULL));
    *used = size_bytes - in.left_bytes;
    free(copy);
    return e;
}

static void test_parse_gives_the_client_for_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_good / sizeof k_good[0]; i++) {
        const struct vector *v = &k_good[i];

        for (size_t n = 0; n <= v->size_bytes; n++) {
            struct proxy_header h = {.port = 4711};
            size_t used;
            enum err e = parse(v->bytes, n, &used, &h);

            if (n < v->header_bytes) {
                assert_int_equal(e, E_AGAIN);
                assert_int_equal(used, 0);
                assert_int_equal(h.port, 4711);
                continue;
            }
            assert_int_equal(e, E_OK);
            assert_int_equal(used, v->header_bytes);
            assert_int_equal(h.family, v->family);
            assert_int_equal(h.port, v->port);
            assert_int_equal(h.address[0], v->first);
            assert_int_equal(h.address[h.family == PROXY_IPV6 ? 15 : 3], v->last);
        }
    }
}

static void test_parse_refuses_a_broken_header_and_moves_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_broken / sizeof k_broken[0]; i++) {
        struct proxy_header h;
        size_t used;

        if (parse(k_broken[i].bytes, k_broken[i].size_bytes, &used, &h) != E_PROTO)
            fail_msg("broken header %zu was not refused", i);
        assert_int_equal(used, 0);
    }
}

static void test_parse_gives_not_found_for_what_clients_begin_with(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_others / sizeof k_others[0]; i++) {
        struct proxy_header h;
        size_t used;

        assert_int_equal(parse(k_others[i].bytes, k_others[i].size_bytes, &used, &h), E_NOT_FOUND);
        assert_int_equal(used, 0);
    }
}

static void test_parse_refuses_a_line_without_end_at_its_limit(void **state)
{
    char line[200];
    struct proxy_header h;
    size_t used;

    (void)state;
    memset(line, 'a', sizeof line);
    memcpy(line, "PROXY ", 6);
    assert_int_equal(parse(line, 106, &used, &h), E_AGAIN);
    assert_int_equal(parse(line, 107, &used, &h), E_PROTO);
    assert_int_equal(parse(line, 200, &used, &h), E_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_gives_the_client_for_every_split),
        cmocka_unit_test(test_parse_refuses_a_broken_header_and_moves_nothing),
        cmocka_unit_test(test_parse_gives_not_found_for_what_clients_begin_with),
        cmocka_unit_test(test_parse_refuses_a_line_without_end_at_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
