/* The playing half of an RTMP session. */
#ifndef HW_NODE_SESSION_RTMP_PLAY_H
#define HW_NODE_SESSION_RTMP_PLAY_H

#include "node/session/rtmp_session.h"

/* IDLE -> CHECKING -> JOINING: parked until the stream is there; accepted or refused in the end. */
void rtmp_play_begin(struct rtmp_session *s, const struct access_request *request);
/* The end of a play that was accepted is told to who listens to events. False: none was. */
bool rtmp_play_tell_done(struct rtmp_session *s, const char *reason);
/* The client wants no more: -> IDLE, or the session closes. */
void rtmp_play_stop(struct rtmp_session *s);

#endif
