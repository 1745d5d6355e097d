/* Encoders and viewers: clients of the nodes over RTMP and HTTP-FLV. They look at what they get: a
 * viewer that sees time go backwards, or a frame twice, ends the run. */
#ifndef HW_TESTS_SIM_SIM_PEOPLE_H
#define HW_TESTS_SIM_SIM_PEOPLE_H

#include "common/net/conn.h"
#include "proto/flv/flv.h"
#include "proto/http/http.h"
#include "proto/rtmp/rtmp.h"
#include "tests/sim/sim.h"

#define SIM_FRAME_MS 200
#define SIM_FRAMES_A_GOP 5
#define SIM_MAX_TARGETS 4

/* The machine of all encoders, and that of all viewers. */
void sim_people_begin(void);
void sim_encoders_begin(void); /* sim_people_begin() does */
struct sim_host *sim_encoders_host(void);

enum sim_encoder_state { SIM_ENCODER_OFF, SIM_ENCODER_CONNECTING, SIM_ENCODER_LIVE };
struct sim_encoder {
    char stream[40];                                 /* "live/a" */
    const struct sim_host *targets[SIM_MAX_TARGETS]; /* tried one after the other */
    unsigned n_targets, at;
    bool wanted;
    enum sim_encoder_state state;
    int64_t live_us; /* since when */
    uint32_t number; /* of this encoder; stamps its frames, with n_sessions */
    uint32_t n_sessions, n_frames;
    struct conn *conn;
    struct rtmp_client *rtmp;
    struct timer timer; /* next frame, time-out, next try */
    struct buf_writer out;
};
void sim_encoder_init(struct sim_encoder *encoder, unsigned number, const char *stream);
void sim_encoder_target(struct sim_encoder *encoder, const struct sim_host *host);
void sim_encoder_on(struct sim_encoder *encoder);
/* Says goodbye to the server, as encoders do. */
void sim_encoder_off(struct sim_encoder *encoder);
/* The node it talks to; NULL: none. */
const struct sim_host *sim_encoder_place(const struct sim_encoder *encoder);

struct sim_viewer {
    char stream[40];
    const struct sim_host *edge;
    bool wanted;
    struct conn *conn;
    struct buf_writer head; /* until it is complete */
    bool has_head;
    struct http_body body;
    struct flv_decoder *flv;
    struct timer timer; /* next try */
    /* what it got on this connection */
    bool has_frame;
    uint32_t dts_ms;
    uint64_t session, frame; /* who made the last frame, and its number */
    int64_t frame_us;        /* when it came; of all connections */
    uint32_t n_connects, n_frames;
    int64_t longest_gap_us; /* between two frames */
};
void sim_viewer_init(struct sim_viewer *viewer, const char *stream, const struct sim_host *edge);
void sim_viewer_on(struct sim_viewer *viewer);
void sim_viewer_off(struct sim_viewer *viewer);

#endif
