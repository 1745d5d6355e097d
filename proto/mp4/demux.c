/* The boxes of the file in their order, and whose sample is next. */
#include "proto/mp4/demux_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define US_PER_S 1000000
#define HEAD_BYTES 8u
#define LARGE_HEAD_BYTES 16u
#define MAX_CONFIG_BYTES ((size_t)1 << 20)

struct piece { /* what the caller has given */
    uint64_t at;
    struct buf_view bytes;
};

/* --- errors and times --- */

/* Where in the file that byte is; false: it is in neither box. */
static bool place_of(const struct mp4_demux *d, const void *where, uint64_t *at)
{
    const struct {
        const struct buf_writer *body;
        uint64_t at;
    } k_bodies[] = {{&d->moov, d->moov_at}, {&d->moof, d->moof_at}};

    for (unsigned i = 0; where && i < 2; i++) {
        uintptr_t begin = (uintptr_t)k_bodies[i].body->data, here = (uintptr_t)where;

        if (here >= begin && here <= begin + k_bodies[i].body->used_bytes) {
            *at = k_bodies[i].at + (here - begin);
            return true;
        }
    }
    return false;
}

enum err mp4_demux_fail(struct mp4_demux *d, enum err e, const char *box, const void *where,
                        const char *format, ...)
{
    uint64_t at = d->at;
    va_list args;
    int n;

    (void)place_of(d, where, &at);
    n = snprintf(d->error, sizeof d->error, "%s at byte %llu: ", box, (unsigned long long)at);
    if (n < 0 || (size_t)n >= sizeof d->error)
        return e;
    va_start(args, format);
    (void)vsnprintf(d->error + n, sizeof d->error - (size_t)n, format, args);
    va_end(args);
    return e;
}

static enum err no_memory(struct mp4_demux *d)
{
    snprintf(d->error, sizeof d->error, "%s", err_text(E_NOMEM));
    return E_NOMEM;
}

int64_t mp4_to_us(int64_t ticks, uint32_t timescale)
{
    int64_t s = ticks / timescale, rest = ticks % timescale;

    if (rest < 0) { /* round as for times above zero */
        rest += timescale;
        s--;
    }
    return s * US_PER_S + (rest * US_PER_S + timescale / 2) / timescale;
}

bool mp4_is_time(int64_t ticks, uint32_t timescale)
{
    return ticks / timescale <= MP4_MAX_SECONDS && ticks / timescale >= -MP4_MAX_SECONDS;
}

/* --- bytes --- */

/* Those from want_at on, whole; lent until the next fetch(). E_AGAIN: some are not there. */
static enum err fetch(struct mp4_demux *d, const struct piece *piece, uint64_t want_at,
                      uint64_t want_bytes, struct buf_view *out)
{
    struct buf_reader in = buf_reader_from(piece->bytes);
    uint64_t from = want_at + d->part.used_bytes, need = want_bytes - d->part.used_bytes;

    if (from >= piece->at && from - piece->at < piece->bytes.size_bytes) {
        (void)buf_take(&in, (size_t)(from - piece->at));
        *out = buf_take(&in, in.left_bytes < need ? in.left_bytes : (size_t)need);
        if (out->size_bytes == want_bytes)
            return E_OK;
        buf_write_view(&d->part, *out);
        if (buf_writer_status(&d->part) != E_OK)
            return no_memory(d);
        need -= out->size_bytes;
    }
    if (!need) {
        *out = buf_writer_view(&d->part);
        buf_writer_clear(&d->part); /* keeps the memory */
        return E_OK;
    }
    d->wants_at = want_at + d->part.used_bytes;
    d->wants_bytes = need;
    return E_AGAIN;
}

/* --- boxes of the file --- */

