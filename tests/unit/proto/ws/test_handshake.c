/* Opening handshake: RFC 6455, section 4.2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ws/ws.h"

#define START "GET /live/x.flv HTTP/1.1\r\nHost: a\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* The head borrows text. */
static struct http_head parse(const char *text)
{
    struct buf_reader in = buf_reader_from(buf_view_str(text));
    struct http_error error;
    struct http_head head;

    if (http_parse_request(&in, 4096, &head, &error) != E_OK)
        fail_msg("%s in: %s", error.text, text);
    return head;
}

static void test_accept_gives_the_answer_of_the_standard(void **state)
{
    struct http_head head = parse(START UPGRADE VERSION KEY "\r\n");
    char accept[WS_ACCEPT_SIZE];
    struct http_error error;

    (void)state;
    assert_true(ws_is_upgrade(&head));
    assert_int_equal(ws_accept(&head, accept, &error), E_OK);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* section 1.3 */
}

static const struct {
    const char *request;
    unsigned status; /* 0 = good */
} k_requests[] = {
    {START "UPGRADE: WebSocket\r\nconnection: upgrade\r\n" VERSION KEY "\r\n", 0},
    {START UPGRADE VERSION KEY "Content-Length: 0\r\n\r\n", 0},
    {"POST / HTTP/1.1\r\nHost: a\r\n" UPGRADE VERSION KEY "\r\n", 400},
    {"GET / HTTP/1.0\r\nHost: a\r\n" UPGRADE VERSION KEY "\r\n", 400},
    {START UPGRADE VERSION KEY "Content-Length: 1\r\n\r\n", 400},
    {START UPGRADE VERSION KEY "Transfer-Encoding: chunked\r\n\r\n", 400},
    {START VERSION KEY "\r\n", 400},
    {START "Upgrade: websocket\r\n" VERSION KEY "\r\n", 400},
    {START "Connection: Upgrade\r\n" VERSION KEY "\r\n", 400},
    {START "Upgrade: h2c\r\nConnection: Upgrade\r\n" VERSION KEY "\r\n", 400},
    {START UPGRADE KEY "\r\n", 426},
    {START UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n", 426},
    {START UPGRADE KEY VERSION VERSION "\r\n", 426},
    {START UPGRADE VERSION "\r\n", 400},
    {START UPGRADE VERSION KEY KEY "\r\n", 400},
    {START UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n", 400},
    {START UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===\r\n\r\n", 400},
    {START UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQaa\r\n\r\n", 400},
    {START UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub_5jZQ==\r\n\r\n", 400},
    {START UPGRADE VERSION "Sec-WebSocket-Key:\r\n\r\n", 400},
};

static void test_accept_refuses_each_break_of_the_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_requests / sizeof k_requests[0]; i++) {
        struct http_head head = parse(k_requests[i].request);
        struct http_error error = {0, NULL};
        char accept[WS_ACCEPT_SIZE];
        enum err e = ws_accept(&head, accept, &error);

        if (e != (k_requests[i].status ? E_PROTO : E_OK) || error.status != k_requests[i].status)
            fail_msg("%u for: %s", error.status, k_requests[i].request);
        assert_true((error.text != NULL) == (e != E_OK));
    }
}

static void test_pick_protocol_gives_the_clients_first_choice_that_is_known(void **state)
{
    static const char *const k_known[] = {"flv", "rtsp", NULL};
    static const struct {
        const char *fields, *picked;
    } k_offers[] = {
        {"", NULL},
        {"Sec-WebSocket-Protocol: rtsp\r\n", "rtsp"},
        {"Sec-WebSocket-Protocol: chat, rtsp, flv\r\n", "rtsp"},
        {"sec-websocket-protocol: chat\r\nSec-WebSocket-Protocol: flv\r\n", "flv"},
        {"Sec-WebSocket-Protocol: RTSP, flvx, fl\r\n", NULL}, /* their case counts, section 4.1 */
        {"Sec-WebSocket-Protocol: ,,\r\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_offers / sizeof k_offers[0]; i++) {
        char text[512];
        struct http_head head;
        const char *picked;

        snprintf(text, sizeof text, START "%s\r\n", k_offers[i].fields);
        head = parse(text);
        picked = ws_pick_protocol(&head, k_known);
        if (!picked || !k_offers[i].picked)
            assert_true(picked == k_offers[i].picked);
        else
            assert_string_equal(picked, k_offers[i].picked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_gives_the_answer_of_the_standard),
        cmocka_unit_test(test_accept_refuses_each_break_of_the_rules),
        cmocka_unit_test(test_pick_protocol_gives_the_clients_first_choice_that_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
