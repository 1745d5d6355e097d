/* Connecting, RTMP's side of it, silence. */
#include "tests/tools/media_link_private.h"

#include <errno.h>
#include <string.h>

#define LOOK_MS 100
#define MAX_OUT_BYTES (32u << 20) /* of one write: a frame with its chunk headers */

enum err media_link_flush(struct media_link *link)
{
    enum err e = buf_writer_status(&link->out);

    if (e == E_OK && link->out.used_bytes)
        e = conn_write(link->conn, buf_writer_view(&link->out));
    buf_writer_clear(&link->out);
    return e;
}

void media_link_over(struct media_link *link, enum err e, const char *what)
{
    const char *tls = link->conn ? conn_tls_error(link->conn) : "";
    const char *system = e == E_IO && errno ? strerror(errno) : err_text(e);

    if (link->is_over)
        return;
    link->is_over = true;
    timer_stop(&link->timer);
    if (link->conn)
        conn_set_reading(link->conn, false);
    snprintf(link->why, sizeof link->why, "%s (%s): %s", link->target.url,
             link->conn ? conn_peer(link->conn) : link->target.host,
             *tls   ? tls
             : what ? what
                    : system);
    link->conf.ops->on_end(link->conf.arg, e, link->why);
}

/* A queue that grows shorter counts as a word from the server. */
static void on_look(struct timer *timer)
{
    struct media_link *link = list_entry(timer, struct media_link, timer);
    int64_t now_us = loop_now_us(link->conf.loop);
    size_t queued_bytes;
    char what[80];

    if (!link->conn) {
        errno = link->dial_errno;
        media_link_over(link, E_IO, NULL);
        return;
    }
    queued_bytes = conn_queued_bytes(link->conn);
    if (queued_bytes < link->left_bytes || (link->is_publishing && !queued_bytes))
        link->active_us = now_us;
    link->left_bytes = queued_bytes;
    timer_start_ms(timer, LOOK_MS);
    if (now_us < link->active_us + link->conf.timeout_ms * 1000)
        return;
    snprintf(what, sizeof what, "%s for %.1f s",
             queued_bytes ? "takes nothing of what is sent" : "says nothing",
             (double)link->conf.timeout_ms / 1e3);
    media_link_over(link, E_TIMEOUT, what);
}

static struct rtmp_client *make_client(const struct load_target *target, bool publish)
{
    struct load_rtmp_name name;
    struct rtmp_client_conf conf = {.publish = publish,
                                    .app = name.app,
                                    .stream = name.stream,
                                    .tc_url = name.tc_url,
                                    .limits = k_rtmp_limits_default};
    uint8_t random[RTMP_SEED_BYTES];

    if (load_target_rtmp(target, 0, &name) != E_OK)
        return NULL;
    random_bytes(random, sizeof random);
    return rtmp_client_create(&conf, random);
}

/* What a client says first. */
static enum err write_first(struct media_link *link, bool publish)
{
    if (link->target.is_http)
        return load_target_http(&link->target, 0, &link->out);
    link->rtmp = make_client(&link->target, publish);
    if (!link->rtmp)
        return E_NOMEM;
    rtmp_client_start(link->rtmp, &link->out);
    return E_OK;
}

enum err media_link_dial(struct media_link *link, const struct media_link_conf *conf, bool publish,
                         const struct conn_ops *ops, void *arg)
{
    const struct load_target *target = conf->target;
    enum err e;

    link->conf = *conf;
    link->target = *target;
    link->conf.target = &link->target;
    buf_writer_init(&link->out, MAX_OUT_BYTES);
    timer_init(&link->timer, conf->loop, on_look);
    link->active_us = loop_now_us(conf->loop);
    timer_start_ms(&link->timer, LOOK_MS);
    e = write_first(link, publish);
    if (e != E_OK)
        return e;
    errno = 0;
    link->conn = load_dial(conf->loop, target, 0, ops, arg);
    if (link->conn && media_link_flush(link) == E_OK)
        return E_OK;
    link->dial_errno = errno; /* nobody listens, on this machine */
    conn_close(&link->conn);
    timer_start_ms(&link->timer, 0);
    return E_OK;
}

void media_link_fini(struct media_link *link)
{
    timer_stop(&link->timer);
    rtmp_client_destroy(&link->rtmp);
    conn_close(&link->conn);
    buf_writer_fini(&link->out);
}

enum err media_link_feed(struct media_link *link, struct buf_reader *in,
                         struct rtmp_client_event *event)
{
    uint32_t now_ms = (uint32_t)(loop_now_us(link->conf.loop) / 1000);
    enum err e = rtmp_client_feed(link->rtmp, in, now_ms, event, &link->out);
    enum err sent = media_link_flush(link);

    if ((e == E_OK || e == E_AGAIN) && sent != E_OK)
        media_link_over(link, sent, NULL);
    else if (e != E_OK && e != E_AGAIN)
        media_link_over(link, e, rtmp_client_error(link->rtmp));
    else
        return e;
    return E_CLOSED;
}

void media_link_refused(struct media_link *link, const struct rtmp_client_event *event)
{
    char what[256];

    if (event->type == RTMP_CLIENT_ENDED) {
        media_link_over(link, E_END, "the server ended the stream");
        return;
    }
    snprintf(what, sizeof what, "%.*s%s%.*s", (int)event->code.size_bytes,
             (const char *)event->code.data, event->description.size_bytes ? ": " : "",
             (int)event->description.size_bytes, (const char *)event->description.data);
    media_link_over(link, E_DENIED, what[0] ? what : "refused");
}
