/* Private to proto/flv: what the video, audio and script parsers share while they read one tag
 * body. */
#ifndef HW_PROTO_FLV_BODY_H
#define HW_PROTO_FLV_BODY_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/media/frame.h"

struct flv_body {
    struct buf_reader in; /* over the body; stands behind the codec header after a parse */
    size_t size_bytes;    /* of the whole body */
    const char *why;      /* static text when a parser gives E_PROTO */
    enum media_codec codec;
    uint16_t flags;
    uint8_t track_id;
    uint32_t es_offset;
    int64_t cts_us;
};

/* VideoFrameType, E.4.3.1 */
enum flv_frame_type {
    FLV_FRAME_KEY = 1,
    FLV_FRAME_INTER = 2,
    FLV_FRAME_DISPOSABLE = 3,    /* "H.263 only", yet encoders mark AVC frames with it */
    FLV_FRAME_GENERATED_KEY = 4, /* reserved for servers; players do not start at it, nor do we */
    FLV_FRAME_COMMAND = 5
};

/* E-RTMP v2, ExVideoTagHeader and ExAudioTagHeader; first is the byte already read. Each fills *b,
 * or gives E_PROTO with b->why. */
enum err flv_body_parse_ex_video(struct flv_body *b, uint8_t first);
enum err flv_body_parse_ex_audio(struct flv_body *b, uint8_t first);

/* Reads ModEx as long as *packet_type says that it follows; then *packet_type is what the last one
 * says, and stands in the low four bits of the byte before the reader. Adds nanosecond offsets to
 * *offset_ns; what is not known is skipped. E_PROTO with *why when the chain is broken. */
enum err flv_skip_mod_ex(struct buf_reader *in, uint8_t *packet_type, uint64_t *offset_ns,
                         const char **why);

struct flv_shape;
/* The body without ModEx: first byte and FourCC as they were. False when the chain is broken. */
bool flv_drop_mod_ex(struct buf_view body, struct flv_shape *out);

enum { /* VideoPacketType; AudioPacketType is the same up to CodedFrames and for SequenceEnd, ModEx
        */
       FLV_PACKET_SEQUENCE_START = 0,
       FLV_PACKET_CODED_FRAMES = 1,
       FLV_PACKET_SEQUENCE_END = 2,
       FLV_PACKET_CODED_FRAMES_X = 3,    /* video: composition time 0 is left out */
       FLV_PACKET_VIDEO_METADATA = 4,    /* video: AMF [name, value] pairs such as colorInfo */
       FLV_PACKET_MULTICHANNEL = 4,      /* audio: MultichannelConfig */
       FLV_PACKET_TS_SEQUENCE_START = 5, /* video: AV1 descriptor of MPEG-2 TS */
       FLV_PACKET_AUDIO_MULTITRACK = 5,
       FLV_PACKET_VIDEO_MULTITRACK = 6,
       FLV_PACKET_MOD_EX = 7
};
enum { FLV_MULTITRACK_ONE = 0, FLV_MULTITRACK_MANY = 1, FLV_MULTITRACK_MANY_CODECS = 2 };
enum { FLV_VIDEO_EX = 0x80 };

/* CodecID, E.4.3.1, and SoundFormat, E.4.2.1, where one is named: body.c has the lists. */
enum { FLV_CODEC_ID_AVC = 7, FLV_CODEC_ID_HEVC = 12 };
enum {
    FLV_SOUND_FORMAT_MP3 = 2,
    FLV_SOUND_FORMAT_EX = 9,
    FLV_SOUND_FORMAT_AAC = 10,
    FLV_SOUND_FORMAT_OPUS = 13
};
enum { FLV_SOUND_44K_16BIT_STEREO = 0x0f }; /* what AAC says always, and players ignore */
/* AVCPacketType; AACPacketType is the same without the end. */
enum { FLV_CLASSIC_CONFIG = 0, FLV_CLASSIC_CODED = 1, FLV_CLASSIC_SEQUENCE_END = 2 };

/* Sets the key or disposable flag of a coded frame. */
void flv_body_mark_coded(struct flv_body *b, unsigned frame_type);
/* Notes that the elementary stream data starts where the reader stands. E_PROTO with why when a
 * read before it ran over the end. */
enum err flv_body_end_header(struct flv_body *b, const char *why);
/* SI24 milliseconds. */
int64_t flv_read_composition_time_us(struct buf_reader *in);

#endif
