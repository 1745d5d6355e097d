/* What is known of a stream's default tracks, one of each kind, for those who have to say it in
 * front of the frames: MP4 and HLS. One thread at a time. */
#ifndef HW_NODE_STREAM_ES_TRACKS_H
#define HW_NODE_STREAM_ES_TRACKS_H

#include "node/stream/format_es.h"
#include "node/stream/tracks.h"

struct es_track {
    const struct media_frame *config; /* owned: params borrow from it; NULL = none */
    struct codec_params params;       /* when it is known */
    bool is_known;
};

struct es_tracks {
    bool (*carries)(enum media_codec codec); /* others are as if they were not there */
    struct es_track tracks[2];               /* [MEDIA_AUDIO], [MEDIA_VIDEO] */
};

void es_tracks_init(struct es_tracks *t, bool (*carries)(enum media_codec codec));
void es_tracks_fini(struct es_tracks *t);
/* The configurations are these now; none: all is forgotten. Gives the kinds whose track is another
 * one from now on, as bits 1 << kind. */
unsigned es_tracks_take(struct es_tracks *t, const struct track_set *configs);
/* The next frame: what only frames say is sound without a configuration, and sizes of VP8, VP9 and
 * AV1 pictures. Bits as above. */
unsigned es_tracks_look(struct es_tracks *t, const struct media_frame *frame);
/* A frame that comes later: the first configuration of a track tells what there will be. Bits as
 * above. */
unsigned es_tracks_look_ahead(struct es_tracks *t, const struct media_frame *frame);
/* Is the frame of the track that is known? */
bool es_tracks_hold(const struct es_tracks *t, const struct media_frame *frame);

/* Messages with several tracks and further ones are left out. */
static inline bool frame_is_of_default_track(const struct media_frame *frame)
{
    return frame->info.kind != MEDIA_DATA && frame->info.track_id == 0 &&
           !(frame->info.flags & (FRAME_MULTITRACK | FRAME_EXTRA));
}

#endif