static const char *name_of(uint32_t type, char name[5])
{
    for (unsigned i = 0; i < 4; i++) {
        char c = (char)(type >> (24 - 8 * i));

        name[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    name[4] = '\0';
    return name;
}

static enum err go_to(struct mp4_demux *d, uint64_t at)
{
    d->at = at;
    d->state = at == UINT64_MAX ? MP4_AT_END : MP4_AT_BOX;
    return E_OK;
}

static enum err enter_mdat(struct mp4_demux *d)
{
    enum err e;

    if (!d->has_moov && !d->can_seek)
        return mp4_demux_fail(d, E_UNSUPPORTED, "mdat", NULL,
                              "moov is behind the media, and this input cannot go back: read it "
                              "from a file, or write it with moov in front (ffmpeg -movflags "
                              "+faststart) or in fragments");
    if (!d->n_runs)
        return go_to(d, d->box_end);
    e = mp4_demux_check_mdat(d, d->at + d->head_bytes, d->box_end);
    d->resume_at = d->box_end;
    d->is_moof = true;
    d->state = MP4_AT_SAMPLES;
    return e;
}

/* Type and size are known. */
static enum err enter_box(struct mp4_demux *d, uint64_t size_bytes)
{
    bool is_moov = d->type == MP4_TYPE('m', 'o', 'o', 'v');
    bool is_moof = d->type == MP4_TYPE('m', 'o', 'o', 'f');
    size_t limit = is_moov ? MP4_DEMUX_MAX_MOOV_BYTES : MP4_DEMUX_MAX_MOOF_BYTES;
    char name[5];

    (void)name_of(d->type, name);
    if (size_bytes && (size_bytes < d->head_bytes || size_bytes > INT64_MAX - d->at))
        return mp4_demux_fail(d, E_PROTO, name, NULL, "impossible size %llu",
                              (unsigned long long)size_bytes);
    d->box_end = size_bytes ? d->at + size_bytes : UINT64_MAX;
    if (d->type == MP4_TYPE('m', 'd', 'a', 't'))
        return enter_mdat(d);
    if (!is_moov && !is_moof)
        return go_to(d, d->box_end);
    if (is_moof && !d->has_moov)
        return mp4_demux_fail(d, E_PROTO, name, NULL,
                              "no moov before it: the init section is missing");
    if (d->n_runs)
        return mp4_demux_fail(d, E_PROTO, name, NULL, "no mdat between it and the moof before it");
    if (!size_bytes)
        return mp4_demux_fail(d, E_PROTO, name, NULL, "does not say its size");
    if (size_bytes > limit)
        return mp4_demux_fail(d, E_TOO_BIG, name, NULL, "%llu bytes > limit %zu",
                              (unsigned long long)size_bytes, limit);
    d->state = MP4_AT_BODY;
    return E_OK;
}

/* 4.2. */
static enum err read_head(struct mp4_demux *d, const struct piece *piece)
{
    bool is_large = d->state == MP4_AT_LARGE;
    struct buf_view head;
    struct buf_reader in;
    uint64_t size_bytes;
    enum err e = fetch(d, piece, d->at + (is_large ? HEAD_BYTES : 0), HEAD_BYTES, &head);

    if (e != E_OK)
        return e;
    in = buf_reader_from(head);
    if (is_large) {
        d->head_bytes = LARGE_HEAD_BYTES;
        size_bytes = buf_read_u64be(&in);
        return enter_box(d, size_bytes ? size_bytes : 1); /* 0 has no meaning here */
    }
    d->head_bytes = HEAD_BYTES;
    size_bytes = buf_read_u32be(&in);
    d->type = buf_read_u32be(&in);
    if (size_bytes == 1) {
        d->state = MP4_AT_LARGE;
        return E_OK;
    }
    return enter_box(d, size_bytes);
}

static enum err enter_moov(struct mp4_demux *d)
{
    enum err e = mp4_demux_read_moov(d, buf_writer_view(&d->moov));

    d->has_moov = true;
    d->is_moof = false;
    d->resume_at = d->has_fragments ? d->box_end : UINT64_MAX;
    d->state = MP4_AT_SAMPLES;
    return e;
}

static enum err read_body(struct mp4_demux *d, const struct piece *piece)
{
    bool is_moov = d->type == MP4_TYPE('m', 'o', 'o', 'v');
    struct buf_writer *kept = is_moov ? &d->moov : &d->moof;
    uint64_t body_at = d->at + d->head_bytes;
    struct buf_view body;
    enum err e = fetch(d, piece, body_at, d->box_end - body_at, &body);

    if (e != E_OK)
        return e;
    buf_writer_clear(kept);
    buf_write_view(kept, body);
    if (buf_writer_status(kept) != E_OK)
        return no_memory(d);
    *(is_moov ? &d->moov_at : &d->moof_at) = body_at;
    if (is_moov)
        return enter_moov(d);
    e = mp4_demux_read_moof(d, buf_writer_view(kept));
    return e == E_OK ? go_to(d, d->box_end) : e;
}

/* --- samples --- */

/* The next one of the track, if there is one: found. */
static enum err find(struct mp4_demux *d, unsigned track)
{
    struct mp4_demux_track *t = &d->tracks[track];
    enum err e = E_OK;

    while (e == E_OK && t->is_read && !t->has_found) {
        e = d->is_moof ? mp4_demux_run_sample(d, track, &t->found)
                       : mp4_demux_table_sample(d, t, &t->found);
        t->has_found = e == E_OK && t->found.size_bytes;
    }
    if (e == E_OK && t->has_found && t->found.size_bytes > d->max_frame_bytes)
        return mp4_demux_fail(
            d, E_TOO_BIG, d->is_moof ? "moof" : "moov", d->is_moof ? d->moof.data : d->moov.data,
            "sample of track %u at byte %llu: %u bytes > limit %zu", t->id,
            (unsigned long long)t->found.at, t->found.size_bytes, d->max_frame_bytes);
    return e == E_END ? E_OK : e;
}

static int64_t dts_us_of(const struct mp4_demux_track *t)
{
    return mp4_to_us(t->found.dts, t->timescale) + t->shift_us;
}

static bool is_before(const struct mp4_demux_track *a, const struct mp4_demux_track *b)
{
    int64_t a_us = dts_us_of(a), b_us = dts_us_of(b);

    return a_us < b_us || (a_us == b_us && a->found.at < b->found.at);
}

/* NULL in *out: all samples were given. */
static enum err choose(struct mp4_demux *d, struct mp4_demux_track **out)
{
    *out = NULL;
    for (unsigned i = 0; i < d->n_tracks; i++) {
        enum err e = find(d, i);

        if (e != E_OK)
            return e;
        if (d->tracks[i].has_found && (!*out || is_before(&d->tracks[i], *out)))
            *out = &d->tracks[i];
    }
    return E_OK;
}

/* The bytes of a sample. A few of them that are a million samples would be an endless file. */
static enum err fetch_sample(struct mp4_demux *d, const struct piece *piece,
                             const struct mp4_found *found, struct buf_view *out)
{
    enum err e = fetch(d, piece, found->at, found->size_bytes, out);

    if (e != E_OK)
        return e;
    d->given_bytes += found->size_bytes;
    if (found->at + found->size_bytes > d->given_end)
        d->given_end = found->at + found->size_bytes;
    if (d->given_bytes <= d->given_end)
        return E_OK;
    return mp4_demux_fail(d, E_PROTO, d->is_moof ? "moof" : "moov",
                          d->is_moof ? d->moof.data : d->moov.data,
                          "samples overlap: %llu bytes of them up to byte %llu",
                          (unsigned long long)d->given_bytes, (unsigned long long)d->given_end);
}

/* One that comes again and again, since sample entries take turns, is bounded as frames are. */
static enum err take_config(struct mp4_demux *d, const struct mp4_entry *entry,
                            struct buf_view *out)
{
    enum err e = mp4_demux_config(d, entry, out);

    if (e != E_OK)
        return e;
    d->config_bytes += out->size_bytes;
    if (d->config_bytes <= d->given_end + MAX_CONFIG_BYTES)
        return E_OK;
    return mp4_demux_fail(d, E_TOO_BIG, "sample entry", entry->config.data,
                          "configurations come again and again: %llu bytes up to byte %llu",
                          (unsigned long long)d->config_bytes, (unsigned long long)d->given_end);
}

static enum err give(struct mp4_demux *d, const struct piece *piece, struct mp4_demux_track *t,
                     struct mp4_unit *out)
{
    const struct mp4_found *found = &t->found;
    const struct mp4_entry *entry = &t->entries[found->entry - 1];
    struct mp4_unit unit = {.kind = t->kind, .codec = entry->codec, .dts_us = dts_us_of(t)};
    enum err e = E_NOT_FOUND;

    unit.pts_us = unit.dts_us;
    if (t->told != found->entry) {
        e = take_config(d, entry, &unit.es);
        unit.config = e == E_OK;
        if (e == E_OK || e == E_NOT_FOUND)
            t->told = found->entry;
    }
    if (e == E_NOT_FOUND) {
        e = fetch_sample(d, piece, found, &unit.es);
        unit.key = found->key;
        unit.pts_us = mp4_to_us(found->dts + found->cts, t->timescale) + t->shift_us;
        t->has_found = e != E_OK;
    }
    if (e == E_OK)
        *out = unit;
    return e;
}

static enum err next_sample(struct mp4_demux *d, const struct piece *piece, struct mp4_unit *out,
                            bool *is_given)
{
    struct mp4_demux_track *t;
    enum err e = choose(d, &t);

    *is_given = false;
    if (e != E_OK)
        return e;
    if (t) {
        e = give(d, piece, t, out);
        *is_given = e == E_OK;
        return e;
    }
    d->n_runs = 0;
    return go_to(d, d->resume_at);
}

/* --- public --- */

struct mp4_demux *mp4_demux_create(size_t max_frame_bytes, bool can_seek)
{
    size_t max_part =
        max_frame_bytes > MP4_DEMUX_MAX_MOOV_BYTES ? max_frame_bytes : MP4_DEMUX_MAX_MOOV_BYTES;
    struct mp4_demux *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->max_frame_bytes = max_frame_bytes;
    d->can_seek = can_seek;
    buf_writer_init(&d->part, max_part);
    buf_writer_init(&d->moov, MP4_DEMUX_MAX_MOOV_BYTES);
    buf_writer_init(&d->moof, MP4_DEMUX_MAX_MOOF_BYTES);
    buf_writer_init(&d->config, MAX_CONFIG_BYTES);
    return d;
}

void mp4_demux_destroy(struct mp4_demux **demux)
{
    struct mp4_demux *d = *demux;

    if (!d)
        return;
    buf_writer_fini(&d->part);
    buf_writer_fini(&d->moov);
    buf_writer_fini(&d->moof);
    buf_writer_fini(&d->config);
    free(d->runs);
    free(d);
    *demux = NULL;
}

enum err mp4_demux_next(struct mp4_demux *d, uint64_t at, struct buf_view bytes,
                        struct mp4_unit *out)
{
    const struct piece piece = {at, bytes};
    bool is_given = false;
    enum err e = E_OK;

    while (e == E_OK && !is_given) {
        if (d->state == MP4_AT_END)
            e = E_END;
        else if (d->state == MP4_AT_SAMPLES)
            e = next_sample(d, &piece, out, &is_given);
        else if (d->state == MP4_AT_BODY)
            e = read_body(d, &piece);
        else
            e = read_head(d, &piece);
    }
    return e;
}

void mp4_demux_wants(const struct mp4_demux *d, uint64_t *at, uint64_t *size_bytes)
{
    *at = d->wants_at;
    *size_bytes = d->wants_bytes;
}

const char *mp4_demux_error(const struct mp4_demux *d)
{
    return d->error;
}

const char *mp4_demux_lacks(const struct mp4_demux *d, uint64_t end_at)
{
    if (d->state == MP4_AT_SAMPLES)
        return "ends before its last frame";
    if (d->state == MP4_AT_LARGE || d->state == MP4_AT_BODY ||
        (d->state == MP4_AT_BOX && d->at != end_at))
        return "ends in the middle of a box";
    if (d->n_runs)
        return "ends before the frames of its last fragment";
    return d->has_moov ? NULL : "has no moov: it was cut off, or is not finished";
}

unsigned mp4_demux_left_out(const struct mp4_demux *d)
{
    unsigned n = d->n_tracks;

    for (unsigned i = 0; i < d->n_tracks; i++)
        n -= d->tracks[i].is_read;
    return n;
}
