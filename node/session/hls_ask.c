/* HLS over HTTP: which playlist or piece of which stream is asked for, now or when it is there.
 *
 *   /{app}/{name}.m3u8, /{app}/{name}/index.m3u8   multivariant playlist; ?container=ts, fmp4
 *   /{app}/{name}/ts.m3u8, /{app}/{name}/fmp4.m3u8 media playlists; both with ?only=audio, video
 *   /{app}/{name}/record.m3u8                      all segments since the channel began, on disk
 *   /{app}/{name}/s..., i...                       segments, parts, init sections (proto/hls) */
#include <string.h>

#include "node/control/node_metrics.h"
#include "node/session/hls_ask.h"
#include "node/session/http_asked.h"
#include "node/session/redirect.h"
#include "node/session/selection.h"
#include "node/session/session.h"

bool hls_let_in(struct hls_ask *a)
{
    const bool is_entry = a->kind == &k_hls_multivariant; /* the rest has no place elsewhere */
    struct admission_refusal no;

    if (http_is_head(a->x))
        return true;
    switch (hls_session_ask(a->nl, a->x, a->session, &a->name, a->channel, &no)) {
    case HLS_WELCOME:
        return true;
    case HLS_KICKED:
        metric_add(&m_play_refused_denied, 1);
        hls_refuse(a, 403, no.why);
        return false;
    case HLS_TURNED_AWAY:
        break;
    }
    http_log_refused(a->x, a->nl->node, "play", "hls", &a->name, no.text);
    http_refuse_admission(a->x, a->nl, &a->name, is_entry ? "m3u8" : NULL, &no);
    a->x = NULL;
    return false;
}

static void serve(struct hls_ask *a)
{
    struct hls_snapshot *s;

    if (!a->session[0] && (a->kind->is_playlist || a->is_personal))
        hls_session_id(a->x, a->kind == &k_hls_multivariant, a->session);
    if (a->kind == &k_hls_record) { /* the stream may be gone */
        (void)a->kind->answer(a, NULL);
        return;
    }
    a->channel = hls_get(a->nl->node->hls, &a->name, a->form, a->kind->is_playlist);
    if (!a->channel) {
        hls_refuse(a, 503, err_text(E_NOMEM));
        return;
    }
    s = hls_channel_look(a->channel);
    if (!a->kind->answer(a, s)) {
        hls_wait(a); /* takes the channel */
        a->channel = NULL;
    }
    hls_snapshot_unref(&s);
    hls_channel_unref(&a->channel);
}

/* The multivariant playlist by either path; "/a/b/index.m3u8" is that of /a/b. */
static bool take_multivariant(struct http_exchange *x, struct hls_ask *a)
{
    const char *container = http_query_arg(x, "container");

    a->kind = &k_hls_multivariant;
    a->form.container = a->nl->node->hls_conf.container;
    for (enum hls_container c = HLS_TS; container && c <= HLS_FMP4; c++)
        if (!strcmp(container, hls_container_name(c)))
            a->form.container = c;
    return true;
}

/* The last part of a path inside a stream. */
static bool take_file(struct http_exchange *x, const char *file, struct hls_ask *a)
{
    if (!strcmp(file, "index" HLS_SUFFIX))
        return take_multivariant(x, a);
    if (!strcmp(file, HLS_RECORD_NAME)) {
        a->kind = &k_hls_record;
        return true;
    }
    if (hls_parse_name(buf_view_str(file), &a->piece) == E_OK) {
        a->kind = &k_hls_piece;
        a->form = (struct hls_form){a->piece.container, a->piece.only};
        return true;
    }
    for (enum hls_container c = HLS_TS; c <= HLS_FMP4; c++) {
        const char *name = hls_container_name(c);
        size_t n = strlen(name);

        if (strncmp(file, name, n) || strcmp(file + n, HLS_SUFFIX) != 0)
            continue;
        a->kind = &k_hls_media;
        a->form.container = c;
        return true;
    }
    return false;
}

static bool take_path(struct http_exchange *x, struct hls_ask *a)
{
    const char *path = http_path(x), *slash = strrchr(path, '/'), *why;
    size_t size = strlen(path), suffix = sizeof HLS_SUFFIX - 1;

    a->is_inside = true;
    if (slash &&
        stream_name_from_path(&a->name, buf_view_of(path, (size_t)(slash - path)), &why) == E_OK &&
        take_file(x, slash + 1, a))
        return true;
    a->is_inside = false;
    return size > suffix && !strcmp(path + size - suffix, HLS_SUFFIX) &&
           stream_name_from_path(&a->name, buf_view_of(path, size - suffix), &why) == E_OK &&
           take_multivariant(x, a);
}

