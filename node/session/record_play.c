/* See record_play.h. The file is read on a thread of its own, a piece at a time, when the player
 * has taken the one before: a player costs one piece of memory, whatever the file and its pace. */
#include "node/session/record_play.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/access/control.h"
#include "node/control/bans.h"
#include "node/control/node_metrics.h"
#include "node/record/record.h"
#include "node/session/admission.h"
#include "node/session/http_asked.h"
#include "node/session/redirect.h"
#include "node/session/session.h"
#include "proto/hls/hls.h"

#define MAX_PLAYS 256u /* of a loop: 64 MiB, and so many descriptors */
#define MAX_LIST_BYTES (16u << 20)
#define RECORDS_PREFIX "/records/"
#define US_PER_S 1000000

static const char *const k_types[RECORD_N_FORMATS] = {
    [RECORD_FLV] = "video/x-flv",
    [RECORD_TS] = "video/mp2t",
    [RECORD_MP4] = "video/mp4",
    [RECORD_HLS] = "application/vnd.apple.mpegurl",
};

struct play { /* one request */
    struct record_play file;
    struct node_loop *nl;
    struct http_exchange *x; /* NULL: the player has left */
    bool is_reading;         /* the reader has it */
    bool is_done;            /* the answer is over */
    char session[SESSION_ID_SIZE];
    struct buf_writer list; /* a playlist of its own, for who was let in */
    /* As a session, while it is sent. */
    struct session_info info;
    struct pass pass; /* until it is a session */
    char *words;      /* owned, for info; NULL while it is none */
    uint64_t sent_bytes, left_bytes;
    bool is_in;
    bool is_kicked; /* nothing more is sent */
    char peer[ADDR_TEXT_SIZE];
};

/* --- the session: one for each answer that has bytes --- */

/* A segment is nobody's coming or going: its playlist was. */
static bool has_events(const struct play *p)
{
    return !p->file.name.segment;
}

static void leave(struct play *p, const char *why)
{
    if (!p->is_in)
        return;
    p->is_in = false;
    if (has_events(p))
        session_tell(p->nl->node, EVENT_PLAY_DONE, &p->info, why);
    else
        session_log(p->nl->node, &p->info, why);
    session_info_fini(&p->info, &p->nl->media);
    admission_give(p->nl->node, &p->info.pass);
    free(p->words);
    p->words = NULL;
}

static void on_kick(struct session_info *info)
{
    struct play *p = list_entry(info, struct play, info);

    p->is_kicked = true; /* the next piece is not given */
    leave(p, sessions_kick_reason(p->nl));
}

static void on_count(const struct session_info *info, struct session_counts *counts)
{
    counts->bytes_out = list_entry_const(info, struct play, info)->sent_bytes;
}

static void enter(struct play *p)
{
    struct words words;

    session_info_init(&p->info, &p->nl->media, '\0', "record", p->peer);
    memcpy(p->info.id, p->session, sizeof p->info.id);
    p->info.kind = "play";
    p->info.count = on_count;
    p->info.kick = on_kick;
    p->info.pass = p->pass;
    p->pass = (struct pass){0};
    http_words(p->x, p->nl->node, &p->file.stream, &words);
    p->words = words_make(&words, &p->info);
    if (!p->words) /* then nothing else is known of it */
        p->info.stream = p->file.stream.text;
    p->is_in = true;
    if (has_events(p))
        session_tell(p->nl->node, EVENT_PLAY, &p->info, NULL);
}

/* Players of records count as viewers. False: answered. */
static bool admit(struct play *p)
{
    struct admission_ask ask = {ADMISSION_VIEWER, http_peer_addr(p->x), &p->file.stream};
    struct admission_refusal no;

    snprintf(p->peer, sizeof p->peer, "%s", http_peer(p->x));
    if (admission_take(p->nl->node, &ask, &p->pass, &no))
        return true;
    http_log_refused(p->x, p->nl->node, "play", "record", &p->file.stream, no.text);
    http_refuse_admission(p->x, p->nl, &p->file.stream, NULL, &no);
    return false;
}

/* --- life --- */

static void play_free(struct play *p)
{
    leave(p, "this node is shutting down");
    admission_give(p->nl->node, &p->pass);
    p->nl->n_record_plays--;
    record_play_fini(&p->file);
    buf_writer_fini(&p->list);
    free(p);
}

static void on_drop(struct loop_msg *msg)
{
    play_free(list_entry(msg, struct play, file.msg));
}

