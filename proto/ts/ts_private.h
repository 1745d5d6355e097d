/* Private to proto/ts: packets, PES, and the form that each codec's frames take in them. */
#ifndef HW_PROTO_TS_TS_PRIVATE_H
#define HW_PROTO_TS_TS_PRIVATE_H

#include "proto/ts/ts.h"

enum { TS_PID_PAT = 0, TS_PID_NULL = 0x1fff };
enum { TS_START = 0x40, TS_ADAPTATION = 0x20, TS_PAYLOAD = 0x10 }; /* bytes 1 and 3 of a header */
enum { TS_STREAM_PRIVATE_1 = 0xbd, TS_STREAM_AUDIO = 0xc0, TS_STREAM_VIDEO = 0xe0 };

/* Packets on their way to the sink, some at a time. */
#define TS_BATCH_PACKETS 32
struct ts_out {
    struct ts_sink *sink;
    unsigned n_packets;
    uint8_t packets[TS_BATCH_PACKETS][TS_PACKET_BYTES];
};
/* Lends the next packet, to be filled before the next call. */
uint8_t *ts_out_packet(struct ts_out *out);
void ts_out_flush(struct ts_out *out);

/* What the adaptation field of a packet says; 2.4.3.4. */
struct ts_adaptation {
    bool random_access, discontinuity, has_pcr;
    int64_t pcr_us;
};

/* One PES packet, cut into TS packets as its bytes come. */
struct ts_pes {
    struct ts_out *out;
    struct ts_track *track;
    uint8_t *packet;     /* open; NULL = none */
    unsigned used;       /* bytes of it */
    unsigned payload_at; /* where its payload starts */
};
struct ts_pes_info {
    struct ts_adaptation adaptation;
    int64_t dts_us, pts_us;
    size_t size_bytes; /* of the elementary stream data; 0 = not said, video only */
};
/* 2.4.3.6: starts the first packet and writes the PES header. */
void ts_pes_begin(struct ts_pes *pes, struct ts_out *out, struct ts_track *track,
                  const struct ts_pes_info *info);
void ts_pes_put(struct ts_pes *pes, struct buf_view bytes);
/* Fills the last packet with stuffing. */
void ts_pes_end(struct ts_pes *pes);
/* A packet without payload. */
void ts_put_adaptation(struct ts_out *out, const struct ts_track *track,
                       const struct ts_adaptation *adaptation);

/* Of a section, annex A; over one with its own CRC it is 0. */
uint32_t ts_crc(const uint8_t *at, size_t size_bytes);
/* Builds mux->pat and mux->pmt from the tracks. */
void ts_psi_build(struct ts_mux *mux);

/* Stream types of table 2-34, and of ATSC A/53 part 3 for AC-3: what HLS asks for, too. */
enum {
    TS_TYPE_MPEG1_AUDIO = 0x03,
    TS_TYPE_MPEG2_AUDIO = 0x04,
    TS_TYPE_PRIVATE_PES = 0x06, /* descriptors say what it is */
    TS_TYPE_AAC_ADTS = 0x0f,
    TS_TYPE_AAC_LATM = 0x11,
    TS_TYPE_H264 = 0x1b,
    TS_TYPE_HEVC = 0x24,
    TS_TYPE_AC3 = 0x81,
    TS_TYPE_EAC3 = 0x87
};
enum {
    TS_DESCRIPTOR_REGISTRATION = 0x05,
    TS_DESCRIPTOR_AC3 = 0x6a,  /* DVB, EN 300 468 annex D */
    TS_DESCRIPTOR_EAC3 = 0x7a, /* likewise */
    TS_DESCRIPTOR_EXTENSION = 0x7f,
    TS_EXTENSION_OPUS = 0x80
};

/* A frame that has been looked at. */
struct ts_payload {
    struct buf_view es;
    size_t size_bytes;  /* that will be put; 0 = not counted: video */
    bool put_start;     /* parameter sets come first */
    uint8_t header[40]; /* ADTS, or the Opus control header */
    uint8_t header_bytes;
};

/* How TS carries a codec. */
struct ts_codec {
    uint8_t stream_type, stream_id;
    const char *registration; /* 4 characters, or NULL */
    /* Fills what the codec needs of *track, beyond the numbers above. */
    enum err (*setup)(struct ts_track *track, const struct codec_params *params, const char **why);
    /* Looks at a frame before anything is written. */
    enum err (*check)(const struct ts_track *track, const struct ts_frame *frame,
                      struct ts_payload *payload, const char **why);
    void (*put)(struct ts_pes *pes, const struct ts_payload *payload);
};
/* NULL: TS has no place for it. */
const struct ts_codec *ts_codec_of(enum media_codec codec);

#endif
