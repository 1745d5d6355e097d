/* The tracks of the program, and frames to packets. */
#include "proto/ts/ts.h"

#include <string.h>

#include "proto/ts/ts_private.h"

enum { MAX_START_BYTES = 1 << 18, DESCRIPTOR_REGISTRATION = 5, LAST_CONTINUITY = 15 };

void ts_mux_init(struct ts_mux *mux)
{
    memset(mux, 0, sizeof *mux);
    mux->psi_continuity = LAST_CONTINUITY; /* so that the first is 0 */
    memset(mux->left_off, LAST_CONTINUITY, sizeof mux->left_off);
    mux->pcr_pid = TS_PID_NULL;
    ts_psi_build(mux);
}

void ts_mux_fini(struct ts_mux *mux)
{
    for (unsigned i = 0; i < mux->n_tracks; i++)
        buf_writer_fini(&mux->tracks[i].start);
    mux->n_tracks = 0;
}

/* --- tracks --- */

static uint16_t pid_of(enum media_kind kind, uint8_t track_id)
{
    return (uint16_t)((kind == MEDIA_VIDEO ? TS_PID_VIDEO : TS_PID_AUDIO) + track_id);
}

/* The tracks are sorted by PID: video first, so the first one has the PCR. */
static unsigned find(const struct ts_mux *mux, uint16_t pid)
{
    unsigned i = 0;

    while (i < mux->n_tracks && mux->tracks[i].pid < pid)
        i++;
    return i;
}

static struct ts_track *find_track(struct ts_mux *mux, enum media_kind kind, uint8_t track_id)
{
    uint16_t pid = pid_of(kind, track_id);
    unsigned i = find(mux, pid);

    return i < mux->n_tracks && mux->tracks[i].pid == pid ? &mux->tracks[i] : NULL;
}

static void note_change(struct ts_mux *mux)
{
    mux->version = (mux->version + 1) & 0x1f;
    mux->pcr_pid = mux->n_tracks ? mux->tracks[0].pid : TS_PID_NULL;
    mux->psi_due = true;
    ts_psi_build(mux);
}

/* A track that params describe, with memory of its own in start. */
static enum err make_track(struct ts_track *t, uint8_t track_id, const struct codec_params *params,
                           const char **why)
{
    const struct ts_codec *codec = ts_codec_of(params->codec);
    enum err e = E_OK;

    memset(t, 0, sizeof *t);
    buf_writer_init(&t->start, MAX_START_BYTES);
    if (!codec) {
        *why = "TS has no mapping for this codec";
        return E_UNSUPPORTED;
    }
    t->kind = params->kind;
    t->codec = params->codec;
    t->track_id = track_id;
    t->pid = pid_of(params->kind, track_id);
    t->stream_type = codec->stream_type;
    t->stream_id = codec->stream_id;
    if (codec->registration) {
        t->descriptors[0] = DESCRIPTOR_REGISTRATION;
        t->descriptors[1] = 4;
        memcpy(t->descriptors + 2, codec->registration, 4);
        t->descriptor_bytes = 2 + 4;
    }
    if (codec->setup)
        e = codec->setup(t, params, why);
    if (e == E_NOMEM || e == E_TOO_BIG)
        *why = "no room for the parameter sets";
    if (e != E_OK)
        buf_writer_fini(&t->start);
    return e;
}

/* Would the PMT say the same of both? */
static bool looks_same(const struct ts_track *a, const struct ts_track *b)
{
    return a->codec == b->codec && a->stream_type == b->stream_type &&
           a->descriptor_bytes == b->descriptor_bytes &&
           memcmp(a->descriptors, b->descriptors, a->descriptor_bytes) == 0;
}

static enum err add_track(struct ts_mux *mux, const struct ts_track *t, const char **why)
{
    unsigned i = find(mux, t->pid);

    if (mux->n_tracks == TS_MAX_TRACKS) {
        *why = "more tracks than the PMT has room for";
        return E_LIMIT;
    }
    memmove(&mux->tracks[i + 1], &mux->tracks[i], (mux->n_tracks - i) * sizeof mux->tracks[0]);
    mux->tracks[i] = *t;
    mux->tracks[i].continuity = mux->left_off[t->pid - TS_PID_VIDEO];
    mux->n_tracks++;
    note_change(mux);
    return E_OK;
}

/* New parameter sets alone do not change the PMT: the next key frame brings them. */
static void replace_track(struct ts_mux *mux, struct ts_track *old, const struct ts_track *t)
{
    bool same = looks_same(old, t);
    uint8_t continuity = old->continuity;

    buf_writer_fini(&old->start);
    *old = *t;
    old->continuity = continuity;
    if (!same)
        note_change(mux);
}

enum err ts_mux_set_track(struct ts_mux *mux, uint8_t track_id, const struct codec_params *params,
                          const char **why)
{
    struct ts_track *old = find_track(mux, params->kind, track_id);
    struct ts_track t;
    enum err e = make_track(&t, track_id, params, why);

    if (e == E_UNSUPPORTED)
        ts_mux_remove_track(mux, params->kind, track_id);
    if (e != E_OK)
        return e;
    if (old) {
        replace_track(mux, old, &t);
        return E_OK;
    }
    e = add_track(mux, &t, why);
    if (e != E_OK)
        buf_writer_fini(&t.start);
    return e;
}

