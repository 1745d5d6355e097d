/* HLS of streams that not everybody may play: who was let in gets a grant for each playlist, and
 * playlists of an own text with one for each piece. Other streams have none of this: their
 * playlists are the same for all. */
#include <stdio.h>

#include "node/access/control.h"
#include "node/session/hls_ask.h"

#define PIECES_S 600 /* a playlist is loaded again long before; the same text for this long */

static const struct access_grants *grants_of(const struct hls_ask *a)
{
    return &a->nl->node->access->grants;
}

static int64_t now_s(void)
{
    return clock_wall_us() / 1000000;
}

/* Grants for playlists are none for pieces, nor the other way round. */
static enum grant_kind kind_of(const struct hls_ask *a)
{
    return a->kind->is_playlist ? GRANT_PLAYLISTS : GRANT_PIECES;
}

bool hls_grant_holds(struct hls_ask *a)
{
    const char *session = http_query_arg(a->x, "session");
    const char *grant = http_query_arg(a->x, GRANT_ARG);
    enum err e;

    if (!session || !grant || a->kind == &k_hls_multivariant) /* it gives new ones: without end */
        return false;
    e = access_grant_check(grants_of(a), kind_of(a), a->name.text, session, grant, now_s());
    /* It began in time, and has gone on since. */
    return e == E_OK || (e == E_TIMEOUT && a->kind->is_playlist &&
                         hls_session_is_known(a->nl, a->x, session, &a->name));
}

void hls_grant_write(const struct hls_ask *a, const struct stream_name *name,
                     struct buf_writer *out)
{
    int64_t expires_s = now_s() + (int64_t)a->nl->node->conf.access_hls_grant_s;
    char grant[GRANT_SIZE];

    if (!a->is_personal)
        return;
    if (access_grant_write(grants_of(a), GRANT_PLAYLISTS, name->text, a->session, expires_s, grant))
        buf_printf(out, "&" GRANT_ARG "=%s", grant);
    else
        out->failed = E_NOMEM;
}

/* Of the list of all segments, which is loaded once, they hold as long as those of playlists. */
static int64_t pieces_until_s(const struct hls_ask *a)
{
    if (a->kind == &k_hls_record)
        return now_s() + (int64_t)a->nl->node->conf.access_hls_grant_s;
    return (now_s() / PIECES_S + 2) * PIECES_S;
}

struct hls_data *hls_grant_playlist(const struct hls_ask *a, struct hls_data *shared)
{
    char grant[GRANT_SIZE], args[GRANT_SIZE + HLS_SESSION_ID_SIZE + 32];
    struct hls_data *own = hls_data_create();
    struct buf_writer text, all;
    size_t n = 0;
    const struct buf_view *views = hls_data_views(shared, &n);

    buf_writer_init(&text, HLS_PRIVATE_MAX_BYTES);
    buf_writer_init(&all, HLS_PRIVATE_MAX_BYTES);
    for (size_t i = 0; i < n; i++)
        buf_write_view(&all, views[i]);
    if (access_grant_write(grants_of(a), GRANT_PIECES, a->name.text, a->session, pieces_until_s(a),
                           grant)) {
        snprintf(args, sizeof args, "session=%s&" GRANT_ARG "=%s", a->session, grant);
        hls_write_private(&text, buf_writer_view(&all), args);
        if (own && buf_writer_status(&all) == E_OK && buf_writer_status(&text) == E_OK)
            hls_data_put(own, buf_writer_view(&text));
        else
            hls_data_unref(&own);
    } else {
        hls_data_unref(&own);
    }
    buf_writer_fini(&all);
    buf_writer_fini(&text);
    if (own && hls_data_is_broken(own))
        hls_data_unref(&own);
    return own;
}
