/* One player: what load_player.c and the two transports share. */
#ifndef HW_TESTS_TOOLS_LOAD_PLAYER_PRIVATE_H
#define HW_TESTS_TOOLS_LOAD_PLAYER_PRIVATE_H

#include "common/media/frame.h"
#include "tests/tools/load_player.h"

struct load_http; /* load_player_http.c */

enum load_player_state {
    PLAYER_IDLE,    /* not connected yet */
    PLAYER_WAITING, /* for its first media */
    PLAYER_PLAYING,
    PLAYER_OVER,
};

struct load_player {
    struct load_group *group;
    struct conn *conn;
    struct rtmp_client *rtmp; /* owned; RTMP */
    struct load_http *http;   /* owned; HTTP */
    int64_t connect_us;
    int64_t read_us;       /* of the bytes that are looked at */
    int64_t last_frame_us; /* 0 = none yet */
    uint32_t last_ms[LOAD_N_TRACKS];
    bool has_last[LOAD_N_TRACKS];
    bool has_key;
    enum load_player_state state;
    const char *why;    /* it ended: static, or lent by rtmp or shared */
    struct timer timer; /* slow readers: until the next read */
    int64_t slow_us;    /* slow readers: when all that was read is worn off */
};

struct load_transport {
    enum err (*open)(struct load_player *p); /* sends the request */
    /* Takes all of *in. E_AGAIN, or the end with p->why. */
    enum err (*feed)(struct load_player *p, struct buf_reader *in);
    void (*close)(struct load_player *p);
};
extern const struct load_transport k_load_rtmp, k_load_http;

/* What the player is told of a frame. */
struct load_frame {
    enum media_kind kind;
    bool is_key;
    uint32_t time_ms;
    bool has_sent; /* sent_us is known, from its stamp */
    int64_t sent_us;
    int64_t read_us; /* it was whole */
};

/* Index in the URL. */
unsigned load_player_index(const struct load_player *p);
/* The first bytes of media are there. */
void load_player_begin(struct load_player *p);
void load_player_frame(struct load_player *p, const struct load_frame *frame);
/* A message or tag has come whole: both of the above. */
void load_player_take(struct load_player *p, uint8_t type_id, uint32_t time_ms,
                      struct buf_view body);

#endif
