/* Multivariant playlists: a stream and its renditions. */
#include <string.h>

#include "node/session/hls_ask.h"

#define MULTIVARIANT_MAX_BYTES 65536

struct multivariant {
    struct hls_variant variants[1 + HLS_MAX_RENDITIONS];
    struct hls_snapshot *snapshots[1 + HLS_MAX_RENDITIONS]; /* owned: the variants borrow */
    struct buf_writer uris[1 + HLS_MAX_RENDITIONS];         /* likewise */
    size_t n;
    bool is_coming; /* another one has begun, and is not ready */
};

/* Relative to the playlist: a player that was sent here goes on here. */
static void write_uri(const struct hls_ask *a, const struct stream_name *name,
                      struct buf_writer *out)
{
    bool is_other = strcmp(name->text, a->name.text) != 0;

    if (a->is_inside && is_other)
        buf_write_str(out, "../");
    if (!a->is_inside || is_other) {
        http_percent_encode(buf_view_str(stream_name_part(name)), out);
        buf_write_u8(out, '/');
    }
    buf_printf(out, "%s" HLS_SUFFIX "?session=%s", hls_container_name(a->container), a->session);
    buf_write_u8(out, 0);
}

/* Takes the snapshot. */
static void add_variant(struct multivariant *m, const struct hls_ask *a,
                        const struct stream_name *name, struct hls_snapshot *s)
{
    m->is_coming |= !s->is_playable && s->version && !s->edge.ended;
    if (!s->is_playable || s->edge.ended) {
        hls_snapshot_unref(&s);
        return;
    }
    m->snapshots[m->n] = s;
    buf_writer_init(&m->uris[m->n], 4 * STREAM_NAME_SIZE);
    write_uri(a, name, &m->uris[m->n]);
    m->variants[m->n] = hls_facts_variant(&s->facts, (const char *)m->uris[m->n].data);
    m->n++;
}

/* The stream's own, and its renditions: those that there are. Asking for them is what brings them
 * here. */
static void list_variants(struct multivariant *m, const struct hls_ask *a)
{
    const struct hls_conf *conf = &a->nl->node->hls_conf;
    struct stream_name name;

    add_variant(m, a, &a->name, hls_channel_look(a->channel));
    for (size_t i = 0; i < conf->n_renditions; i++) {
        struct hls_channel *c = hls_rendition_name(&a->name, conf->renditions[i], &name)
                                    ? hls_get(a->nl->node->hls, &name, a->container, true)
                                    : NULL;

        if (c)
            add_variant(m, a, &name, hls_channel_look(c));
        hls_channel_unref(&c);
    }
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
