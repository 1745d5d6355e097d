/* See es_tracks.h. */
#include "node/stream/es_tracks.h"

void es_tracks_init(struct es_tracks *t, bool (*carries)(enum media_codec codec))
{
    *t = (struct es_tracks){.carries = carries};
}

static unsigned forget(struct es_tracks *t, enum media_kind kind)
{
    media_frame_unref(&t->tracks[kind].config);
    t->tracks[kind].is_known = false;
    return 1u << kind;
}

void es_tracks_fini(struct es_tracks *t)
{
    forget(t, MEDIA_AUDIO);
    forget(t, MEDIA_VIDEO);
}

static unsigned take(struct es_tracks *t, const struct media_frame *config)
{
    struct es_track *track = &t->tracks[config->info.kind];
    unsigned changed;
    const char *why;

    if (track->config == config)
        return 0;
    changed = forget(t, config->info.kind);
    if (!t->carries(config->info.codec) ||
        codec_params_from_config(config->info.codec, frame_es(config), &track->params, &why) !=
            E_OK)
        return changed;
    track->config = media_frame_ref(config);
    track->is_known = true;
    return changed;
}

unsigned es_tracks_take(struct es_tracks *t, const struct track_set *configs)
{
    unsigned changed = 0;

    if (!configs->n_configs)
        return forget(t, MEDIA_AUDIO) | forget(t, MEDIA_VIDEO);
    for (unsigned i = 0; i < configs->n_configs; i++)
        if (frame_is_of_default_track(configs->configs[i]))
            changed |= take(t, configs->configs[i]);
    return changed;
}

static unsigned learn_sound(struct es_tracks *t, const struct media_frame *frame)
{
    struct es_track *track = &t->tracks[MEDIA_AUDIO];
    struct codec_params params;
    const char *why;

    if ((track->is_known && track->params.codec == frame->info.codec) ||
        !t->carries(frame->info.codec) ||
        codec_params_from_frame(frame->info.codec, frame_es(frame), &params, &why) != E_OK)
        return 0;
    forget(t, MEDIA_AUDIO);
    track->params = params;
    track->is_known = true;
    return 1u << MEDIA_AUDIO;
}

unsigned es_tracks_look(struct es_tracks *t, const struct media_frame *frame)
{
    struct es_track *video = &t->tracks[MEDIA_VIDEO];
    const char *why;

    if (!frame_is_media(frame) || !frame_is_of_default_track(frame))
        return 0;
    if (frame->info.kind == MEDIA_AUDIO)
        return learn_sound(t, frame);
    if (!video->is_known || !(frame->info.flags & FRAME_KEY) || video->params.video.width ||
        codec_params_add_key_frame(&video->params, frame_es(frame), &why) != E_OK)
        return 0;
    return video->params.video.width ? 1u << MEDIA_VIDEO : 0;
}

unsigned es_tracks_look_ahead(struct es_tracks *t, const struct media_frame *frame)
{
    if (!(frame->info.flags & FRAME_CONFIG) || !frame_is_of_default_track(frame) ||
        t->tracks[frame->info.kind].is_known)
        return es_tracks_look(t, frame);
    (void)take(t, frame);
    return t->tracks[frame->info.kind].is_known ? 1u << frame->info.kind : 0;
}

bool es_tracks_hold(const struct es_tracks *t, const struct media_frame *frame)
{
    const struct es_track *track = &t->tracks[frame->info.kind];

    return track->is_known && track->params.codec == frame->info.codec;
}
