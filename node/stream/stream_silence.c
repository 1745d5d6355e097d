/* A silent track for streams that have no sound: players and converters exist that wait for one.
 * It is made where the stream is taken in, as frames like all others, so that every format and
 * every node carries it without knowing. */
#include "node/stream/stream_private.h"

#define RATE_HZ 44100
#define FRAME_SAMPLES 1024
#define CATCH_UP_US 1000000 /* a longer pause of the pictures is not filled */

/* AAC in FLV (E.4.2.1): 44.1 kHz stereo. AudioSpecificConfig (ISO 14496-3, 1.6.2.1): AAC-LC, rate
 * index 4, two channels. */
static const uint8_t k_config[] = {0xaf, 0x00, 0x12, 0x10};
/* A raw_data_block (ISO 14496-3, 4.4.2.1) of one channel pair in which no band is coded:
 *   001 0000 1    channel pair, tag 0, common window
 *   0 00 1 000000 0  long window, KBD shape, no bands, no prediction
 *   00            no mid/side stereo
 *   10001100 000  twice: gain 140; no pulses, no noise shaping, no gain control
 *   111           end */
static const uint8_t k_silence[] = {0xaf, 0x01, 0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c};

static int64_t frame_dts_us(const struct silence *silence)
{
    return silence->base_us + silence->n * FRAME_SAMPLES * 1000000 / RATE_HZ;
}

static void give(struct stream *s, const uint8_t *body, size_t size_bytes, unsigned flags,
                 int64_t dts_us)
{
    struct media_frame_info info = {.kind = MEDIA_AUDIO,
                                    .codec = CODEC_AAC,
                                    .flags = (uint16_t)flags,
                                    .es_offset = 2,
                                    .dts_us = dts_us,
                                    .ingest_us = s->last_frame_us};
    struct buf_view view = buf_view_of(body, size_bytes);
    const struct media_frame *frame = flags & FRAME_HEADERS
                                          ? media_frame_create(&info, view)
                                          : media_arena_frame(&s->arena, &info, view);

    if (frame) /* without memory there is a hole, as in other silence */
        stream_deliver(s, &frame);
    media_frame_unref(&frame);
}

void stream_silence_begin(struct stream *stream)
{
    if (!registry_conf(stream->registry)->silent_audio || !stream->numbers_gops ||
        !stream->has_video || stream->has_audio)
        return;
    stream->has_audio = true;
    stream->silence = (struct silence){.is_on = true, .base_us = stream->timeline.end_us};
    stream_planner_note_change(&stream->planner, true);
    give(stream, k_config, sizeof k_config, FRAME_CONFIG, stream->timeline.end_us);
}

void stream_silence_until(struct stream *stream, int64_t dts_us)
{
    struct silence *silence = &stream->silence;

    if (!silence->is_on)
        return;
    if (dts_us - frame_dts_us(silence) > CATCH_UP_US)
        *silence = (struct silence){.is_on = true, .base_us = dts_us};
    for (; frame_dts_us(silence) <= dts_us; silence->n++)
        give(stream, k_silence, sizeof k_silence, FRAME_TIMED, frame_dts_us(silence));
}

/* What comes is not before what was given. */
void stream_silence_end(struct stream *stream)
{
    struct silence *silence = &stream->silence;

    silence->is_on = false;
    if (silence->n && stream->timeline.last_dts_us[MEDIA_AUDIO] < frame_dts_us(silence))
        stream->timeline.last_dts_us[MEDIA_AUDIO] = frame_dts_us(silence);
}
