/* What both directions do alike: media_link.c. */
#ifndef HW_TESTS_TOOLS_MEDIA_LINK_PRIVATE_H
#define HW_TESTS_TOOLS_MEDIA_LINK_PRIVATE_H

#include "proto/rtmp/rtmp.h"
#include "tests/tools/media_link.h"

struct media_link {
    struct media_link_conf conf; /* a copy */
    struct load_target target;   /* likewise: a redirect changes it */
    struct conn *conn;           /* NULL: could not be begun, for dial_errno */
    int dial_errno;
    struct rtmp_client *rtmp; /* owned; RTMP */
    struct buf_writer out;    /* of one write; empty between two */
    struct timer timer;       /* looks for silence */
    int64_t active_us;        /* when the server last said or took something */
    size_t left_bytes;        /* queued at the last look */
    bool is_publishing;       /* accepted */
    bool is_over;
    char why[320];
};

/* Dials, and begins with RTMP's handshake or HTTP's request. E_INVAL, E_NOMEM. What else goes wrong
 * comes by on_end. Pair with media_link_fini(), whatever it gives. */
enum err media_link_dial(struct media_link *link, const struct media_link_conf *conf, bool publish,
                         const struct conn_ops *ops, void *arg);
void media_link_fini(struct media_link *link);
/* Sends what is in link->out. */
enum err media_link_flush(struct media_link *link);
/* on_end, once. what may be NULL: the error's own text. */
void media_link_over(struct media_link *link, enum err e, const char *what);
/* The next event. E_AGAIN: no more; else it is over already. */
enum err media_link_feed(struct media_link *link, struct buf_reader *in,
                         struct rtmp_client_event *event);
/* A REFUSED or ENDED. */
void media_link_refused(struct media_link *link, const struct rtmp_client_event *event);

#endif