void ts_mux_remove_track(struct ts_mux *mux, enum media_kind kind, uint8_t track_id)
{
    struct ts_track *t = find_track(mux, kind, track_id);
    size_t n_behind;

    if (!t)
        return;
    mux->left_off[t->pid - TS_PID_VIDEO] = t->continuity;
    n_behind = (size_t)(&mux->tracks[mux->n_tracks] - t) - 1;
    buf_writer_fini(&t->start);
    memmove(t, t + 1, n_behind * sizeof *t);
    mux->n_tracks--;
    note_change(mux);
}

void ts_mux_clear(struct ts_mux *mux)
{
    while (mux->n_tracks)
        ts_mux_remove_track(mux, mux->tracks[0].kind, mux->tracks[0].track_id);
}

bool ts_mux_has_track(const struct ts_mux *mux, enum media_kind kind, uint8_t track_id)
{
    uint16_t pid = pid_of(kind, track_id);
    unsigned i = find(mux, pid);

    return i < mux->n_tracks && mux->tracks[i].pid == pid;
}

/* --- frames --- */

static void put_psi(const struct ts_mux *mux, struct ts_out *out)
{
    const uint8_t *const packets[] = {mux->pat, mux->pmt};

    for (unsigned i = 0; i < 2; i++) {
        uint8_t *packet = ts_out_packet(out);

        memcpy(packet, packets[i], TS_PACKET_BYTES);
        packet[3] |= mux->psi_continuity;
    }
}

/* True when b is further from a than limit_us, either way; no difference overflows. */
static bool is_apart(int64_t a, int64_t b, uint64_t limit_us)
{
    uint64_t distance = a < b ? (uint64_t)b - (uint64_t)a : (uint64_t)a - (uint64_t)b;

    return distance > limit_us;
}

static void put_psi_if_due(struct ts_mux *mux, struct ts_out *out, const struct ts_frame *frame)
{
    if (!frame->entry && !mux->psi_due && mux->has_clock &&
        !is_apart(mux->last_psi_us, frame->dts_us, TS_PSI_INTERVAL_US - 1))
        return;
    mux->psi_continuity = (mux->psi_continuity + 1) & 0x0f;
    put_psi(mux, out);
    mux->psi_due = false;
    mux->last_psi_us = frame->dts_us;
}

/* What the PES packet of a frame is to say of the clock. Fills gaps with packets of their own, also
 * on the PID of video when only audio comes. */
static void put_clock(struct ts_mux *mux, struct ts_out *out, const struct ts_frame *frame,
                      const struct ts_track *track, struct ts_adaptation *in_pes)
{
    int64_t now_us =
        frame->dts_us < INT64_MIN + TS_PCR_DELAY_US ? INT64_MIN : frame->dts_us - TS_PCR_DELAY_US;
    bool jump = mux->has_clock && is_apart(mux->last_pcr_us, now_us, TS_JUMP_US);
    struct ts_adaptation a = {.has_pcr = true, .pcr_us = now_us, .discontinuity = jump};

    if (mux->has_clock && !jump) {
        struct ts_adaptation fill = {.has_pcr = true};

        while (now_us > mux->last_pcr_us && now_us - mux->last_pcr_us > TS_PCR_INTERVAL_US) {
            fill.pcr_us = mux->last_pcr_us += TS_PCR_INTERVAL_US;
            ts_put_adaptation(out, &mux->tracks[0], &fill);
        }
        if (now_us <= mux->last_pcr_us || track->pid != mux->pcr_pid)
            return;
    }
    mux->has_clock = true;
    mux->last_pcr_us = now_us;
    if (track->pid == mux->pcr_pid)
        *in_pes = a;
    else
        ts_put_adaptation(out, &mux->tracks[0], &a);
}

enum err ts_mux_write(struct ts_mux *mux, struct ts_sink *sink, const struct ts_frame *frame,
                      const char **why)
{
    struct ts_track *track = find_track(mux, frame->kind, frame->track_id);
    struct ts_payload payload = {.es = frame->es};
    struct ts_pes_info info = {.dts_us = frame->dts_us, .pts_us = frame->pts_us};
    const struct ts_codec *codec;
    struct ts_pes pes;
    struct ts_out out;
    enum err e;

    if (!track || track->codec != frame->codec) {
        *why = "no track for this frame";
        return E_NOT_FOUND;
    }
    codec = ts_codec_of(track->codec);
    e = codec->check(track, frame, &payload, why);
    if (e != E_OK)
        return e;
    out.sink = sink; /* not zeroed: it is large */
    out.n_packets = 0;
    put_psi_if_due(mux, &out, frame);
    put_clock(mux, &out, frame, track, &info.adaptation);
    info.adaptation.random_access = frame->key || frame->entry;
    info.size_bytes = payload.size_bytes;
    ts_pes_begin(&pes, &out, track, &info);
    codec->put(&pes, &payload);
    ts_pes_end(&pes);
    ts_out_flush(&out);
    return E_OK;
}

void ts_mux_write_psi(const struct ts_mux *mux, struct ts_sink *sink)
{
    struct ts_out out;

    out.sink = sink;
    out.n_packets = 0;
    put_psi(mux, &out);
    ts_out_flush(&out);
}
