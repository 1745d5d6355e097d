/* The process that is replaced: it gives its listening sockets, and drains once the new one serves.
 * Until then nothing has changed for it: should the new one fail, it goes on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/cluster/home.h"
#include "node/control/admin.h"
#include "node/control/gather.h"
#include "node/control/settings_sync.h"
#include "node/handover_private.h"
#include "node/session/session.h"

#define READY_MS 60000 /* the new process opens files and threads */

/* --- giving --- */

static void give_listener(struct handover *h, const char *name, const struct listener *listener)
{
    int fds[HANDOVER_MAX_FDS];
    unsigned n = listener_fds(listener, fds, HANDOVER_MAX_FDS);

    for (unsigned i = 0; i < n && i < HANDOVER_MAX_FDS; i++)
        handover_say(h, "listener", name, fds[i]);
}

void handover_on_take(struct handover *h, const char *argument, int *fd)
{
    struct node *node = h->node;
    char text[CLUSTER_ID_SIZE + 24];

    (void)argument, (void)fd;
    if (node->drain.has_begun) {
        handover_say(h, "no", "that process is draining", -1);
        return;
    }
    for (unsigned i = 0; i < node->n_loops; i++)
        for (unsigned k = 0; k < N_PROTOCOLS; k++)
            give_listener(h, k_protocols[k].name, node->loops[i].listeners[k]);
    if (node->admin)
        give_listener(h, "admin", admin_listener(node->admin));
    handover_say(h, "listener", "handover", fd_link_listener_fd(h->listener));
    snprintf(text, sizeof text, "%s %" PRIu64, node->id, node->instance);
    handover_say(h, "node", text, -1);
    log_info("handover", "msg=\"a new process has the listeners; waiting until it serves\"");
    handover_set_state(h, HANDOVER_GIVEN);
    timer_start_ms(&h->timer, READY_MS);
}

/* --- leaving --- */

struct leave { /* walks the media loops */
    struct handover *h;
    struct addr relay_addr;
    struct buf_writer names; /* of streams published here, zero-terminated */
};

static void note_published(struct stream *stream, void *arg)
{
    struct leave *leave = arg;
    struct stream_info info;

    stream_get_info(stream, &info);
    if (info.live && info.kind == SOURCE_PUBLISHER)
        buf_write(&leave->names, info.name.text, strlen(info.name.text) + 1);
}

/* Connections come to the new process from now on; it alone has to reach this one. */
static void leave_loop(struct media_loop *ml, void *arg)
{
    struct leave *leave = arg;
    struct node_loop *nl = ml->owner;
    struct listen_error why;

    for (unsigned i = 0; i < N_PROTOCOLS; i++)
        listener_close(&nl->listeners[i]);
    if (leave->relay_addr.size_bytes && !nl->closed) /* it may stop at the same time */
        nl->relay_listener =
            listener_open(ml->loop, &leave->relay_addr, http_session_accept, nl, &why);
    gather_each_stream(ml, note_published, leave);
}

/* Other nodes reach the new process where they reached this one, so they lose nothing by going when
 * this process is not the one that the encoder is connected to. */
static void let_relays_go(struct media_loop *ml, void *arg)
{
    struct handover *h = arg;
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &ml->sessions) {
        struct session_info *info = list_entry(node, struct session_info, node);
        bool is_relay = !strcmp(info->protocol, "relay") && !strcmp(info->kind, "play");
        bool is_ours;

        if (!is_relay)
            continue;
        pthread_mutex_lock(&h->lock);
        is_ours = map_get(&h->streams, info->stream) != NULL;
        pthread_mutex_unlock(&h->lock);
        if (!is_ours)
            info->kick(info);
    }
}

static void nothing(void *arg)
{
    (void)arg;
}

void handover_old_changed(struct handover *h, const char *name, bool published)
{
    handover_note_stream(h, name, published);
    handover_say(h, published ? "stream" : "ended", name, -1);
    if (!published)
        (void)gather(h->node, let_relays_go, nothing, h);
}

