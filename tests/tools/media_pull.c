/* A stream from a server: whatever the protocol, its bytes go through a media_input. */
#include <errno.h>
#include <stdlib.h>

#include "tests/tools/media_answer.h"
#include "tests/tools/media_link_private.h"

#define MAX_REDIRECTS 5u

struct media_pull {
    struct media_link link;
    struct media_answer answer; /* HTTP */
    struct media_input *input;  /* owned; HTTP: once the answer is there */
    char url[LOAD_URL_SIZE];    /* of a redirect */
    unsigned n_redirects;
};

static void read_tags(struct media_pull *p)
{
    struct media_tag tag;
    enum err e;

    while (!p->link.is_over && (e = media_input_next(p->input, &tag)) != E_AGAIN) {
        if (e == E_OK)
            p->link.conf.ops->on_tag(p->link.conf.arg, &tag);
        else if (e == E_END)
            media_link_over(&p->link, e, "the stream ended");
        else
            media_link_over(&p->link, e, media_input_why(p->input));
    }
}

/* --- RTMP --- */

static void feed_rtmp(struct media_pull *p, struct buf_reader *in)
{
    struct rtmp_client_event event;

    while (!p->link.is_over && media_link_feed(&p->link, in, &event) == E_OK) {
        if (event.type == RTMP_CLIENT_STARTED) {
            if (p->link.conf.ops->on_started)
                p->link.conf.ops->on_started(p->link.conf.arg);
        } else if (event.type == RTMP_CLIENT_MEDIA) {
            media_input_give_message(p->input, event.media_type, event.timestamp_ms, event.body);
            read_tags(p);
        } else {
            media_link_refused(&p->link, &event);
        }
    }
}

/* --- HTTP --- */

static const struct conn_ops k_ops;

/* The answer is done with; its connection, too. */
static void follow(struct media_pull *p)
{
    struct media_link_conf conf = p->link.conf;
    struct load_target target;
    const char *why = "too many redirects";
    struct buf_view location = buf_view_str(p->answer.location);
    char text[LOAD_URL_SIZE];

    if (++p->n_redirects > MAX_REDIRECTS || !buf_view_to_str(location, text, sizeof text) ||
        load_target_init(&target, text, &why) != E_OK || !target.is_http) {
        media_link_over(&p->link, E_DENIED, why);
        return;
    }
    snprintf(p->url, sizeof p->url, "%s", text);
    target.url = p->url;
    conf.target = &target;
    media_link_fini(&p->link);
    media_answer_fini(&p->answer);
    media_answer_init(&p->answer);
    if (media_link_dial(&p->link, &conf, false, &k_ops, p) != E_OK)
        media_link_over(&p->link, E_INVAL, "a redirect to nowhere");
}

static void on_answer(struct media_pull *p)
{
    p->input = media_input_create(p->link.target.url, p->answer.container);
    if (!p->input)
        media_link_over(&p->link, E_NOMEM, NULL);
    else if (p->link.conf.ops->on_started)
        p->link.conf.ops->on_started(p->link.conf.arg);
}

static void end_body(struct media_pull *p)
{
    if (!p->input) {
        media_link_over(&p->link, E_END, "an empty answer");
        return;
    }
    media_input_end(p->input);
    read_tags(p);
}

static void feed_http(struct media_pull *p, struct buf_reader *in)
{
    struct buf_view piece;
    enum err e = E_OK;

    while (!p->link.is_over && (e = media_answer_next(&p->answer, in, &piece)) == E_OK) {
        if (!p->input)
            on_answer(p);
        if (p->input) {
            media_input_give(p->input, piece);
            read_tags(p);
        }
    }
    if (p->link.is_over || e == E_AGAIN)
        return;
    if (e == E_END)
        end_body(p);
    else if (e == E_DENIED && p->answer.status / 100 == 3 && p->answer.location[0])
        follow(p);
    else
        media_link_over(&p->link, e, p->answer.why);
}

/* --- the connection --- */

static void on_closed(struct media_pull *p, enum err e)
{
    if (e == E_CLOSED && p->answer.status == 200 && p->answer.body.kind == HTTP_BODY_UNTIL_CLOSE)
        end_body(p);
    else
        media_link_over(&p->link, e, e == E_CLOSED ? "closed in the middle of the stream" : NULL);
}

static void on_readable(struct conn *conn, void *arg)
{
    struct media_pull *p = arg;
    struct media_link *link = &p->link;
    unsigned n_redirects = p->n_redirects; /* one more: conn is gone */
    struct buf_view got;
    enum err e = E_OK;

    errno = 0;
    while (!link->is_over && n_redirects == p->n_redirects && (e = conn_read(conn, &got)) == E_OK) {
        struct buf_reader in = buf_reader_from(got);

        link->active_us = loop_now_us(link->conf.loop);
        if (link->conf.dump)
            (void)fwrite(got.data, 1, got.size_bytes, link->conf.dump);
        if (link->target.is_http)
            feed_http(p, &in);
        else
            feed_rtmp(p, &in);
    }
    if (!link->is_over && n_redirects == p->n_redirects && e != E_AGAIN)
        on_closed(p, e);
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    struct media_pull *p = arg;

    (void)conn;
    media_link_over(&p->link, e, NULL);
}

static const struct conn_ops k_ops = {.on_readable = on_readable, .on_error = on_error};

/* --- life --- */

struct media_pull *media_pull_open(const struct media_link_conf *conf)
{
    struct media_pull *p = calloc(1, sizeof *p);
    enum err e;

    if (!p)
        return NULL;
    media_answer_init(&p->answer);
    e = media_link_dial(&p->link, conf, false, &k_ops, p);
    if (e == E_OK && !conf->target->is_http &&
        !(p->input = media_input_create(conf->target->url, CONTAINER_RTMP)))
        e = E_NOMEM;
    if (e != E_OK)
        media_pull_close(&p);
    return p;
}

void media_pull_close(struct media_pull **pull)
{
    struct media_pull *p = *pull;

    if (!p)
        return;
    media_link_fini(&p->link);
    media_answer_fini(&p->answer);
    media_input_close(&p->input);
    free(p);
    *pull = NULL;
}

const struct media_input *media_pull_input(const struct media_pull *pull)
{
    return pull->input;
}
