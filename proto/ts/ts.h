/* MPEG-2 transport stream muxer (ISO 13818-1): one program, one PES packet a frame. Sans I/O; one
 * thread at a time. The bytes are the same for all viewers of a feed. */
#ifndef HW_PROTO_TS_TS_H
#define HW_PROTO_TS_TS_H

#include "common/base/buf.h"
#include "common/media/frame.h"
#include "proto/codec/codec.h"

#define TS_PACKET_BYTES 188
#define TS_SYNC_BYTE 0x47 /* the first one of each */
#define TS_MAX_TRACKS 8   /* the PMT of so many fits one packet */

/* PIDs follow from what a track is, not from the order of arrival: equal on every node. */
#define TS_PID_PMT 0x1000
#define TS_PID_VIDEO 0x100 /* + track_id */
#define TS_PID_AUDIO 0x200 /* + track_id */

/* The first frame so long after PAT and PMT brings them again: they are at most 500 ms apart (ETSI
 * TR 101 290, 1.3 and 1.5) where frames are no more than 100 ms apart. */
#define TS_PSI_INTERVAL_US 400000
#define TS_PCR_INTERVAL_US 40000 /* largest step between two PCR */
/* PCR is that far behind the dts of what is sent, so that audio and video that are not quite in
 * order still arrive in time. */
#define TS_PCR_DELAY_US 100000
/* A step of the dts further than this, either way, is a new time base (discontinuity_indicator). */
#define TS_JUMP_US 10000000

/* Where packets go: any whole number of packets a call. */
struct ts_sink {
    void (*put)(struct ts_sink *sink, struct buf_view bytes); /* borrows bytes */
};

struct ts_track { /* private */
    enum media_kind kind;
    enum media_codec codec;
    uint16_t pid;
    uint8_t track_id, stream_type, stream_id;
    uint8_t continuity; /* of the last packet with payload */
    uint8_t nal_length_bytes;
    struct aac_config aac;
    uint8_t descriptors[20]; /* in the PMT */
    uint8_t descriptor_bytes;
    struct buf_writer start; /* parameter sets or OBUs that a key frame needs, ready to be sent */
};

struct ts_mux { /* private; a plain struct: no pointer into it is kept */
    struct ts_track tracks[TS_MAX_TRACKS];
    unsigned n_tracks;
    uint8_t version;              /* of the PMT */
    uint8_t pat[TS_PACKET_BYTES]; /* ready but for the continuity counter */
    uint8_t pmt[TS_PACKET_BYTES]; /* likewise */
    uint8_t psi_continuity;       /* of the last ones */
    uint8_t left_off[2 * 256];    /* continuity of PIDs whose track was removed, from 0x100 on */
    bool psi_due;                 /* nobody has been told of the last change */
    bool has_clock;               /* the two below are set */
    int64_t last_psi_us, last_pcr_us; /* stream clock */
    uint16_t pcr_pid;                 /* lowest video PID, else lowest audio PID, else 0x1fff */
};

/* Has TS a place for it? */
bool ts_carries(enum media_codec codec);

/* Pair with fini(); no allocation. */
void ts_mux_init(struct ts_mux *mux);
void ts_mux_fini(struct ts_mux *mux);

/* Adds a track, or changes it. When the PMT has something new to say its version grows, and the
 * next frame brings it. Borrows params and copies what is needed.
 *   E_OK           done, or nothing was new
 *   E_UNSUPPORTED  TS cannot carry it; a track of this kind and id is removed
 *   E_LIMIT        TS_MAX_TRACKS are there
 *   E_TOO_BIG      parameter sets above 256 KB; the track is as it was
 *   E_NOMEM        likewise
 * *why is a static text whenever it is not E_OK. */
enum err ts_mux_set_track(struct ts_mux *mux, uint8_t track_id, const struct codec_params *params,
                          const char **why);
/* A track that is not there is fine. */
void ts_mux_remove_track(struct ts_mux *mux, enum media_kind kind, uint8_t track_id);
/* Removes all: of a source that is gone. */
void ts_mux_clear(struct ts_mux *mux);
bool ts_mux_has_track(const struct ts_mux *mux, enum media_kind kind, uint8_t track_id);

struct ts_frame {
    enum media_kind kind;
    enum media_codec codec;
    uint8_t track_id;
    bool key;       /* a decoder can start here */
    bool entry;     /* a viewer may start here: PAT and PMT come first */
    int64_t dts_us; /* stream clock */
    int64_t pts_us;
    struct buf_view es; /* elementary stream data as FLV carries it; borrowed */
};
/* Writes one frame as whole packets: PAT and PMT when due, PCR when due, one PES packet.
 *   E_OK           written
 *   E_NOT_FOUND    no such track, or its codec is another one
 *   E_PROTO        the frame is broken
 *   E_TOO_BIG      an audio frame that no PES packet or ADTS header can say the length of
 *   E_UNSUPPORTED  AAC that ADTS cannot say
 * Whenever it is not E_OK, *why is a static text and nothing is written. */
enum err ts_mux_write(struct ts_mux *mux, struct ts_sink *sink, const struct ts_frame *frame,
                      const char **why);

/* PAT and PMT alone, for who joins before the next unit: the counters are those of the last ones,
 * so that the next ones follow. */
void ts_mux_write_psi(const struct ts_mux *mux, struct ts_sink *sink);

#endif
