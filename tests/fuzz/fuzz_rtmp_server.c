/* RTMP server: any bytes from a client, with every event answered. The first byte is the split, the
 * second says where the bytes begin and how publish and play are answered.
 * links: proto/rtmp */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rtmp/rtmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    AFTER_HANDSHAKE = 1 << 0, /* C0 C1 C2 were sent before the bytes */
    REFUSES = 1 << 1,         /* publish and play are refused, else accepted */
    ENDS = 1 << 2,            /* after the first media message we end it */
};

static const struct rtmp_limits k_limits = {
    .max_message_bytes = 1 << 16,
    .max_command_bytes = 1 << 12,
    .max_chunk_size = 1 << 16,
    .max_chunk_streams = 8,
    .out_chunk_size = 4096,
    .window_ack_size = 5000,
};

static void on_event(struct rtmp_server *s, const struct rtmp_event *event, unsigned flags,
                     struct buf_writer *out)
{
    static volatile uint8_t last; /* each body is touched to its end */

    if (event->type == RTMP_EVENT_PUBLISH || event->type == RTMP_EVENT_PLAY) {
        assert(event->app.size_bytes > 0);
        if (flags & REFUSES)
            rtmp_server_refuse(s, "NetStream.Failed", "no", out);
        else
            rtmp_server_accept(s, out);
        rtmp_server_ping(s, 1, out);
    }
    if (event->type == RTMP_EVENT_MEDIA) {
        assert(event->body.size_bytes > 0);
        last = event->body.data[event->body.size_bytes - 1];
        if (flags & ENDS)
            rtmp_server_end(s, "NetStream.Publish.BadName", "ended", out);
    }
    (void)last;
}

static enum err feed_piece(struct rtmp_server *s, const uint8_t *data, size_t size, unsigned flags,
                           struct buf_writer *out)
{
    uint8_t *copy = malloc(size);
    struct buf_reader in = buf_reader_from(buf_view_of(copy, size));
    struct rtmp_event event;
    enum err e;

    assert(copy);
    memcpy(copy, data, size);
    while ((e = rtmp_server_feed(s, &in, 1, &event, out)) == E_OK)
        on_event(s, &event, flags, out);
    assert(e != E_AGAIN || in.left_bytes == 0);
    assert(e == E_AGAIN || e == E_PROTO || e == E_TOO_BIG || e == E_NOMEM);
    assert(e == E_AGAIN || rtmp_server_error(s)[0] != '\0');
    free(copy);
    buf_writer_clear(out);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t k_seed[RTMP_SEED_BYTES], k_handshake[1 + 2 * 1536] = {3};
    struct rtmp_server *s = rtmp_server_create(&k_limits, k_seed);
    struct buf_writer out;
    enum err e = E_AGAIN;

    buf_writer_init(&out, 1 << 22);
    if (s && size > 2) {
        size_t step = data[0] + 1u;

        if (data[1] & AFTER_HANDSHAKE)
            e = feed_piece(s, k_handshake, sizeof k_handshake, 0, &out);
        for (size_t at = 2; at < size && e == E_AGAIN; at += step)
            e = feed_piece(s, data + at, size - at < step ? size - at : step, data[1], &out);
    }
    rtmp_server_destroy(&s);
    buf_writer_fini(&out);
    return 0;
}
