/* A stream to an RTMP server. */
#include <errno.h>
#include <stdlib.h>

#include "tests/tools/media_link_private.h"

#define FINISH_MS 10
#define GOODBYE_US 300000 /* so long the server may take to close */

struct media_push {
    struct media_link link;
    struct timer finish;
    int64_t sent_us; /* all was taken; 0 = not yet */
};

static void on_finish(struct timer *timer)
{
    struct media_push *p = list_entry(timer, struct media_push, finish);
    int64_t now_us = loop_now_us(p->link.conf.loop);

    if (!p->sent_us && !conn_queued_bytes(p->link.conn))
        p->sent_us = now_us;
    if (p->sent_us && now_us >= p->sent_us + GOODBYE_US)
        media_link_over(&p->link, E_END, "all was sent");
    else
        timer_start_ms(timer, FINISH_MS);
}

static void on_readable(struct conn *conn, void *arg)
{
    struct media_push *p = arg;
    struct media_link *link = &p->link;
    struct rtmp_client_event event;
    struct buf_view got;
    enum err e = E_OK;

    errno = 0;
    while (!link->is_over && (e = conn_read(conn, &got)) == E_OK) {
        struct buf_reader in = buf_reader_from(got);

        link->active_us = loop_now_us(link->conf.loop);
        while (!link->is_over && media_link_feed(link, &in, &event) == E_OK) {
            if (event.type != RTMP_CLIENT_STARTED) {
                media_link_refused(link, &event);
                continue;
            }
            link->is_publishing = true;
            link->conf.ops->on_started(link->conf.arg);
        }
    }
    if (link->is_over || e == E_AGAIN)
        return;
    if (p->sent_us)
        media_link_over(link, E_END, "all was sent");
    else
        media_link_over(link, e, NULL);
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    struct media_push *p = arg;

    (void)conn;
    media_link_over(&p->link, e, NULL);
}

static const struct conn_ops k_ops = {.on_readable = on_readable, .on_error = on_error};

struct media_push *media_push_open(const struct media_link_conf *conf)
{
    struct media_push *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    timer_init(&p->finish, conf->loop, on_finish);
    if (media_link_dial(&p->link, conf, true, &k_ops, p) != E_OK)
        media_push_close(&p);
    return p;
}

void media_push_close(struct media_push **push)
{
    struct media_push *p = *push;

    if (!p)
        return;
    timer_stop(&p->finish);
    media_link_fini(&p->link);
    free(p);
    *push = NULL;
}

enum err media_push_write(struct media_push *p, uint8_t type_id, uint32_t time_ms,
                          struct buf_view body)
{
    enum err e;

    rtmp_client_write_media(p->link.rtmp, type_id, time_ms, body, &p->link.out);
    e = media_link_flush(&p->link);
    if (e != E_OK)
        p->link.is_over = true;
    return e;
}

size_t media_push_queued_bytes(const struct media_push *p)
{
    return conn_queued_bytes(p->link.conn);
}

void media_push_finish(struct media_push *p)
{
    rtmp_client_stop(p->link.rtmp, &p->link.out);
    if (media_link_flush(&p->link) != E_OK)
        media_link_over(&p->link, E_CLOSED, NULL);
    else
        timer_start_ms(&p->finish, 0);
}
