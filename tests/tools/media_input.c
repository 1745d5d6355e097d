/* Which container it is shows in the first bytes; all kinds end as FLV tags. */
#include "tests/tools/media_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/flv/flv.h"
#include "proto/rtmp/chunk_decoder.h"
#include "tests/tools/mp4_input.h"

#define PIECE_BYTES 65536
#define MAX_FRAME_BYTES FLV_MAX_TAG_BYTES
#define RTMP_VERSION 3
#define TELLING_BYTES 8                      /* show which container it is */
#define HANDSHAKE_BYTES (1u + 1536u + 1536u) /* of either side: RTMP 1.0, section 5.2 */

struct media_input {
    int fd;           /* -1: its owner gives the bytes */
    bool is_patient;  /* E_AGAIN instead of waiting */
    const char *path; /* borrowed */
    enum media_container container;
    uint8_t piece[PIECE_BYTES];
    struct buf_reader in; /* of piece */
    uint64_t n_bytes;
    bool at_end;
    struct flv_decoder *flv;
    struct ts_demux *ts;
    struct mp4_input mp4;
    struct rtmp_chunk_decoder rtmp;
    size_t handshake_left_bytes;
    uint64_t n_messages[MEDIA_INPUT_MESSAGE_TYPES];
    struct buf_writer body; /* of a tag that was made here */
    struct flv_parts parts; /* of a tag of FLV that is being taken apart */
    struct buf_writer scratch;
    struct flv_tag tag;
    bool in_parts;
    bool has_time;
    uint32_t last_ms;
    int64_t last_us;
    char why[512];
};

static void begin_rtmp(struct media_input *m)
{
    static const struct rtmp_chunk_limits k_limits = {.max_media_bytes = MAX_FRAME_BYTES,
                                                      .max_other_bytes = 1u << 20,
                                                      .max_chunk_size = MAX_FRAME_BYTES,
                                                      .max_chunk_streams = 64};

    m->handshake_left_bytes = HANDSHAKE_BYTES;
    rtmp_chunk_decoder_init(&m->rtmp, &k_limits);
}

/* False: out of memory. */
static bool begin(struct media_input *m, enum media_container container)
{
    m->container = container;
    if (container == CONTAINER_FLV)
        m->flv = flv_decoder_create(MAX_FRAME_BYTES);
    else if (container == CONTAINER_TS)
        m->ts = ts_demux_create(MAX_FRAME_BYTES);
    else if (container == CONTAINER_MP4)
        return mp4_input_init(&m->mp4, m->fd, m->n_bytes, MAX_FRAME_BYTES) == E_OK;
    else if (container == CONTAINER_RTMP && m->fd >= 0)
        begin_rtmp(m);
    return (container != CONTAINER_FLV || m->flv) && (container != CONTAINER_TS || m->ts);
}

struct media_input *media_input_create(const char *name, enum media_container container)
{
    struct media_input *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    *m = (struct media_input){.fd = -1, .path = name};
    buf_writer_init(&m->body, MAX_FRAME_BYTES + 64);
    buf_writer_init(&m->scratch, MAX_FRAME_BYTES + 64);
    if (!begin(m, container))
        media_input_close(&m);
    return m;
}

struct media_input *media_input_open(const char *path, char *why, size_t size)
{
    bool is_stdin = !strcmp(path, "-");
    struct media_input *input =
        media_input_create(is_stdin ? "standard input" : path, CONTAINER_UNKNOWN);

    if (!input) {
        snprintf(why, size, "%s", err_text(E_NOMEM));
        return NULL;
    }
    input->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (input->fd < 0) {
        snprintf(why, size, "%s: %s", path, strerror(errno));
        media_input_close(&input);
    }
    return input;
}

void media_input_close(struct media_input **input)
{
    struct media_input *m = *input;

    if (!m)
        return;
    if (m->fd > STDIN_FILENO)
        (void)close(m->fd);
    flv_decoder_destroy(&m->flv);
    ts_demux_destroy(&m->ts);
    mp4_input_fini(&m->mp4);
    rtmp_chunk_decoder_fini(&m->rtmp);
    buf_writer_fini(&m->body);
    buf_writer_fini(&m->scratch);
    free(m);
    *input = NULL;
}

void media_input_set_patient(struct media_input *input)
{
    input->is_patient = true;
}

void media_input_give(struct media_input *input, struct buf_view bytes)
{
    input->n_bytes += bytes.size_bytes;
    input->in = buf_reader_from(bytes);
}

void media_input_end(struct media_input *input)
{
    input->at_end = true;
}

static enum err fail(struct media_input *m, enum err e, const char *what)
{
    snprintf(m->why, sizeof m->why, "%s: byte %llu: %s", m->path,
             (unsigned long long)(m->n_bytes - m->in.left_bytes), what);
    return e;
}

/* --- bytes --- */

static bool has_bytes(const struct media_input *m)
{
    struct pollfd fd = {.fd = m->fd, .events = POLLIN};

    return !m->is_patient || poll(&fd, 1, 0) != 0;
}

