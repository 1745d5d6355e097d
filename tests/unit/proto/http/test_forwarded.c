/* X-Forwarded-For and Forwarded: who is named, in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http/http.h"

#define START "GET / HTTP/1.1\r\nHost: a\r\n"
#define MAX_HOPS 4

/* "host host", and " proto" of the last one where it has one. */
static const char *hops_text(const char *request, enum http_hops_field field, char text[256])
{
    struct buf_reader in = buf_reader_from(buf_view_str(request));
    struct http_hop hops[MAX_HOPS];
    struct http_error error;
    struct http_head head;
    size_t used = 0;
    unsigned n;

    if (http_parse_request(&in, 4096, &head, &error) != E_OK)
        fail_msg("%s in: %s", error.text, request);
    n = http_forwarded_hops(&head, field, hops, MAX_HOPS);
    text[0] = '\0';
    for (unsigned i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, 256 - used, "%s%.*s", i ? " " : "",
                                 (int)hops[i].host.size_bytes, (const char *)hops[i].host.data);
    if (n && hops[n - 1].proto.size_bytes)
        snprintf(text + used, 256 - used, " %.*s", (int)hops[n - 1].proto.size_bytes,
                 (const char *)hops[n - 1].proto.data);
    return text;
}

static const struct {
    const char *fields, *hops;
} k_x[] =
    {
        {"", ""},
        {"X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
        {"x-forwarded-for: 192.0.2.1:80 ,  192.0.2.2\r\n", "192.0.2.1 192.0.2.2"},
        {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n", "192.0.2.1 192.0.2.2"},
        {"X-Forwarded-For: 2001:db8::1, [2001:db8::2], [2001:db8::3]:443\r\n",
         "2001:db8::1 2001:db8::2 2001:db8::3"},
        {"X-Forwarded-For: 1, 2, 3, 4, 5, 6\r\n", "3 4 5 6"}, /* the last are kept */
        {"X-Forwarded-For: 192.0.2.1, \"<>\"\r\n", "192.0.2.1 "},
        {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http, https\r\n", "192.0.2.1 https"},
        {"X-Forwarded-Proto: https\r\n", ""},
        {"Forwarded: for=192.0.2.1\r\n", ""},
},
  k_rfc7239[] = {
      {"X-Forwarded-For: 192.0.2.1\r\n", ""},
      {"Forwarded: for=192.0.2.60;proto=http;by=203.0.113.43\r\n", "192.0.2.60 http"},
      {"Forwarded: for=192.0.2.43, For=\"[2001:db8:cafe::17]:4711\"\r\n",
       "192.0.2.43 2001:db8:cafe::17"},
      {"Forwarded: for=192.0.2.43\r\nForwarded: FOR=198.51.100.17 ; PROTO=\"https\"\r\n",
       "192.0.2.43 198.51.100.17 https"},
      {"Forwarded: for=\"1,2;x\\\",3\", for=192.0.2.7\r\n",
       " 192.0.2.7"}, /* one element is quoted */
      {"Forwarded: for=unknown, for=_hidden\r\n", "unknown _hidden"},
      {"Forwarded: by=203.0.113.43\r\n", ""},
      {"Forwarded: ;;=;for\r\n", ""},
};

static void test_hops_gives_who_is_named_in_x_forwarded_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_x / sizeof k_x[0]; i++) {
        char request[512], text[256];

        snprintf(request, sizeof request, START "%s\r\n", k_x[i].fields);
        assert_string_equal(hops_text(request, HTTP_HOPS_X_FORWARDED_FOR, text), k_x[i].hops);
    }
}

static void test_hops_gives_who_is_named_in_forwarded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_rfc7239 / sizeof k_rfc7239[0]; i++) {
        char request[512], text[256];

        snprintf(request, sizeof request, START "%s\r\n", k_rfc7239[i].fields);
        assert_string_equal(hops_text(request, HTTP_HOPS_FORWARDED, text), k_rfc7239[i].hops);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hops_gives_who_is_named_in_x_forwarded_for),
        cmocka_unit_test(test_hops_gives_who_is_named_in_forwarded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
