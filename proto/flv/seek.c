/* What an FLV file says of itself: its length, and where its key frames are, in room that is kept
 * for it at the front. Players seek by it; ffmpeg and flv.js read keyframes {times, filepositions}.
 */
#include "proto/flv/seek.h"

#include <stdlib.h>

#include "proto/amf/amf.h"
#include "proto/flv/flv.h"

#define TAG_BYTES (FLV_TAG_HEADER_BYTES + 4u)
#define BODY_BYTES (FLV_SEEK_META_BYTES - TAG_BYTES)
#define SPACER_HEAD_BYTES 13u /* name, marker, count */
#define END_BYTES 3u
#define NUMBER_BYTES 9u
#define FIXED_BYTES 700u /* of onMetaData without key frames, and more */
#define KEY_BYTES 18u    /* two AMF0 numbers */
#define MAX_KEYS ((FLV_SEEK_META_BYTES - FIXED_BYTES) / KEY_BYTES)

bool flv_seek_add_key(struct flv_seek_facts *facts, uint32_t time_ms, uint64_t at)
{
    if (facts->n_keys == facts->max_keys) {
        size_t more = facts->max_keys * 2 + 64;
        struct flv_seek_key *keys = realloc(facts->keys, more * sizeof *keys);

        if (!keys)
            return false;
        facts->keys = keys;
        facts->max_keys = more;
    }
    facts->keys[facts->n_keys++] = (struct flv_seek_key){time_ms, at};
    return true;
}

/* E.4.2.1, E.4.3.1; Enhanced RTMP: the FourCC as a number. */
static double codec_number(enum media_codec codec)
{
    static const struct {
        enum media_codec codec;
        double number;
    } k_numbers[] = {
        {CODEC_H264, 7}, {CODEC_H263, 2}, {CODEC_SCREEN, 3}, {CODEC_VP6, 4},
        {CODEC_AAC, 10}, {CODEC_MP3, 2},  {CODEC_SPEEX, 11}, {CODEC_NELLYMOSER, 6},
        {CODEC_PCMA, 7}, {CODEC_PCMU, 8}, {CODEC_PCM, 3},    {CODEC_ADPCM, 1},
    };

    for (size_t i = 0; i < sizeof k_numbers / sizeof k_numbers[0]; i++)
        if (k_numbers[i].codec == codec)
            return k_numbers[i].number;
    return media_codec_fourcc(codec);
}

static void write_keys(struct buf_writer *w, const struct flv_seek_facts *facts)
{
    size_t step = facts->n_keys / MAX_KEYS + 1;
    uint32_t n = (uint32_t)((facts->n_keys + step - 1) / step);

    amf_write_name(w, "keyframes");
    amf_write_object(w);
    amf_write_name(w, "times");
    amf_write_strict_array(w, n);
    for (size_t i = 0; i < facts->n_keys; i += step)
        amf_write_number(w, facts->keys[i].time_ms / 1000.0);
    amf_write_name(w, "filepositions");
    amf_write_strict_array(w, n);
    for (size_t i = 0; i < facts->n_keys; i += step)
        amf_write_number(w, (double)facts->keys[i].at);
    amf_write_end(w);
}

static void write_tracks(struct buf_writer *w, const struct flv_seek_facts *facts)
{
    if (facts->codecs[MEDIA_VIDEO])
        amf_write_member_number(w, "videocodecid", codec_number(facts->codecs[MEDIA_VIDEO]));
    if (facts->width) {
        amf_write_member_number(w, "width", facts->width);
        amf_write_member_number(w, "height", facts->height);
    }
    if (facts->codecs[MEDIA_AUDIO])
        amf_write_member_number(w, "audiocodecid", codec_number(facts->codecs[MEDIA_AUDIO]));
    if (facts->sample_rate_hz) {
        amf_write_member_number(w, "audiosamplerate", facts->sample_rate_hz);
        amf_write_member_boolean(w, "stereo", facts->channels > 1);
    }
}

/* Room for key frames that are not known yet. As one more script tag it would be a track of data to
 * ffmpeg, and of long strings it loses its way: so it is an array, of numbers and some nulls. */
static void write_spacer(struct buf_writer *w)
{
    size_t left = BODY_BYTES - END_BYTES - SPACER_HEAD_BYTES - w->used_bytes;
    size_t n_numbers = left / NUMBER_BYTES, n_nulls = left % NUMBER_BYTES;

    amf_write_name(w, "spacer");
    amf_write_strict_array(w, (uint32_t)(n_numbers + n_nulls));
    while (n_numbers--)
        amf_write_number(w, 0);
    while (n_nulls--)
        amf_write_null(w);
}

static void write_body(struct buf_writer *w, const struct flv_seek_facts *facts,
                       uint64_t file_bytes)
{
    bool is_finished = file_bytes > 0;

    amf_write_cstr(w, "onMetaData");
    amf_write_ecma_array(w, 0);
    amf_write_member_cstr(w, "creator", "Headwater " HW_VERSION);
    amf_write_member_boolean(w, "hasVideo", facts->codecs[MEDIA_VIDEO] != CODEC_NONE);
    amf_write_member_boolean(w, "hasAudio", facts->codecs[MEDIA_AUDIO] != CODEC_NONE);
    write_tracks(w, facts);
    if (is_finished) {
        amf_write_member_number(w, "duration", facts->duration_ms / 1000.0);
        amf_write_member_number(w, "filesize", (double)file_bytes);
        amf_write_member_number(w, "lasttimestamp", facts->last_ms / 1000.0);
        amf_write_member_boolean(w, "hasKeyframes", facts->n_keys > 0);
    }
    if (is_finished && facts->n_keys > 1) { /* ffmpeg complains of a list of one */
        amf_write_member_number(w, "lastkeyframetimestamp",
                                facts->keys[facts->n_keys - 1].time_ms / 1000.0);
        amf_write_member_boolean(w, "canSeekToEnd", true);
        write_keys(w, facts);
    }
    write_spacer(w);
    amf_write_end(w);
}

enum err flv_seek_write_meta(struct buf_writer *w, const struct flv_seek_facts *facts,
                             uint64_t file_bytes)
{
    struct buf_writer body;
    enum err e;

    buf_writer_init(&body, BODY_BYTES);
    write_body(&body, facts, file_bytes);
    e = buf_writer_status(&body);
    if (e == E_OK)
        flv_write_tag(w, FLV_TAG_SCRIPT, 0, buf_writer_view(&body));
    buf_writer_fini(&body);
    return e == E_OK ? buf_writer_status(w) : e;
}