static enum err fill(struct media_input *m)
{
    size_t kept = 0;
    ssize_t n;

    if (m->fd < 0 || !has_bytes(m))
        return E_AGAIN;
    if (m->container == CONTAINER_UNKNOWN)
        kept = m->in.left_bytes; /* all that has come so far */
    do
        n = read(m->fd, &m->piece[kept], sizeof m->piece - kept);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return fail(m, E_IO, strerror(errno));
    m->at_end = n == 0;
    m->n_bytes += (size_t)n;
    m->in = buf_reader_from(buf_view_of(m->piece, kept + (size_t)n));
    return n ? E_OK : E_END;
}

static bool is_mp4(struct buf_view head)
{
    static const char k_types[][5] = {"ftyp", "styp", "moov", "moof"};

    for (size_t i = 0; head.size_bytes >= 8 && i < sizeof k_types / sizeof k_types[0]; i++)
        if (!memcmp(head.data + 4, k_types[i], 4))
            return true;
    return false;
}

/* "FLV", a box that MP4 begins with, or RTMP's version, else a transport stream, which may begin
 * anywhere. */
static enum err recognise(struct media_input *m)
{
    enum media_container container = CONTAINER_TS;

    if (m->in.left_bytes >= 3 && !memcmp(m->in.at, "FLV", 3))
        container = CONTAINER_FLV;
    else if (is_mp4(buf_rest(&m->in)))
        container = CONTAINER_MP4;
    else if (m->in.left_bytes && m->in.at[0] == RTMP_VERSION)
        container = CONTAINER_RTMP;
    return begin(m, container) ? E_OK : fail(m, E_NOMEM, err_text(E_NOMEM));
}

/* --- tags --- */

static void parse(struct media_tag *out)
{
    out->info = (struct media_frame_info){0};
    out->is_broken = false;
    out->why = "";
    if (!out->body.size_bytes) {
        out->is_broken = true;
        out->why = "empty tag";
    } else if (flv_parse_body(out->type_id, out->body, &out->info, &out->why) != E_OK) {
        out->is_broken = true;
    }
    out->info.dts_us = out->dts_us;
}

/* Tags of a file carry 32 bits; a step of more than half of that is a wrap. */
static int64_t unwrap(struct media_input *m, uint32_t dts_ms)
{
    if (!m->has_time)
        m->last_us = (int64_t)dts_ms * 1000;
    else
        m->last_us += (int64_t)(int32_t)(dts_ms - m->last_ms) * 1000;
    m->has_time = true;
    m->last_ms = dts_ms;
    return m->last_us;
}

static enum err next_part(struct media_input *m, struct media_tag *out)
{
    const char *why = "";
    enum err e = flv_parts_next(&m->parts, &m->scratch, &out->body, &why);

    m->in_parts = e == E_OK;
    if (e == E_END)
        return E_AGAIN;
    out->type_id = m->tag.header.type_id;
    out->dts_us = m->last_us;
    if (e == E_OK) {
        parse(out);
        return E_OK;
    }
    *out = (struct media_tag){
        .type_id = m->tag.header.type_id, .dts_us = m->last_us, .is_broken = true, .why = why};
    return E_OK;
}

static enum err next_flv(struct media_input *m, struct media_tag *out)
{
    enum err e = m->in_parts ? next_part(m, out) : E_AGAIN;

    while (e == E_AGAIN) {
        e = flv_decoder_feed(m->flv, &m->in, &m->tag);
        if (e == E_AGAIN)
            return E_AGAIN;
        if (e != E_OK)
            return fail(m, e, flv_decoder_error(m->flv));
        (void)unwrap(m, m->tag.header.dts_ms);
        flv_parts_begin(&m->parts, m->tag.header.type_id, m->tag.body);
        e = next_part(m, out);
    }
    return e;
}

static void take_message(struct media_input *m, uint8_t type_id, uint32_t time_ms,
                         struct buf_view body)
{
    m->n_messages[type_id % MEDIA_INPUT_MESSAGE_TYPES]++;
    m->tag = (struct flv_tag){.header = {.type_id = type_id, .dts_ms = time_ms}, .body = body};
    (void)unwrap(m, time_ms);
    flv_parts_begin(&m->parts, type_id, body);
    m->in_parts = true;
}

void media_input_give_message(struct media_input *m, uint8_t type_id, uint32_t time_ms,
                              struct buf_view body)
{
    m->n_bytes += body.size_bytes;
    take_message(m, type_id, time_ms, body);
}

static bool is_media(uint8_t type_id)
{
    return type_id == FLV_TAG_AUDIO || type_id == FLV_TAG_VIDEO || type_id == FLV_TAG_SCRIPT;
}

/* Of a connection's bytes; E_AGAIN too when messages are given instead. */
static enum err next_rtmp(struct media_input *m, struct media_tag *out)
{
    enum err e = m->in_parts ? next_part(m, out) : E_AGAIN;
    struct rtmp_message message;