static void on_left(void *arg)
{
    struct leave *leave = arg;
    struct handover *h = leave->h;
    char url[CLUSTER_URL_SIZE], text[ADDR_TEXT_SIZE];

    if (leave->relay_addr.size_bytes) {
        snprintf(url, sizeof url, "http://%s", addr_format(&leave->relay_addr, text));
        handover_say(h, "relay", url, -1);
    }
    for (size_t at = 0; at < leave->names.used_bytes;) {
        const char *name = (const char *)leave->names.data + at;

        handover_note_stream(h, name, true);
        handover_say(h, "stream", name, -1);
        at += strlen(name) + 1;
    }
    (void)gather(h->node, let_relays_go, nothing, h);
    node_drain_left(h->node);
    buf_writer_fini(&leave->names);
    free(leave);
}

static void leave_to_peer(struct handover *h)
{
    struct leave *leave = calloc(1, sizeof *leave);
    struct listen_error why;
    int hold_fd = -1;

    if (!leave) {
        log_error("handover", "msg=\"out of memory: what is published here cannot be pulled\"");
        node_drain_left(h->node);
        return;
    }
    leave->h = h;
    buf_writer_init(&leave->names, SIZE_MAX);
    if (listen_reserve("handover", "127.0.0.1:0", &leave->relay_addr, &hold_fd, &why) != E_OK)
        log_error("handover", "msg=\"%s\"", why.text);
    if (gather(h->node, leave_loop, on_left, leave) != E_OK)
        on_left(leave);
    if (hold_fd >= 0)
        close(hold_fd);
}

/* Where the new process serves: the same socket, seen from this machine. */
static void set_peer(struct handover *h)
{
    const struct node *node = h->node;
    const struct addr *http = &node->bound[PROTOCOL_HTTP];
    char text[ADDR_TEXT_SIZE];

    pthread_mutex_lock(&h->lock);
    h->state = HANDOVER_REPLACED;
    snprintf(h->peer_id, sizeof h->peer_id, "%s", node->id);
    if (addr_is_wildcard(http))
        snprintf(h->peer_url, sizeof h->peer_url, "http://127.0.0.1:%u", addr_port(http));
    else if (http->size_bytes)
        snprintf(h->peer_url, sizeof h->peer_url, "http://%s", addr_format(http, text));
    pthread_mutex_unlock(&h->lock);
}

/* Two processes of one id would look like a loop to each other. To schedulers it stays (id,
 * instance). */
static void rename_node(struct node *node)
{
    node_stand_still(node);
    node->id[strnlen(node->id, sizeof node->id - sizeof HANDOVER_OLD_SUFFIX)] = '\0';
    strcat(node->id, HANDOVER_OLD_SUFFIX);
    node_go_on(node);
}

void handover_on_ready(struct handover *h, const char *argument, int *fd)
{
    struct node *node = h->node;

    (void)argument, (void)fd;
    timer_stop(&h->timer);
    fd_link_listener_close(&h->listener);
    if (node->admin)
        admin_stop_listening(node->admin);
    settings_keep_no_more(node->settings);
    handover_say(h, "kept", "", -1);
    set_peer(h);
    rename_node(node);
    log_info("handover", "msg=\"another process serves in place of this one\" now=%s", node->id);
    node_drain(node, DRAIN_REPLACED);
    leave_to_peer(h);
}

/* The encoder has gone over to the new process. What it was here goes on by pulling from there. */
void handover_on_fence(struct handover *h, const char *text, int *fd)
{
    char path[STREAM_NAME_SIZE + 1];
    struct stream_name name;
    const char *why;

    (void)fd;
    snprintf(path, sizeof path, "/%.*s", STREAM_NAME_SIZE - 1, text);
    if (stream_name_from_path(&name, buf_view_str(path), &why) == E_OK)
        home_post(h->node, HOME_FENCE, &name, UINT64_MAX, h->peer_id);
}
