/* What the bytes of a codec say about the track: filled from the configuration that FLV and
 * Enhanced RTMP sequence headers carry, or, for codecs without one, from a frame. Sans I/O; no
 * allocation; every length is checked. */
#ifndef HW_PROTO_CODEC_CODEC_H
#define HW_PROTO_CODEC_CODEC_H

#include "common/base/buf.h"
#include "common/media/frame.h"
#include "proto/codec/aac.h"
#include "proto/codec/ac3.h"

#define CODEC_MAX_SETS 32     /* parameter sets of a track; real ones have 2 to 6 */
#define CODEC_RFC6381_SIZE 48 /* text and zero */

/* ISO 23091-2 (H.273) code points; 2 is "unspecified" for the first three. */
struct codec_colour {
    uint8_t primaries, transfer, matrix;
    bool full_range;
};

struct codec_video {
    uint32_t width, height;    /* of the picture shown, cropping applied; 0 = not known yet */
    uint32_t sar_num, sar_den; /* sample aspect ratio; 1:1 when not said */
    uint32_t fps_num, fps_den; /* frame rate as the stream itself promises; 0/0 = not said */
    struct codec_colour colour;
    uint8_t profile, level;   /* as the codec counts them */
    uint8_t bit_depth;        /* luma */
    uint8_t chroma;           /* H.264 chroma_format_idc: 0 mono, 1 4:2:0, 2 4:2:2, 3 4:4:4 */
    uint8_t nal_length_bytes; /* H.264, HEVC: 1, 2 or 4; else 0 */
    unsigned n_sets;          /* H.264, HEVC: NAL units to be decoded first, in this order */
    struct buf_view sets[CODEC_MAX_SETS]; /* borrowed from the configuration */
};

struct codec_opus { /* RFC 7845 5.1 */
    uint16_t pre_skip;
    uint32_t input_rate_hz; /* of the recording, for information */
    int16_t gain;           /* Q7.8 dB */
    uint8_t mapping_family, n_streams, n_coupled;
    uint8_t mapping[255]; /* first channels ones; family 0: 0, 1 */
};

struct codec_audio {
    uint32_t sample_rate_hz; /* that counts samples_per_frame; HE-AAC: of the core */
    uint32_t output_rate_hz; /* that comes out; HE-AAC: twice the core as a rule */
    uint8_t channels;
    uint8_t bits;               /* a sample; FLAC; else 16 */
    uint8_t mpeg_version;       /* MP3: 1, or 2 for the low sample rates (2 and 2.5) */
    uint32_t samples_per_frame; /* Opus: of the frame, or 960 from a configuration; FLAC: the
                                 * largest block */
    union {
        struct aac_config aac;  /* CODEC_AAC */
        struct ac3_info ac3;    /* CODEC_AC3, CODEC_EAC3 */
        struct codec_opus opus; /* CODEC_OPUS */
    };
};

struct codec_params {
    enum media_codec codec;
    enum media_kind kind;
    /* What an MP4 sample entry carries: the body of avcC, hvcC, av1C; vpcC without version and
     * flags; AudioSpecificConfig; OpusHead behind its magic, little endian; FLAC metadata blocks,
     * the first being STREAMINFO. Empty for MP3, AC-3, E-AC-3 and for Opus without a configuration.
     * Borrowed. */
    struct buf_view record;
    char rfc6381[CODEC_RFC6381_SIZE]; /* "avc1.64001f", "mp4a.40.2", ... */
    union {
        struct codec_video video; /* MEDIA_VIDEO */
        struct codec_audio audio; /* MEDIA_AUDIO */
    };
};

/* Does a track of this codec start with a configuration? False for MP3, AC-3 and E-AC-3: these are
 * described by each frame. Opus has one, but WebRTC gateways leave it out. */
bool codec_has_config(enum media_codec codec);

/* Reads a configuration: AVCDecoderConfigurationRecord, HEVCDecoderConfigurationRecord,
 * AV1CodecConfigurationRecord, VPCodecConfigurationRecord (bare or with version and flags in
 * front), AudioSpecificConfig, OpusHead, fLaC + STREAMINFO. Borrows config as long as *out is used.
 *   E_OK           *out is filled
 *   E_PROTO        the configuration is broken; *why is a static text
 *   E_TOO_BIG      more than CODEC_MAX_SETS parameter sets; *why
 *   E_UNSUPPORTED  a codec that this library does not know; *why
 * *out is written only on E_OK. What is merely unusual (a VUI that ends early, an SPS of an unknown
 * profile) leaves fields at "not known" instead of an error: the stream may play all the same. */
enum err codec_params_from_config(enum media_codec codec, struct buf_view config,
                                  struct codec_params *out, const char **why);
/* Reads a frame of a codec without configuration: MP3, AC-3, E-AC-3 and Opus (as far as a packet
 * tells: 48 kHz and the channels of its TOC byte). The rest as above; nothing is borrowed. */
enum err codec_params_from_frame(enum media_codec codec, struct buf_view frame,
                                 struct codec_params *out, const char **why);
/* VP8 and VP9 say width and height in key frames only, AV1 in a sequence header that av1C may leave
 * out: fills them into *params. Borrows frame. E_OK; E_PROTO with *why, and *params as it was: not
 * a key frame, or broken. Others: E_OK and nothing is done. */
enum err codec_params_add_key_frame(struct codec_params *params, struct buf_view frame,
                                    const char **why);

/* Is a frame one that a decoder can take, as far as its outside shows? H.264 and HEVC: each NAL
 * unit within the frame (nal_length_bytes as the configuration says; 0 = not known, not looked at),
 * its first bit 0. AAC: no ADTS header. Pictures: not empty. E_OK, or E_PROTO with *why, a static
 * text. */
enum err codec_check_frame(enum media_codec codec, unsigned nal_length_bytes, struct buf_view frame,
                           const char **why);

/* Samples of sample_rate_hz in one frame, as its own bytes say: Opus (TOC byte), FLAC, MP3, AC-3
 * and E-AC-3 (header); AAC: as the configuration says. 0 when the frame does not say, and for
 * video. */
uint32_t codec_frame_samples(const struct codec_params *params, struct buf_view frame);

#endif
