/* Answers to requests for media playlists and pieces. */
#include <stdio.h>

#include "node/control/node_metrics.h"
#include "node/session/hls_ask.h"

#define CACHE_TARGETS 6 /* bis 6.2.5.1: what a blocked request got stays true */
#define CACHE_PIECE "public, max-age=31536000, immutable"
#define CACHE_PRIVATE "private, max-age=3600, immutable" /* of a piece: the player's own cache */
#define CACHE_NOW "no-cache" /* may be kept, but is asked for again, by its ETag */
#define ETAG_SIZE 40

/* --- answers --- */

static void on_sent(void *arg)
{
    struct hls_data *data = arg;

    hls_data_unref(&data);
}

static void respond(struct hls_ask *a, struct hls_data *data, const char *type,
                    const char *cache_control)
{
    struct http_shared answer = {
        .status = 200, .content_type = type, .cache_control = cache_control};
    char etag[ETAG_SIZE];

    snprintf(etag, sizeof etag, "\"%llx-%llx\"", (unsigned long long)a->nl->node->instance,
             (unsigned long long)hls_data_number(data));
    answer.etag = etag;
    answer.parts = hls_data_views(data, &answer.n_parts);
    answer.done = on_sent;
    answer.arg = data;
    if (!http_is_head(a->x) && !hls_session_count(a->nl, a->x, a->session[0] ? a->session : NULL,
                                                  &a->name, http_shared_bytes(a->x, &answer))) {
        hls_data_unref(&data);
        metric_add(&m_play_refused_denied, 1);
        hls_refuse(a, 403, "closed by the operator");
        return;
    }
    http_respond_shared(a->x, &answer);
    a->x = NULL;
}

/* Takes data. */
void hls_respond_data(struct hls_ask *a, struct hls_data *data, const char *type,
                      const char *cache_control)
{
    struct hls_data *own;

    if (!a->is_personal) {
        respond(a, data, type, cache_control);
    } else if (!a->kind->is_playlist) {
        respond(a, data, type, CACHE_PRIVATE);
    } else {
        own = hls_grant_playlist(a, data);
        hls_data_unref(&data);
        if (own)
            respond(a, own, type, "no-store");
        else
            hls_refuse(a, 503, err_text(E_NOMEM));
    }
}

void hls_refuse(struct hls_ask *a, unsigned status, const char *why)
{
    http_add_header(a->x, "Cache-Control", "no-store");
    if (status == 404)
        metric_add(&m_play_refused_not_found, 1);
    http_respond_problem(a->x, status, "%s", why);
    a->x = NULL;
}

/* --- media playlists --- */

static bool answer_media(struct hls_ask *a, const struct hls_snapshot *s)
{
    char cache[48];

    if (!s->is_playable)
        return false;
    switch (hls_judge(&a->want, &s->edge)) {
    case HLS_ANSWER_LATER:
        return false;
    case HLS_ANSWER_REFUSE:
        hls_refuse(a, 400, "_HLS_msn or _HLS_part is too far ahead");
        return true;
    case HLS_ANSWER_NOW:
        break;
    }
    if (!hls_let_in(a))
        return true;
    snprintf(cache, sizeof cache, "max-age=%lld",
             (long long)(CACHE_TARGETS * s->target_us / 1000000));
    hls_respond_data(a, hls_data_ref(a->want.skip ? s->delta : s->full), HLS_PLAYLIST_TYPE,
                     a->want.has_msn && !s->edge.ended ? cache : CACHE_NOW);
    return true;
}

/* --- pieces --- */

static bool answer_piece(struct hls_ask *a, const struct hls_snapshot *s)
{
    struct hls_data *data = NULL;
    enum err e = hls_channel_find(a->channel, &a->piece, &data);
    char name[HLS_NAME_SIZE];
    const char *type;

    (void)s;
    if (e == E_AGAIN)
        return false;
    type = a->form.container == HLS_TS ? "video/mp2t" : "video/mp4";
    hls_format_name(&a->piece, name);
    if (e == E_OK)
        hls_respond_data(a, data, type, CACHE_PIECE);
    else if (a->piece.kind == HLS_PART || !hls_respond_stored(a, name, type, CACHE_PIECE))
        hls_refuse(a, 404, "no such segment, or no longer");
    return true;
}

const struct hls_kind k_hls_media = {answer_media, true};
const struct hls_kind k_hls_piece = {answer_piece, false};