static void ask(struct play *p)
{
    p->is_reading = true;
    record_play_ask(p->nl->node->record, &p->file);
}

/* --- sending --- */

static void on_want(struct http_exchange *x, void *arg, uint64_t at, uint64_t left_bytes)
{
    struct play *p = arg;

    if (bans_check(p->nl->node, http_peer_addr(x), BAN_PLAY, &p->file.stream)) {
        http_fail_pieces(x); /* last: p may be gone */
        return;
    }
    if (!p->is_in && !p->is_kicked)
        enter(p);
    p->left_bytes = left_bytes;
    p->file.at = at;
    p->file.wanted_bytes =
        left_bytes < RECORD_PIECE_BYTES ? (size_t)left_bytes : RECORD_PIECE_BYTES;
    ask(p);
}

static void on_over(void *arg)
{
    struct play *p = arg;

    p->x = NULL;
    p->is_done = true;
    leave(p, p->left_bytes ? "peer left" : "end of the record");
    admission_give(p->nl->node, &p->pass);
    if (!p->is_reading)
        play_free(p);
}

static void on_piece(struct record_play *file)
{
    struct play *p = list_entry(file, struct play, file);

    p->is_reading = false;
    if (p->is_done) {
        play_free(p);
    } else if (file->result == E_OK && !p->is_kicked) {
        p->sent_bytes += file->got_bytes;
        p->left_bytes -= file->got_bytes;
        metric_add(&m_record_played_bytes, (int64_t)file->got_bytes);
        http_give_piece(p->x, buf_view_of(file->piece, file->got_bytes)); /* last: p may be gone */
    } else {
        http_fail_pieces(p->x);
    }
}

/* --- playlists of streams that not everybody may play --- */

static int64_t now_s(void)
{
    return clock_wall_us() / US_PER_S;
}

static bool is_list(const struct record_name *name)
{
    return name->format == RECORD_HLS && !name->segment;
}

/* Each segment's address says that its viewer was let in. */
static void respond_list(struct play *p)
{
    const struct node *node = p->nl->node;
    char grant[GRANT_SIZE], args[GRANT_SIZE + sizeof p->session + 32];
    struct buf_writer text;

    buf_writer_init(&text, MAX_LIST_BYTES);
    if (!access_grant_write(&node->access->grants, GRANT_PIECES, p->file.stream.text, p->session,
                            now_s() + (int64_t)node->conf.access_hls_grant_s, grant))
        text.failed = E_NOMEM;
    snprintf(args, sizeof args, "session=%s&" GRANT_ARG "=%s", p->session, grant);
    hls_write_private(&text, buf_writer_view(&p->list), args);
    http_add_header(p->x, "Cache-Control", "no-store");
    if (!http_is_head(p->x))
        enter(p);
    p->sent_bytes = text.used_bytes;
    leave(p, "end of the record");
    if (buf_writer_status(&text) == E_OK)
        http_respond(p->x, 200, k_types[RECORD_HLS], buf_writer_view(&text));
    else
        http_respond_problem(p->x, 503, "%s", err_text(buf_writer_status(&text)));
    buf_writer_fini(&text);
}

static void read_list(struct play *p)
{
    p->file.at = p->list.used_bytes;
    p->file.wanted_bytes = (size_t)(p->file.size_bytes - p->file.at);
    ask(p);
}

static void on_list_piece(struct record_play *file)
{
    struct play *p = list_entry(file, struct play, file);
    enum err e = file->result;

    p->is_reading = false;
    buf_write(&p->list, file->piece, file->got_bytes);
    if (e == E_OK)
        e = buf_writer_status(&p->list);
    if (p->x && e == E_OK && p->list.used_bytes < file->size_bytes) {
        read_list(p);
        return;
    }
    if (p->x && e == E_OK)
        respond_list(p);
    else if (p->x)
        http_respond_problem(p->x, 503, "%s", err_text(e));
    play_free(p);
}

/* --- beginning --- */

static void on_gone(struct http_exchange *x, void *arg)
{
    (void)x;
    ((struct play *)arg)->x = NULL;
}

static void respond(struct play *p)
{
    const struct record_play *file = &p->file;
    struct http_pieces answer = {.content_type =
                                     file->name.segment ? "video/mp2t" : k_types[file->name.format],
                                 .cache_control = "private, max-age=3600",
                                 .whole_bytes = file->size_bytes,
                                 .want = on_want,
                                 .done = on_over,
                                 .arg = p};
    char etag[64];

    snprintf(etag, sizeof etag, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"", file->inode,
             file->size_bytes, (uint64_t)file->mtime_ns);
    answer.etag = etag;
    http_respond_pieces(p->x, &answer); /* last: p may be gone */
}

