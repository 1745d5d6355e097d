/* Feeds for WebSockets: each unit of another format as one binary message (RFC 6455). The frame's
 * header comes first and says how long the unit is, so the unit is put together beside the feed;
 * bodies are still lent, not copied. */
#include "node/stream/format.h"
#include "proto/ws/ws.h"

#define MAX_PARTS 8               /* bodies lent by one unit; more are copied */
#define UNIT_MAX_BYTES (1u << 26) /* what is copied of a unit */

/* Bytes of the unit: those of the scratch buffer up to own_end, then a part of a body. */
struct ws_part {
    size_t own_end;
    const struct media_frame *frame; /* borrowed for the call; NULL = no part follows */
    struct buf_view part;
};

struct ws_sink {
    struct mux_sink sink;
    struct buf_writer *own;
    struct ws_part lent[MAX_PARTS];
    unsigned n_lent;
    uint64_t lent_bytes;
};

static void put(struct mux_sink *sink, struct buf_view bytes)
{
    buf_write_view(((struct ws_sink *)sink)->own, bytes);
}

static void put_body(struct mux_sink *sink, const struct media_frame *frame, struct buf_view part)
{
    struct ws_sink *s = (struct ws_sink *)sink;

    if (s->n_lent == MAX_PARTS) {
        put(sink, part);
        return;
    }
    s->lent[s->n_lent++] = (struct ws_part){s->own->used_bytes, frame, part};
    s->lent_bytes += part.size_bytes;
}

static void put_message(struct mux_sink *out, const struct ws_sink *s)
{
    uint8_t header[WS_MAX_HEADER_BYTES];
    size_t done = 0;

    out->put(out, buf_view_of(header, ws_put_header(header, WS_BINARY, true,
                                                    s->own->used_bytes + s->lent_bytes)));
    for (unsigned i = 0; i < s->n_lent; i++) {
        const struct ws_part *p = &s->lent[i];

        out->put(out, buf_view_of(s->own->data + done, p->own_end - done));
        out->put_body(out, p->frame, p->part);
        done = p->own_end;
    }
    out->put(out, buf_view_of(s->own->data + done, s->own->used_bytes - done));
}

static bool open_ws(struct mux_context *ctx)
{
    buf_writer_init(&ctx->scratch, UNIT_MAX_BYTES);
    return !ctx->inner->open || ctx->inner->open(ctx);
}

static void close_ws(struct mux_context *ctx)
{
    if (ctx->inner->close)
        ctx->inner->close(ctx);
    buf_writer_fini(&ctx->scratch);
}

static void take_tracks(struct mux_context *ctx, const struct track_set *tracks)
{
    if (ctx->inner->take_tracks)
        ctx->inner->take_tracks(ctx, tracks);
}

static void look(struct mux_context *ctx, const struct media_frame *frame)
{
    if (ctx->inner->look)
        ctx->inner->look(ctx, frame);
}

static void write_unit(struct mux_sink *sink, struct mux_context *ctx,
                       const struct media_frame *frame, bool entry)
{
    struct ws_sink s = {.sink = {put, put_body}, .own = &ctx->scratch};

    buf_writer_clear(&ctx->scratch);
    ctx->inner->write_unit(&s.sink, ctx, frame, entry);
    if (buf_writer_status(&ctx->scratch) == E_OK && ctx->scratch.used_bytes + s.lent_bytes)
        put_message(sink, &s);
}

static void write_init(struct buf_writer *out, struct mux_context *ctx,
                       const struct track_set *tracks, int64_t dts_us)
{
    uint8_t header[WS_MAX_HEADER_BYTES];
    struct buf_writer init;

    if (!ctx->inner->write_init)
        return;
    buf_writer_init(&init, UNIT_MAX_BYTES);
    ctx->inner->write_init(&init, ctx, tracks, dts_us);
    if (buf_writer_status(&init) != E_OK)
        out->failed = init.failed;
    else if (init.used_bytes) {
        buf_write(out, header, ws_put_header(header, WS_BINARY, true, init.used_bytes));
        buf_write_view(out, buf_writer_view(&init));
    }
    buf_writer_fini(&init);
}

#define WS_FORMAT(text, of)                                                                        \
    {                                                                                              \
        .name = text, .inner = of, .open = open_ws, .close = close_ws, .take_tracks = take_tracks, \
        .look = look, .write_unit = write_unit, .write_init = write_init                           \
    }
const struct feed_format k_format_ws_flv = WS_FORMAT("ws-flv", &k_format_flv);
const struct feed_format k_format_ws_ts = WS_FORMAT("ws-ts", &k_format_ts);
const struct feed_format k_format_ws_mp4 = WS_FORMAT("ws-mp4", &k_format_mp4);