/* What the query of a playlist says. False: nonsense, *why. */
static bool take_query(struct hls_ask *a, const char **why)
{
    struct buf_view query = buf_view_str(http_query(a->x));
    struct play_selection selection;

    if (a->kind != &k_hls_media && a->kind != &k_hls_multivariant)
        return true;
    if (!play_selection_read(query, &selection, why))
        return false;
    if (selection.tracks == TRACKS_AUDIO)
        a->form.only = HLS_ONLY_AUDIO;
    if (selection.tracks == TRACKS_VIDEO)
        a->form.only = HLS_ONLY_VIDEO;
    return a->kind != &k_hls_media || hls_parse_directives(query, &a->want, why) == E_OK;
}

static void serve_here(struct http_exchange *x, void *arg, const struct stream_name *name)
{
    struct hls_ask a = {.x = x, .nl = arg};
    const char *why;

    (void)name;
    if (take_path(x, &a) && take_query(&a, &why)) {
        a.is_personal = access_is_personal(a.nl->node, ACCESS_PLAY, &a.name);
        serve(&a);
    }
}

/* True: the exchange is answered, now or later. */
static bool is_sent_away(const struct hls_ask *a)
{
    const char *file = a->form.container == HLS_TS ? "ts" HLS_SUFFIX : "fmp4" HLS_SUFFIX;

    if (http_is_head(a->x))
        return false;
    if (a->kind == &k_hls_multivariant)
        return redirect_viewer(a->x, a->nl, &a->name, "m3u8", serve_here);
    return a->kind == &k_hls_media && redirect_drained(a->x, a->nl, &a->name, file, serve_here);
}

/* Players follow names in playlists: they are sent to the other one. */
static void send_to(struct hls_ask *a, const struct stream_name *name)
{
    struct buf_writer location;

    buf_writer_init(&location, REDIRECT_MAX_BYTES);
    buf_write_u8(&location, '/');
    http_percent_encode(buf_view_str(name->text), &location);
    buf_write_str(&location, HLS_SUFFIX);
    (void)redirect_to(a->x, &location);
    a->x = NULL;
}

/* It may play. */
static void give(struct hls_ask *a, const struct access_answer *answer)
{
    if (answer->is_renamed)
        send_to(a, &answer->name);
    else if (!is_sent_away(a))
        serve(a);
}

static void go_on(struct http_exchange *x, struct node_loop *nl, const struct access_answer *answer)
{
    struct hls_ask a = {.x = x, .nl = nl};
    const char *why;

    if (take_path(x, &a) && take_query(&a, &why)) {
        a.is_personal = access_is_personal(a.nl->node, ACCESS_PLAY, &a.name);
        memcpy(a.session, answer->session, sizeof a.session);
        give(&a, answer);
    }
}

/* Who has begun is not asked again what only concerns beginnings. */
static bool has_begun(struct hls_ask *a)
{
    const char *session = http_query_arg(a->x, "session");

    if (a->is_personal)
        return hls_grant_holds(a);
    return !a->kind->is_playlist ||
           (session && hls_session_is_known(a->nl, a->x, session, &a->name));
}

static void ask(struct hls_ask *a)
{
    struct access_request request;
    struct access_answer answer;

    http_access_request(a->x, ACCESS_PLAY, &a->name, "hls", &request);
    (void)traceparent_parse(http_header(a->x, "traceparent"), &request.trace);
    a->is_personal = access_is_personal(a->nl->node, ACCESS_PLAY, &a->name);
    request.goes_on = has_begun(a);
    if (a->kind->is_playlist || a->is_personal)
        hls_session_id(a->x, a->kind == &k_hls_multivariant, a->session);
    request.session = a->session;
    if (http_ask_access(a->x, a->nl, &request, &answer, go_on))
        give(a, &answer);
}

bool http_hls_handle(struct http_exchange *x, struct node_loop *nl)
{
    struct hls_ask a = {.x = x, .nl = nl};
    const char *why = NULL;

    if (!nl->node->hls || !take_path(x, &a))
        return false;
    if (!take_query(&a, &why))
        hls_refuse(&a, 400, why);
    else
        ask(&a);
    return true;
}
