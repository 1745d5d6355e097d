/* Bodies: sized, chunked, until the end of the connection; each in every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http/http.h"

static struct http_body chunked_body(void)
{
    struct http_head head = {.chunked = true};
    struct http_body body;

    http_body_init(&body, &head, false);
    return body;
}

/* Feeds text in pieces of step bytes, each in a heap block of its own. Content is collected in got;
 * *used_bytes is what was taken. Returns the last answer. */
static enum err feed(struct http_body *body, const char *text, size_t size_bytes, size_t step,
                     struct buf_writer *got, size_t *used_bytes)
{
    enum err e = E_AGAIN;

    *used_bytes = 0;
    for (size_t at = 0; at < size_bytes && e == E_AGAIN; at += step) {
        size_t n = size_bytes - at < step ? size_bytes - at : step;
        uint8_t *copy = malloc(n);
        struct buf_reader in = buf_reader_from(buf_view_of(copy, n));
        struct buf_view piece;

        assert_non_null(copy);
        memcpy(copy, text + at, n);
        while ((e = http_body_next(body, &in, &piece)) == E_OK)
            buf_write_view(got, piece);
        *used_bytes += n - in.left_bytes;
        free(copy);
    }
    return e;
}

static const char k_chunked[] = "5\r\nhello\r\n"
                                "00000a  \r\n, wide wor\r\n"
                                "2;name=\"v\"\r\nld\r\n"
                                "0;last\r\n"
                                "X-Trailer: 1\r\n"
                                "X-Other:\r\n"
                                "\r\n";

static void test_body_next_gives_chunked_content_for_every_split(void **state)
{
    static const char k_next[] = "GET / HTTP/1.1\r\n";
    char text[sizeof k_chunked + sizeof k_next];
    size_t size_bytes = sizeof k_chunked - 1 + sizeof k_next - 1;

    (void)state;
    memcpy(text, k_chunked, sizeof k_chunked - 1);
    memcpy(text + sizeof k_chunked - 1, k_next, sizeof k_next - 1);
    for (size_t step = 1; step <= size_bytes; step++) {
        struct http_body body = chunked_body();
        struct buf_writer got;
        size_t used_bytes;

        buf_writer_init(&got, 1024);
        assert_int_equal(feed(&body, text, size_bytes, step, &got, &used_bytes), E_END);
        assert_true(body.done);
        assert_int_equal(used_bytes, sizeof k_chunked - 1);
        assert_true(buf_view_equals(buf_writer_view(&got), "hello, wide world"));
        buf_writer_fini(&got);
    }
}

static const char *const k_bad_chunks[] = {
    "\r\n",
    "g\r\n",
    "-1\r\n",
    "+1\r\n",
    " 1\r\n",
    "0x1\r\n",
    "1\n",
    "1\rx",
    "1 1\r\n",
    "1;\x01\r\n",
    "1;x\n",
    "1\r\nab\r\n",
    "1\r\na\n",
    "1\r\na\rx",
    "0\r\n\n",
    "0\r\nX: \x02\r\n",
    "0\r\nX: 1\n",
    "0\r\n\rx",
    "ffffffffffffffff\r\n",
    "8000000000000000\r\n",
    "10000000000000000000000000000001\r\n",
};

static void test_body_next_refuses_each_broken_chunk(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_bad_chunks / sizeof k_bad_chunks[0]; i++) {
        for (size_t step = 1; step <= strlen(k_bad_chunks[i]); step++) {
            struct http_body body = chunked_body();
            struct buf_reader more = buf_reader_from(buf_view_str("0\r\n\r\n"));
            struct buf_writer got;
            struct buf_view piece;
            size_t used_bytes;

            buf_writer_init(&got, 1024);
            if (feed(&body, k_bad_chunks[i], strlen(k_bad_chunks[i]), step, &got, &used_bytes) !=
                E_PROTO)
                fail_msg("row %zu, step %zu was not refused", i, step);
            assert_int_equal(http_body_next(&body, &more, &piece), E_PROTO); /* for good */
            buf_writer_fini(&got);
        }
    }
}