static void refuse(struct play *p, enum err e)
{
    const char *why = e == E_NOT_FOUND ? "no such record, or it is not finished" : err_text(e);

    http_log_refused(p->x, p->nl->node, "play", "record", &p->file.stream, why);
    http_respond_problem(p->x, e == E_NOT_FOUND ? 404 : 503, "%s", why);
}

static void on_open(struct record_play *file)
{
    struct play *p = list_entry(file, struct play, file);

    p->is_reading = false;
    if (p->x && file->result == E_OK && !admit(p)) {
        play_free(p);
        return;
    }
    if (p->x && file->result == E_OK && file->size_bytes && is_list(&file->name) &&
        access_is_personal(p->nl->node, ACCESS_PLAY, &file->stream)) {
        file->done = on_list_piece;
        read_list(p);
        return;
    }
    file->done = on_piece;
    if (p->x && file->result == E_OK) {
        respond(p);
        return;
    }
    if (p->x)
        refuse(p, file->result);
    play_free(p);
}

static void begin(struct http_exchange *x, struct node_loop *nl, const struct stream_name *stream,
                  const struct record_name *name, const char *session)
{
    struct play *p = nl->n_record_plays < MAX_PLAYS ? calloc(1, sizeof *p) : NULL;

    if (!p) {
        http_log_refused(x, nl->node, "play", "record", stream,
                         "too many records are being played");
        http_add_header(x, "Retry-After", "2");
        http_respond_problem(x, 503, "too many records are being played");
        return;
    }
    nl->n_record_plays++;
    p->nl = nl;
    p->x = x;
    snprintf(p->session, sizeof p->session, "%s", session);
    buf_writer_init(&p->list, MAX_LIST_BYTES);
    p->file.msg.drop = on_drop;
    p->file.loop = nl->media.loop;
    p->file.stream = *stream;
    p->file.name = *name;
    p->file.fd = -1;
    p->file.done = on_open;
    http_set_pending(x, on_gone, p);
    ask(p);
}

/* False: answered. */
static bool read_path(struct http_exchange *x, const struct node_loop *nl,
                      struct stream_name *stream, struct record_name *name)
{
    const char *why;

    if (!nl->node->record)
        http_respond_problem(x, 404, "nothing is recorded here (record.dir)");
    else if (record_path_split(http_path_arg(x, "path"), stream, name, &why) != E_OK)
        http_respond_problem(x, 404, "%s", why);
    else
        return true;
    return false;
}

/* A segment whose playlist was given to somebody who may play it. */
static bool has_grant(struct http_exchange *x, const struct node_loop *nl,
                      const struct stream_name *stream, const struct record_name *name)
{
    const char *session = http_query_arg(x, "session"), *grant = http_query_arg(x, GRANT_ARG);

    return name->segment && session && grant &&
           access_grant_check(&nl->node->access->grants, GRANT_PIECES, stream->text, session, grant,
                              now_s()) == E_OK;
}

/* The records of a stream are asked for by its name: under another one it is another request. */
static void send_to(struct http_exchange *x, const struct stream_name *stream)
{
    struct buf_writer location;

    buf_writer_init(&location, REDIRECT_MAX_BYTES);
    buf_write_str(&location, RECORDS_PREFIX);
    http_percent_encode(buf_view_str(stream->text), &location);
    http_percent_encode(buf_view_str(strrchr(http_path(x), '/')), &location);
    (void)redirect_to(x, &location);
}

static void go_on(struct http_exchange *x, struct node_loop *nl, const struct access_answer *answer)
{
    struct stream_name stream;
    struct record_name name;

    if (answer->is_renamed)
        send_to(x, &answer->name);
    else if (read_path(x, nl, &stream, &name))
        begin(x, nl, &stream, &name, answer->session);
}

void http_record_handle(struct http_exchange *x, void *arg)
{
    struct node_loop *nl = arg;
    struct access_request request;
    struct access_answer answer;
    struct stream_name stream;
    struct record_name name;
    char session[SESSION_ID_SIZE];

    if (!read_path(x, nl, &stream, &name))
        return;
    session_id_make(session, 'v');
    http_access_request(x, ACCESS_PLAY, &stream, "record", &request);
    request.session = session;
    request.goes_on = has_grant(x, nl, &stream, &name);
    if (http_ask_access(x, nl, &request, &answer, go_on))
        go_on(x, nl, &answer);
}
