/* What of a stream a player asks for in the query of its URL, whatever the protocol. */
#ifndef HW_NODE_SESSION_SELECTION_H
#define HW_NODE_SESSION_SELECTION_H

#include "node/stream/format.h"

struct play_selection {
    enum feed_tracks tracks; /* only=audio, only=video, tracks=all; else the default ones */
    bool old_hevc;           /* hevc=12: HEVC as codec id 12, in FLV bodies */
};
/* Borrows query. False: a value that means nothing; *why is a static text. */
bool play_selection_read(struct buf_view query, struct play_selection *out, const char **why);

#endif
