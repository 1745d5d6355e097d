/* Private to the demuxer's files. */
#ifndef HW_PROTO_TS_TS_DEMUX_PRIVATE_H
#define HW_PROTO_TS_TS_DEMUX_PRIVATE_H

#include "proto/codec/latm.h"
#include "proto/codec/nal_sets.h"
#include "proto/ts/ts_demux.h"
#include "proto/ts/ts_private.h"

#define TS_SECTION_MAX_BYTES 1024 /* of PAT and PMT: 2.4.4.1 */
#define TS_NO_PID 0xffffu
#define TS_NO_TIME INT64_MIN

/* A table on its way in. */
struct ts_section {
    uint16_t pid; /* TS_NO_PID = not looked for */
    uint8_t continuity;
    bool has_continuity;
    uint16_t used_bytes;
    uint8_t bytes[TS_SECTION_MAX_BYTES];
};

struct ts_es;

/* How a codec's PES packets become units: one row each, ts_demux_es.c. */
struct ts_es_codec {
    enum media_codec codec;
    enum media_kind kind;
    /* The next unit of es->pes. E_OK, E_AGAIN: it is used up; E_PROTO: the rest is broken. */
    enum err (*next)(struct ts_es *es, struct ts_unit *out);
};
const struct ts_es_codec *ts_es_codec_of(uint8_t stream_type, struct buf_view descriptors);

/* One elementary stream. */
struct ts_es {
    const struct ts_es_codec *codec; /* NULL = there is none of this kind */
    uint16_t pid;
    uint8_t continuity;
    bool has_continuity;
    bool is_open;           /* a PES packet is coming in */
    size_t expected_bytes;  /* of it, with its header; 0 = up to the next one */
    struct buf_writer in;   /* the one that comes in */
    struct buf_writer pes;  /* the elementary stream data of the one that is taken apart */
    struct buf_reader rest; /* of pes */
    bool is_pending;        /* something of pes is left */
    int64_t dts_us, pts_us; /* of what is next in pes */
    int64_t next_dts_us, next_pts_us; /* as the header of pes said, or where the last one ended */
    size_t carried_bytes; /* of pes: the beginning of a frame that was in the one before */
    struct nal_sets sets;
    struct latm latm;
    struct buf_writer frame;  /* a frame put together: unit.es */
    struct buf_writer config; /* what was told last */
    bool told_config;
    struct buf_reader raws; /* LATM: of frame, not told yet */
    uint8_t opus_channels;  /* as the PMT says; 0 = it does not */
    bool has_frame;         /* the frame that follows the configuration that was told */
    bool is_key;            /* it, of pictures: unit.es is frame */
    struct buf_view sound;  /* it, of sound, and how long it lasts */
    int64_t sound_us;
};

struct ts_demux {
    size_t max_frame_bytes;
    uint8_t packet[TS_PACKET_BYTES + 1];
    unsigned used_bytes; /* of packet */
    unsigned noise_bytes;
    bool in_sync;
    struct ts_section pat, pmt;
    bool has_program;
    uint32_t pmt_crc;
    struct ts_es es[2]; /* by kind: MEDIA_AUDIO, MEDIA_VIDEO */
    bool has_clock;
    int64_t ticks; /* of 90 kHz, unwrapped: the last dts of any stream */
    struct ts_demux_counts counts;
};

/* ts_demux_psi.c: payload of a packet of PAT or PMT. */
void ts_demux_psi(struct ts_demux *d, struct ts_section *section, struct buf_view payload,
                  bool starts);
/* ts_demux_es.c: another codec, or none. */
void ts_es_set(struct ts_es *es, const struct ts_es_codec *codec, uint16_t pid,
               struct buf_view descriptors);
void ts_es_fini(struct ts_es *es);

#endif
