/* Floods of HTTP/2: frames that cost the peer little and us more (CVE-2019-9511 to 9518,
 * CVE-2023-44487, CVE-2024-27316, CVE-2025-8671). Each kind has a bucket of tokens: so many at
 * once, then so many a second. What browsers, players and h2load do stays far below. */
#include "common/net/http2_private.h"

static const struct {
    enum http_bad reason;
    const char *detail;
    uint32_t burst;
    uint32_t per_s;
} k_guards[HTTP2_N_GUARDS] = {
    /* Players cancel a request when somebody seeks, browsers all of a page when it is left. */
    [HTTP2_GUARD_RESET] = {HTTP_BAD_RESETS, "too many streams reset by the peer", 200, 20},
    [HTTP2_GUARD_SETTINGS] = {HTTP_BAD_SETTINGS, "too many SETTINGS frames", 32, 1},
    /* gRPC's and Chromium's measure the path with one a round trip. */
    [HTTP2_GUARD_PING] = {HTTP_BAD_PINGS, "too many PING frames", 100, 20},
    /* On top of two for each frame of data that was sent. */
    [HTTP2_GUARD_WINDOW] = {HTTP_BAD_WINDOWS, "too many WINDOW_UPDATE frames", 2000, 200},
    [HTTP2_GUARD_EMPTY] = {HTTP_BAD_EMPTY_FRAMES, "too many empty DATA frames", 100, 1},
    [HTTP2_GUARD_BAD] = {HTTP_BAD_FRAMES, "too many frames against the protocol", 100, 1},
};

static const struct {
    int error;
    enum http_bad reason;
    const char *detail;
} k_session_errors[] = {
    {NGHTTP2_ERR_FLOODED, HTTP_BAD_PINGS, "answers to PING and SETTINGS are not taken"},
    {NGHTTP2_ERR_TOO_MANY_CONTINUATIONS, HTTP_BAD_CONTINUATIONS, "too many CONTINUATION frames"},
    {NGHTTP2_ERR_BAD_CLIENT_MAGIC, HTTP_BAD_SYNTAX, "not the beginning of HTTP/2"},
};

void http2_guard_init(struct http2 *h2, int64_t now_us)
{
    h2->guarded_us = now_us;
    for (unsigned i = 0; i < HTTP2_N_GUARDS; i++)
        h2->tokens[i] = k_guards[i].burst;
}

static void add_tokens(struct http2 *h2, enum http2_guard guard, uint64_t n)
{
    uint64_t tokens = h2->tokens[guard] + n;

    h2->tokens[guard] = tokens < k_guards[guard].burst ? (uint32_t)tokens : k_guards[guard].burst;
}

/* Whole seconds only: the rest counts the next time. */
static void refill(struct http2 *h2, int64_t now_us)
{
    uint64_t passed_s = now_us > h2->guarded_us ? (uint64_t)(now_us - h2->guarded_us) / 1000000 : 0;

    if (passed_s == 0)
        return;
    h2->guarded_us += (int64_t)passed_s * 1000000;
    for (unsigned i = 0; i < HTTP2_N_GUARDS; i++)
        add_tokens(h2, (enum http2_guard)i, passed_s * k_guards[i].per_s);
}

void http2_guard_charge(struct http_inbound *inbound, enum http2_guard guard)
{
    struct http2 *h2 = inbound->h2;

    refill(h2, loop_now_us(inbound->server->loop));
    if (h2->tokens[guard] > 0)
        h2->tokens[guard]--;
    else
        http2_offend(inbound, k_guards[guard].reason, k_guards[guard].detail,
                     k_guards[guard].per_s);
}

void http2_guard_allow_windows(struct http2 *h2)
{
    add_tokens(h2, HTTP2_GUARD_WINDOW, 2);
}

void http2_guard_session_error(struct http_inbound *inbound, int error)
{
    for (size_t i = 0; i < sizeof k_session_errors / sizeof k_session_errors[0]; i++)
        if (k_session_errors[i].error == error) {
            http2_offend(inbound, k_session_errors[i].reason, k_session_errors[i].detail, 0);
            return;
        }
    inbound->dead = true; /* out of memory */
}
