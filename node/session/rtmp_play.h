/* The playing half of an RTMP session. */
#ifndef HW_NODE_SESSION_RTMP_PLAY_H
#define HW_NODE_SESSION_RTMP_PLAY_H

#include "node/session/rtmp_session.h"

/* IDLE -> JOINING: parked until the stream is there; accepted or refused in the end. */
void rtmp_play_begin(struct rtmp_session *s, const struct stream_name *name, struct buf_view query);
/* The client wants no more: -> IDLE, or the session closes. */
void rtmp_play_stop(struct rtmp_session *s);

#endif
