/* The publishing half of an RTMP session. */
#ifndef HW_NODE_SESSION_RTMP_PUBLISH_H
#define HW_NODE_SESSION_RTMP_PUBLISH_H

#include "node/session/rtmp_session.h"

/* IDLE -> ASKING: accepted or refused in the end; see publisher.h. */
void rtmp_publish_begin(struct rtmp_session *s, const struct access_request *access);
/* The calls on the stack have returned: now go. */
void rtmp_publish_move(struct rtmp_session *s);
void rtmp_publish_media(struct rtmp_session *s, const struct rtmp_event *ev);
/* What only a publisher can count. */
void rtmp_publish_count(const struct rtmp_session *s, struct session_counts *counts);
/* The end of a publish that was live is told to who listens to events. False: none was. */
bool rtmp_publish_tell_done(struct rtmp_session *s, const char *reason);
/* Lets go of the stream and of the lease. Fine when there is none. */
void rtmp_publish_drop(struct rtmp_session *s);

#endif
