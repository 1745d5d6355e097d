/* Players that come over a WebSocket (RFC 6455): the same streams, each unit a binary message. What
 * they say is only looked at for pings and the end. */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/session/http_play.h"

/* No player has anything to say; some send a hello. */
#define MAX_MESSAGE_BYTES 4096

struct play_ws {
    struct ws_decoder decoder;
    char accept[WS_ACCEPT_SIZE];
    const char *subprotocol; /* static, or NULL */
};

/* Names that players in browsers offer; whoever offers one wants to hear it again. */
static const char *const k_subprotocols[] = {"flv", "mpegts", "mp4", "binary", NULL};

/* RFC 6455, section 10.2: what keeps pages of other sites away, since browsers ask no server before
 * they open a WebSocket. Each of the fields counts, should there be several. */
static bool is_from_allowed_site(const struct http_head *head, const struct node_conf *conf)
{
    for (unsigned i = 0; i < head->n_fields; i++)
        if (buf_view_equals_nocase(head->fields[i].name, "origin") &&
            !node_conf_allows_origin(conf, head->fields[i].value))
            return false;
    return true;
}

bool play_ws_check(struct http_exchange *x, const struct node *node, struct play_request *r)
{
    struct http_error error = {0};
    struct http_head head;
    enum err e;

    if (!r->form->websocket)
        return true;
    http_request_head(x, &head);
    if (!is_from_allowed_site(&head, &node->conf)) {
        metric_add(&m_play_refused_origin, 1);
        http_respond_problem(x, 403, "pages of this site may not play here (websocket.origins)");
        return false;
    }
    e = ws_accept(&head, r->accept, &error);
    if (e == E_OK) {
        r->subprotocol = ws_pick_protocol(&head, k_subprotocols);
        return true;
    }
    if (e == E_PROTO && error.status == 426)
        http_add_header(x, "Sec-WebSocket-Version", "13");
    metric_add(&m_protocol_error_ws, e == E_PROTO);
    http_respond_problem(x, e == E_PROTO ? error.status : 503, "%s",
                         e == E_PROTO ? error.text : err_text(e));
    return false;
}

enum err play_ws_begin(struct play_session *s, const struct play_request *r)
{
    s->ws = calloc(1, sizeof *s->ws);
    if (!s->ws)
        return E_NOMEM;
    ws_decoder_init(&s->ws->decoder, MAX_MESSAGE_BYTES);
    memcpy(s->ws->accept, r->accept, sizeof s->ws->accept);
    s->ws->subprotocol = r->subprotocol;
    return E_OK;
}

void play_ws_drop(struct play_session *s)
{
    if (s->ws)
        ws_decoder_fini(&s->ws->decoder);
    free(s->ws);
    s->ws = NULL;
}

void play_ws_write_fields(const struct play_session *s, struct buf_writer *head)
{
    buf_printf(head, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
               s->ws->accept);
    if (s->ws->subprotocol)
        buf_printf(head, "Sec-WebSocket-Protocol: %s\r\n", s->ws->subprotocol);
}

static enum err say(struct play_session *s, void (*write)(struct buf_writer *, const void *),
                    const void *arg)
{
    struct buf_writer frame;
    enum err e;

    buf_writer_init(&frame, 2 + WS_MAX_CONTROL_BYTES);
    write(&frame, arg);
    e = buf_writer_status(&frame);
    if (e == E_OK)
        e = viewer_write(&s->viewer, buf_writer_view(&frame));
    buf_writer_fini(&frame);
    return e;
}

struct goodbye {
    unsigned code;
    const char *why;
};

static void write_pong(struct buf_writer *out, const void *arg)
{
    ws_write_control(out, WS_PONG, *(const struct buf_view *)arg);
}

static void write_goodbye(struct buf_writer *out, const void *arg)
{
    const struct goodbye *bye = arg;

    ws_write_close(out, bye->code, bye->why);
}

void play_ws_say_end(struct play_session *s, unsigned close_code, const char *why)
{
    struct goodbye bye = {close_code, why};

    (void)say(s, write_goodbye, &bye);
}

static void on_fault(struct play_session *s)
{
    const struct ws_fault *fault = &s->ws->decoder.fault;

    metric_add(&m_protocol_error_ws, 1);
    log_warn(s->info.protocol, "msg=\"broken WebSocket\" session=%s peer=%s reason=%s", s->info.id,
             s->info.peer, LOG_STR(fault->text));
    s->flush_at_close = viewer_leave_whole(&s->viewer) == E_OK;
    if (s->flush_at_close) {
        struct buf_writer frame;

        buf_writer_init(&frame, 2 + WS_MAX_CONTROL_BYTES);
        ws_write_close(&frame, fault->close_code, fault->text);
        (void)conn_write(s->conn, buf_writer_view(&frame));
        buf_writer_fini(&frame);
    }
    play_session_close(s, fault->text);
}

static void on_goodbye(struct play_session *s, const struct ws_message *message)
{
    struct buf_writer frame;

    s->flush_at_close = viewer_leave_whole(&s->viewer) == E_OK;
    buf_writer_init(&frame, 2 + WS_MAX_CONTROL_BYTES);
    ws_write_close(&frame, message->close_code, "");
    if (s->flush_at_close)
        (void)conn_write(s->conn, buf_writer_view(&frame));
    buf_writer_fini(&frame);
    play_session_close(s, "closed by the peer");
}

bool play_ws_feed(struct play_session *s, struct buf_view bytes)
{
    struct buf_reader in = buf_reader_from(bytes);
    struct ws_message message;
    enum err e;

    while ((e = ws_decoder_feed(&s->ws->decoder, &in, &message)) == E_OK) {
        if (message.opcode == WS_CLOSE) {
            on_goodbye(s, &message);
            return false;
        }
        if (message.opcode == WS_PING && (e = say(s, write_pong, &message.payload)) != E_OK) {
            play_session_close(s, err_text(e));
            return false;
        }
    }
    if (e == E_AGAIN)
        return true;
    on_fault(s);
    return false;
}