    if (e != E_AGAIN || m->fd < 0)
        return e;
    while (m->handshake_left_bytes && m->in.left_bytes) {
        size_t n =
            m->in.left_bytes < m->handshake_left_bytes ? m->in.left_bytes : m->handshake_left_bytes;

        (void)buf_take(&m->in, n);
        m->handshake_left_bytes -= n;
    }
    while (e == E_AGAIN && m->in.left_bytes) {
        e = rtmp_chunk_decoder_feed(&m->rtmp, &m->in, &message);
        if (e == E_AGAIN)
            break;
        if (e != E_OK)
            return fail(m, e, rtmp_chunk_decoder_error(&m->rtmp));
        e = E_AGAIN;
        if (is_media(message.type_id) && message.payload.size_bytes) {
            take_message(m, message.type_id, message.timestamp_ms, message.payload);
            e = next_part(m, out);
        } else {
            m->n_messages[message.type_id % MEDIA_INPUT_MESSAGE_TYPES]++;
        }
    }
    return e;
}

static enum err take_unit(struct media_input *m, const struct flv_es *es, int64_t dts_us,
                          struct media_tag *out)
{
    buf_writer_clear(&m->body);
    flv_write_body(&m->body, es);
    if (buf_writer_status(&m->body) != E_OK)
        return fail(m, buf_writer_status(&m->body), "frame too long");
    out->type_id = flv_tag_type_of(es->kind);
    out->dts_us = dts_us;
    out->body = buf_writer_view(&m->body);
    parse(out);
    out->info.cts_us = es->cts_us; /* to the tick, not to the millisecond */
    return E_OK;
}

static enum err next_ts(struct media_input *m, struct media_tag *out)
{
    struct ts_unit unit;
    enum err e = m->at_end ? ts_demux_end(m->ts, &unit) : ts_demux_next(m->ts, &m->in, &unit);
    struct flv_es es;

    if (e == E_PROTO)
        return fail(m, e, "neither FLV, MP4 nor a transport stream");
    if (e != E_OK)
        return e;
    es = (struct flv_es){.kind = unit.kind,
                         .codec = unit.codec,
                         .config = unit.config,
                         .key = unit.key,
                         .cts_us = unit.config ? 0 : unit.pts_us - unit.dts_us,
                         .es = unit.es};
    return take_unit(m, &es, unit.dts_us, out);
}

static enum err next_mp4(struct media_input *m, struct media_tag *out)
{
    struct mp4_unit unit;
    struct flv_es es;
    enum err e = mp4_input_next(&m->mp4, &m->in, m->at_end, &unit);

    m->n_bytes = m->mp4.n_bytes;
    if (e == E_AGAIN || e == E_END)
        return e;
    if (e != E_OK) {
        snprintf(m->why, sizeof m->why, "%s: %s", m->path, m->mp4.why);
        return e;
    }
    es = (struct flv_es){.kind = unit.kind,
                         .codec = unit.codec,
                         .config = unit.config,
                         .key = unit.key,
                         .cts_us = unit.pts_us - unit.dts_us,
                         .es = unit.es};
    return take_unit(m, &es, unit.dts_us, out);
}

enum err media_input_next(struct media_input *m, struct media_tag *out)
{
    for (;;) {
        enum err e = E_AGAIN;

        if (m->container == CONTAINER_FLV)
            e = next_flv(m, out);
        else if (m->container == CONTAINER_TS)
            e = next_ts(m, out);
        else if (m->container == CONTAINER_RTMP)
            e = next_rtmp(m, out);
        else if (m->container == CONTAINER_MP4)
            e = next_mp4(m, out);
        if (e != E_AGAIN)
            return e;
        if (m->at_end)
            return E_END;
        e = fill(m);
        if (m->container == CONTAINER_UNKNOWN &&
            (e == E_END ? m->in.left_bytes : e == E_OK && m->in.left_bytes >= TELLING_BYTES))
            e = recognise(m);
        if (e != E_OK && !(e == E_END && m->container == CONTAINER_TS))
            return e;
    }
}

const char *media_input_why(const struct media_input *input)
{
    return input->why;
}

const char *media_input_lacks(const struct media_input *input)
{
    if (!input->n_bytes)
        return "is empty";
    if ((input->flv && flv_decoder_is_amid(input->flv)) ||
        (input->ts && ts_demux_is_amid(input->ts)))
        return "ends in the middle of a frame";
    return input->mp4.demux ? mp4_demux_lacks(input->mp4.demux, input->n_bytes) : NULL;
}

enum media_container media_input_container(const struct media_input *input)
{
    return input->container;
}

uint64_t media_input_bytes(const struct media_input *input)
{
    return input->n_bytes;
}

const uint64_t *media_input_messages(const struct media_input *input)
{
    return input->n_messages;
}

unsigned media_input_left_out(const struct media_input *input)
{
    return input->mp4.demux ? mp4_demux_left_out(input->mp4.demux) : 0;
}

void media_input_ts_counts(const struct media_input *input, struct ts_demux_counts *out)
{
    *out = (struct ts_demux_counts){0};
    if (input->ts)
        ts_demux_get_counts(input->ts, out);
}