/* Feeds start and then 'x' for ever; returns how many bytes were taken before the refusal. */
static size_t bytes_until_refusal(const char *start, size_t most_bytes)
{
    struct http_body body = chunked_body();
    struct buf_reader in = buf_reader_from(buf_view_str(start));
    struct buf_view piece;
    size_t n_bytes = 0;
    enum err e = http_body_next(&body, &in, &piece);

    while (e == E_AGAIN && n_bytes < most_bytes) {
        in = buf_reader_from(buf_view_str("x"));
        e = http_body_next(&body, &in, &piece);
        n_bytes++;
    }
    assert_int_equal(e, E_PROTO);
    return n_bytes;
}

static void test_body_next_bounds_extensions_and_trailers(void **state)
{
    (void)state;
    assert_in_range(bytes_until_refusal("1;", 1000), 100, 256);
    assert_in_range(bytes_until_refusal("0\r\n", 100000), 4096, 8193);
}

static void test_body_next_counts_each_chunk_line_by_itself(void **state)
{
    struct http_body body = chunked_body();
    struct buf_writer got;
    size_t used_bytes;

    (void)state;
    buf_writer_init(&got, 4096);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(feed(&body, "1;ext\r\nx\r\n", 10, 10, &got, &used_bytes), E_AGAIN);
    assert_int_equal(feed(&body, "0\r\n\r\n", 5, 5, &got, &used_bytes), E_END);
    assert_int_equal(got.used_bytes, 1000);
    buf_writer_fini(&got);
}

static void test_body_next_gives_sized_content_and_leaves_the_rest(void **state)
{
    struct http_head head = {.has_length = true, .length_bytes = 5};

    (void)state;
    for (size_t step = 1; step <= 9; step++) {
        struct http_body body;
        struct buf_writer got;
        size_t used_bytes;

        http_body_init(&body, &head, false);
        assert_int_equal(body.kind, HTTP_BODY_SIZED);
        buf_writer_init(&got, 64);
        assert_int_equal(feed(&body, "helloGET ", 9, step, &got, &used_bytes), E_END);
        assert_int_equal(used_bytes, 5);
        assert_true(buf_view_equals(buf_writer_view(&got), "hello"));
        buf_writer_fini(&got);
    }
}

static void test_body_next_gives_everything_until_close(void **state)
{
    struct http_head head = {.is_response = true, .status = 200};
    struct http_body body;
    struct buf_writer got;
    size_t used_bytes;

    (void)state;
    http_body_init(&body, &head, false);
    buf_writer_init(&got, 64);
    assert_int_equal(feed(&body, "FLV\x01", 4, 1, &got, &used_bytes), E_AGAIN);
    assert_int_equal(got.used_bytes, 4);
    assert_false(body.done);
    buf_writer_fini(&got);
}

static const struct {
    struct http_head head;
    bool no_body;
} k_without_body[] = {
    {{.is_response = false}, false},
    {{.has_length = true, .length_bytes = 0}, false},
    {{.is_response = true, .status = 200, .has_length = true, .length_bytes = 5}, true}, /* HEAD */
    {{.is_response = true, .status = 100}, false},
    {{.is_response = true, .status = 204, .chunked = true}, false},
    {{.is_response = true, .status = 304, .has_length = true, .length_bytes = 5}, false},
};

static void test_body_init_is_done_at_once_without_a_body(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_without_body / sizeof k_without_body[0]; i++) {
        struct buf_reader in = buf_reader_from(buf_view_str("next"));
        struct http_body body;
        struct buf_view piece;

        http_body_init(&body, &k_without_body[i].head, k_without_body[i].no_body);
        assert_true(body.done);
        assert_int_equal(http_body_next(&body, &in, &piece), E_END);
        assert_int_equal(in.left_bytes, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_next_gives_chunked_content_for_every_split),
        cmocka_unit_test(test_body_next_refuses_each_broken_chunk),
        cmocka_unit_test(test_body_next_bounds_extensions_and_trailers),
        cmocka_unit_test(test_body_next_counts_each_chunk_line_by_itself),
        cmocka_unit_test(test_body_next_gives_sized_content_and_leaves_the_rest),
        cmocka_unit_test(test_body_next_gives_everything_until_close),
        cmocka_unit_test(test_body_init_is_done_at_once_without_a_body),
    };

    return cmocka_run_group_tests_name("http_body", tests, NULL, NULL);
}
