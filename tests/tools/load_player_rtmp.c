/* RTMP players. */
#include "tests/tools/load_player_private.h"

static enum err rtmp_open(struct load_player *p)
{
    p->rtmp =
        load_rtmp_open(p->group->shared, p->conn, &p->group->target, load_player_index(p), false);
    return p->rtmp ? E_OK : E_IO;
}

static enum err rtmp_feed(struct load_player *p, struct buf_reader *in)
{
    struct rtmp_client_event event;
    enum err e;

    while ((e = load_rtmp_feed(p->group->shared, p->conn, p->rtmp, in, &event)) == E_OK) {
        if (event.type == RTMP_CLIENT_MEDIA)
            load_player_take(p, event.media_type, event.timestamp_ms, event.body);
        if (event.type == RTMP_CLIENT_ENDED || event.type == RTMP_CLIENT_REFUSED) {
            p->why = load_rtmp_why(p->group->shared, &event);
            return E_END;
        }
    }
    if (e == E_PROTO || e == E_TOO_BIG)
        p->why = rtmp_client_error(p->rtmp);
    return e;
}

static void rtmp_close(struct load_player *p)
{
    rtmp_client_destroy(&p->rtmp);
}

const struct load_transport k_load_rtmp = {rtmp_open, rtmp_feed, rtmp_close};
