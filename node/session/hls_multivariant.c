/* Multivariant playlists: a stream and its renditions. */
#include <string.h>

#include "node/session/hls_ask.h"

#define MULTIVARIANT_MAX_BYTES 65536
#define VARIANTS_MAX (2 + HLS_MAX_RENDITIONS) /* the stream, its sound alone, its renditions */

struct multivariant {
    struct hls_variant variants[VARIANTS_MAX];
    struct hls_snapshot *snapshots[VARIANTS_MAX]; /* owned: the variants borrow */
    struct buf_writer uris[VARIANTS_MAX];         /* likewise */
    size_t n;
    bool is_coming; /* another one has begun, and is not ready */
};

/* Relative to the playlist: a player that was sent here goes on here. */
static void write_uri(const struct hls_ask *a, const struct stream_name *name, enum hls_only only,
                      struct buf_writer *out)
{
    bool is_other = strcmp(name->text, a->name.text) != 0;

    if (a->is_inside && is_other)
        buf_write_str(out, "../");
    if (!a->is_inside || is_other) {
        http_percent_encode(buf_view_str(stream_name_part(name)), out);
        buf_write_u8(out, '/');
    }
    buf_printf(out, "%s" HLS_SUFFIX "?", hls_container_name(a->form.container));
    if (only != HLS_ALL_TRACKS)
        buf_printf(out, "only=%s&", hls_only_name(only));
    buf_printf(out, "session=%s", a->session);
    hls_grant_write(a, name, out);
    buf_write_u8(out, 0);
}

/* Asking for it is what brings it here. Gives its snapshot when it is listed; lent. */
static const struct hls_snapshot *add_variant(struct multivariant *m, const struct hls_ask *a,
                                              const struct stream_name *name, enum hls_only only)
{
    struct hls_form form = {a->form.container, only};
    bool is_own = name->text == a->name.text && only == a->form.only;
    struct hls_channel *c =
        is_own ? hls_channel_ref(a->channel) : hls_get(a->nl->node->hls, name, form, true);
    struct hls_snapshot *s = c ? hls_channel_look(c) : NULL;

    hls_channel_unref(&c);
    if (!s)
        return NULL;
    m->is_coming |= !s->is_playable && s->version && !s->edge.ended;
    if (!s->is_playable || s->edge.ended) {
        hls_snapshot_unref(&s);
        return NULL;
    }
    m->snapshots[m->n] = s;
    buf_writer_init(&m->uris[m->n], 4 * STREAM_NAME_SIZE);
    write_uri(a, name, only, &m->uris[m->n]);
    m->variants[m->n] = hls_facts_variant(&s->facts, (const char *)m->uris[m->n].data);
    m->n++;
    return s;
}

static bool has_both(const struct hls_snapshot *s)
{
    return s && s->facts.codecs[0][0] && s->facts.codecs[1][0];
}

/* The stream's own, and its renditions: those that there are. They are of its app, so that who may
 * play it may play them. */
static void list_variants(struct multivariant *m, const struct hls_ask *a)
{
    const struct hls_conf *conf = &a->nl->node->hls_conf;
    struct stream_name others[HLS_MAX_RENDITIONS];
    size_t n = hls_renditions(a->nl->node->hls, &a->name, others);
    const struct stream_name *spoken = NULL; /* whose sound there is to be had alone */

    if (has_both(add_variant(m, a, &a->name, a->form.only)))
        spoken = &a->name;
    for (size_t i = 0; i < n; i++)
        if (has_both(add_variant(m, a, &others[i], a->form.only)) && !spoken)
            spoken = &others[i];
    if (conf->has_audio_variant && spoken) /* asked for just now, maybe: it comes, sound is there */
        m->is_coming |= !add_variant(m, a, spoken, HLS_ONLY_AUDIO);
}

static void respond_multivariant(struct hls_ask *a, const struct multivariant *m)
{
    struct buf_writer text;
    enum err e = E_OK;

    buf_writer_init(&text, MULTIVARIANT_MAX_BYTES);
    for (size_t i = 0; i < m->n && e == E_OK; i++)
        e = buf_writer_status(&m->uris[i]);
    if (e == E_OK)
        hls_write_multivariant(&text, m->variants, m->n);
    if (e != E_OK || buf_writer_status(&text) != E_OK) {
        hls_refuse(a, 503, err_text(E_NOMEM));
    } else {
        http_add_header(a->x, "Cache-Control", "no-store");
        http_respond(a->x, 200, HLS_PLAYLIST_TYPE, buf_writer_view(&text));
        a->x = NULL;
    }
    buf_writer_fini(&text);
}

/* Each viewer has an own one, for the session in it. */
static bool answer_multivariant(struct hls_ask *a, const struct hls_snapshot *s)
{
    struct multivariant m = {.n = 0};
    bool is_ready;

    (void)s;
    list_variants(&m, a);
    is_ready = m.n > 0 && (!m.is_coming || a->is_late);
    if (is_ready && hls_let_in(a))
        respond_multivariant(a, &m);
    for (size_t i = 0; i < m.n; i++) {
        buf_writer_fini(&m.uris[i]);
        hls_snapshot_unref(&m.snapshots[i]);
    }
    return is_ready;
}

const struct hls_kind k_hls_multivariant = {answer_multivariant, true};
