/* The body of an answer as FLV: with @hw tags from another node, plain from a foreign server. */
#include <stdio.h>
#include <string.h>

#include "node/cluster/clocks.h"
#include "node/relay/pull_private.h"

static enum err begin(struct pull_link *l)
{
    l->flv = flv_decoder_create(FLV_MAX_TAG_BYTES);
    return l->flv ? E_OK : E_NOMEM;
}

/* What a node says of itself stays the same in a loop, or where it has lost its own upstream: only
 * the origin's clock shows that media could come. */
static void hear(struct pull_link *l, int64_t ingest_us)
{
    if (ingest_us != l->ingest_us)
        l->heard_us = loop_now_us(l->nl->media.loop);
    l->ingest_us = ingest_us;
}

/* The upstream has another way to the origin now. */
static enum err change_path(struct pull_link *l, struct buf_view above)
{
    char path[HOPS_ID_SIZE + HOPS_PATH_SIZE];
    int n_first = (int)strcspn(l->path, ",");

    snprintf(path, sizeof path, "%.*s%s%.*s", n_first, l->path, above.size_bytes ? "," : "",
             (int)(above.size_bytes < HOPS_PATH_SIZE ? above.size_bytes : HOPS_PATH_SIZE),
             (const char *)above.data);
    return pull_take_path(l, path);
}

static enum err on_hw(struct pull_link *l, const struct flv_hw *hw)
{
    struct stream_upstream said = {.epoch = hw->epoch,
                                   .run = hw->run,
                                   .gop = hw->gop,
                                   .ingest_us = hw->ingest_us,
                                   .wall_us = hw->wall_us,
                                   .is_timed = hw->has_clock,
                                   .clock = clocks_ours(l->clock, clock_mono_us(), hw),
                                   .plan = hw->plan,
                                   .trail = hw->trail};

    if (hw->end) {
        l->why = "the stream has ended";
        return E_END;
    }
    hear(l, hw->ingest_us);
    if (hw->path.data) {
        enum err e = change_path(l, hw->path);

        if (e != E_OK)
            return e;
        said.path = l->path;
        pull_path_changed(l);
    }
    stream_set_upstream(&l->source, &said);
    return E_OK;
}

static enum err on_tag(struct pull_link *l, const struct flv_tag *tag)
{
    struct flv_hw hw;

    if (tag->header.type_id == FLV_TAG_SCRIPT && pull_link_is_relay(l) &&
        flv_parse_hw_body(tag->body, &hw) == E_OK)
        return on_hw(l, &hw);
    l->heard_us = loop_now_us(l->nl->media.loop);
    if (tag->header.type_id != FLV_TAG_AUDIO && tag->header.type_id != FLV_TAG_VIDEO &&
        tag->header.type_id != FLV_TAG_SCRIPT)
        return E_OK; /* reserved types: not for players either */
    return stream_push(&l->source, tag->header.type_id,
                       ts_unwrap_us(&l->unwrap, tag->header.dts_ms), tag->body, &l->why);
}

/* Another node's header tells truly which tracks there are. */
static void tell_tracks(struct pull_link *l)
{
    bool audio, video;

    if (l->told_tracks || !pull_link_is_relay(l) || !flv_decoder_header(l->flv, &audio, &video))
        return;
    l->told_tracks = true;
    stream_expect_tracks(&l->source, audio, video);
}

static enum err feed(struct pull_link *l, struct buf_view piece)
{
    struct buf_reader in = buf_reader_from(piece);
    bool any = false;
    struct flv_tag tag;
    enum err e;

    while ((e = flv_decoder_feed(l->flv, &in, &tag)) == E_OK) {
        any = true;
        tell_tracks(l);
        e = on_tag(l, &tag);
        if (e != E_OK || !l->pull)
            return e;
    }
    if (e != E_AGAIN)
        l->why = "broken FLV";
    if (!any) /* part of a large frame */
        l->heard_us = loop_now_us(l->nl->media.loop);
    tell_tracks(l);
    return e;
}

static void fini(struct pull_link *l)
{
    flv_decoder_destroy(&l->flv);
}

const struct pull_body k_pull_flv = {.begin = begin, .feed = feed, .fini = fini};
