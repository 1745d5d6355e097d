/* RTMP client: any bytes from a server. The first byte is the split, the second says what the
 * client wants and where the bytes begin. links: proto/rtmp */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rtmp/rtmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    AFTER_HANDSHAKE = 1 << 0, /* S0 S1 S2 came before the bytes */
    PUBLISHES = 1 << 1,
    STOPS = 1 << 2, /* after the first event */
};

/* What is gone to is one of rtmp, and leads to itself. */
static void go_to(struct buf_view reference)
{
    static const char k_base[] = "rtmp://localhost/live/one";
    char to[300], again[300];

    if (rtmp_resolve_tc_url(buf_view_str(k_base), reference, to, sizeof to) != E_OK)
        return;
    assert(!strncmp(to, "rtmp://", 7) || !strncmp(to, "rtmps://", 8));
    assert(rtmp_resolve_tc_url(buf_view_str(k_base), buf_view_str(to), again, sizeof again) ==
           E_OK);
    assert(!strcmp(to, again));
}

static void on_event(struct rtmp_client *c, const struct rtmp_client_event *event, unsigned flags,
                     struct buf_writer *out)
{
    static volatile uint8_t last; /* each body is touched to its end */

    if (event->type == RTMP_CLIENT_MEDIA) {
        assert(!(flags & PUBLISHES) && event->body.size_bytes > 0);
        last = event->body.data[event->body.size_bytes - 1];
    }
    if (event->type == RTMP_CLIENT_STARTED && (flags & PUBLISHES))
        rtmp_client_write_media(c, RTMP_AUDIO, 1, buf_view_of("\xaf\x01", 2), out);
    if (event->type == RTMP_CLIENT_RECONNECT)
        go_to(event->tc_url);
    if (flags & STOPS)
        rtmp_client_stop(c, out);
    (void)last;
}

static enum err feed_piece(struct rtmp_client *c, const uint8_t *data, size_t size, unsigned flags,
                           struct buf_writer *out)
{
    uint8_t *copy = malloc(size);
    struct buf_reader in = buf_reader_from(buf_view_of(copy, size));
    struct rtmp_client_event event;
    enum err e;

    assert(copy);
    memcpy(copy, data, size);
    while ((e = rtmp_client_feed(c, &in, 1, &event, out)) == E_OK)
        on_event(c, &event, flags, out);
    assert(e != E_AGAIN || in.left_bytes == 0);
    assert(e == E_AGAIN || e == E_PROTO || e == E_TOO_BIG || e == E_NOMEM);
    assert(e == E_AGAIN || rtmp_client_error(c)[0] != '\0');
    free(copy);
    buf_writer_clear(out);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t k_seed[RTMP_SEED_BYTES], k_handshake[1 + 2 * 1536] = {3};
    struct rtmp_client_conf conf = {
        .publish = size > 1 && (data[1] & PUBLISHES),
        .reconnects = true,
        .app = "live",
        .stream = "x",
        .tc_url = "rtmp://localhost/live",
        .limits = {1 << 16, 1 << 12, 1 << 16, 8, 4096, 5000},
    };
    struct rtmp_client *c = rtmp_client_create(&conf, k_seed);
    struct buf_writer out;
    enum err e = E_AGAIN;

    buf_writer_init(&out, 1 << 22);
    if (c && size > 2) {
        size_t step = data[0] + 1u;

        rtmp_client_start(c, &out);
        if (data[1] & AFTER_HANDSHAKE)
            e = feed_piece(c, k_handshake, sizeof k_handshake, 0, &out);
        for (size_t at = 2; at < size && e == E_AGAIN; at += step)
            e = feed_piece(c, data + at, size - at < step ? size - at : step, data[1], &out);
    }
    rtmp_client_destroy(&c);
    buf_writer_fini(&out);
    return 0;
}
