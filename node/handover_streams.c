/* While two processes of a node are there: which streams are published in the other one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/handover_private.h"

static char k_present;

/* --- what the old process says --- */

void handover_on_relay(struct handover *h, const char *url, int *fd)
{
    (void)fd;
    pthread_mutex_lock(&h->lock);
    snprintf(h->peer_url, sizeof h->peer_url, "%.*s", CLUSTER_URL_SIZE - 1, url);
    pthread_mutex_unlock(&h->lock);
}

void handover_note_stream(struct handover *h, const char *name, bool published)
{
    pthread_mutex_lock(&h->lock);
    if (published)
        (void)map_set(&h->streams, name, &k_present); /* out of memory: it is not pulled */
    else
        map_remove(&h->streams, name);
    pthread_mutex_unlock(&h->lock);
}

void handover_on_stream(struct handover *h, const char *name, int *fd)
{
    (void)fd;
    handover_note_stream(h, name, true);
}

void handover_on_ended(struct handover *h, const char *name, int *fd)
{
    (void)fd;
    handover_note_stream(h, name, false);
}

/* --- what the rest of the node asks --- */

bool handover_upstream(struct node *node, const char *name, char url[CLUSTER_URL_SIZE],
                       char id[CLUSTER_ID_SIZE])
{
    struct handover *h = node->handover;
    bool found;

    if (!h)
        return false;
    pthread_mutex_lock(&h->lock);
    found = h->peer_url[0] && (h->state == HANDOVER_REPLACED ||
                               (h->state == HANDOVER_AFTER && map_get(&h->streams, name)));
    if (found) {
        memcpy(url, h->peer_url, sizeof h->peer_url);
        memcpy(id, h->peer_id, sizeof h->peer_id);
    }
    pthread_mutex_unlock(&h->lock);
    return found;
}

bool handover_is_old(const struct node *node, const char *id)
{
    struct handover *h = node->handover;
    bool is_old;

    if (!h)
        return false;
    pthread_mutex_lock(&h->lock);
    is_old = h->state == HANDOVER_AFTER && strcmp(h->peer_id, id) == 0;
    pthread_mutex_unlock(&h->lock);
    return is_old;
}

/* --- what happens to streams here --- */

struct change {
    struct loop_msg msg;
    struct handover *h;
    bool published;
    char name[STREAM_NAME_SIZE];
};

static void free_change(struct loop_msg *msg)
{
    free(list_entry(msg, struct change, msg));
}

static void on_change(struct loop_msg *msg)
{
    struct change *c = list_entry(msg, struct change, msg);

    if (c->h->state == HANDOVER_REPLACED)
        handover_old_changed(c->h, c->name, c->published);
    else if (c->h->state == HANDOVER_AFTER && c->published)
        handover_say(c->h, "fence", c->name, -1);
    free(c);
}

static bool is_shared(struct handover *h)
{
    bool shared;

    pthread_mutex_lock(&h->lock);
    shared = h->state == HANDOVER_REPLACED || h->state == HANDOVER_AFTER;
    pthread_mutex_unlock(&h->lock);
    return shared;
}

void handover_stream_changed(struct node *node, struct stream *stream)
{
    struct handover *h = node->handover;
    struct stream_info info;
    struct change *c = h && is_shared(h) ? calloc(1, sizeof *c) : NULL;

    if (!c)
        return; /* out of memory: the other process finds out by itself, a little later */
    stream_get_info(stream, &info);
    c->msg.run = on_change;
    c->msg.drop = free_change;
    c->h = h;
    c->published = info.live && info.kind == SOURCE_PUBLISHER;
    memcpy(c->name, info.name.text, sizeof c->name);
    loop_post(node->control, &c->msg);
}
