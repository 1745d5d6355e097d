/* The publishing half of an RTMP session. */
#ifndef HW_NODE_SESSION_RTMP_PUBLISH_H
#define HW_NODE_SESSION_RTMP_PUBLISH_H

#include "node/session/rtmp_session.h"

/* IDLE -> ASKING: accepted or refused in the end; see publisher.h. */
void rtmp_publish_begin(struct rtmp_session *s, const struct stream_name *name);
/* The calls on the stack have returned: now go. */
void rtmp_publish_move(struct rtmp_session *s);
void rtmp_publish_media(struct rtmp_session *s, const struct rtmp_event *ev);
/* That the stream got; 0 when there is none. */
uint64_t rtmp_publish_frames(const struct rtmp_session *s);
/* Lets go of the stream and of the lease. Fine when there is none. */
void rtmp_publish_drop(struct rtmp_session *s);

#endif
