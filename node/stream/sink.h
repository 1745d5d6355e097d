/* Sinks: readers of a stream that want its frames and not the bytes of a format. They live on its
 * home loop, as sources do; what they make of the frames is theirs to share with other loops. */
#ifndef HW_NODE_STREAM_SINK_H
#define HW_NODE_STREAM_SINK_H

#include <stdatomic.h>

#include "common/base/list.h"
#include "node/stream/stream.h"

struct stream_sink;

/* All on the home loop. on_frame and on_source_change must not close any sink. */
struct stream_sink_ops {
    /* The next frame, headers too; entry: its GOP begins with it. Borrowed: frames are refcounted.
     */
    void (*on_frame)(struct stream_sink *sink, const struct media_frame *frame, bool entry);
    /* What follows is of another run: tracks, times and GOPs begin anew. */
    void (*on_source_change)(struct stream_sink *sink);
    /* Nothing follows; the sink is closed already. Last: it may free itself. */
    void (*on_end)(struct stream_sink *sink);
};

struct stream_sink { /* embedded in the reader */
    const struct stream_sink_ops *ops;
    struct stream *stream;      /* borrowed while open: the reader holds a reference */
    struct list node;           /* private */
    bool is_wanted;             /* private: somebody watches what the sink makes */
    _Atomic uint32_t n_viewers; /* people, for the stream's counts; any thread */
};

/* E_STALE: the stream has ended, its name may be another one's by now. */
enum err stream_sink_open(struct stream *stream, struct stream_sink *sink,
                          const struct stream_sink_ops *ops);
/* Fine when it was closed already. */
void stream_sink_close(struct stream_sink *sink);
/* While it is wanted, the stream is: a source is asked for, a pull goes on. Not so at first. */
void stream_sink_want(struct stream_sink *sink, bool is_wanted);

/* What a sink that comes late may look at. */
const struct gop_cache *stream_cache(const struct stream *stream);
const struct track_set *stream_tracks(const struct stream *stream);
/* False: it is not known yet which tracks there are. */
bool stream_is_ready(const struct stream *stream, bool *has_audio, bool *has_video);
/* How this run is cut; NULL while that is not decided. */
const struct stream_plan *stream_plan_of(const struct stream *stream);
/* Unix time of a moment of info.ingest_us. */
int64_t stream_wall_us(const struct stream *stream, int64_t ingest_us);

#endif
