/* Replacing a process: the link between the two, and the new one's side. They say lines of a word
 * and its argument to each other:
 *
 *   new                           old
 *   take 1                        "1" is the version of this table
 *                                 listener <name>, once a socket, with its descriptor
 *                                 node <id> <instance>: that was all; or: no <reason>
 *   ready: it serves
 *                                 kept: state.file has the last that it was told
 *                                 relay <url>: where it can be pulled from
 *                                 stream <name>: it has a publisher; ended <name>: not any more
 *   fence <name>: a publisher came
 *                                 (the process ends, and the link with it) */
#include "node/handover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/control/settings_sync.h"
#include "node/handover_private.h"

#define TAKE_MS 5000 /* both are local, and neither has to wait for anything */
#define BIT(state) (1u << (state))

void handover_set_state(struct handover *h, enum handover_state state)
{
    pthread_mutex_lock(&h->lock);
    h->state = state;
    pthread_mutex_unlock(&h->lock);
}

void handover_say(struct handover *h, const char *word, const char *argument, int fd)
{
    char line[STREAM_NAME_SIZE + CLUSTER_URL_SIZE];
    int size = snprintf(line, sizeof line, "%s %s", word, argument);
    enum err e;

    if (!h->link || size <= 0 || (size_t)size >= sizeof line)
        return;
    e = fd_link_send(h->link, buf_view_of(line, (size_t)size), fd);
    if (e == E_TOO_BIG || e == E_NOMEM)
        fd_link_close(&h->link); /* else on_end() follows, and before it what the peer still said */
}

/* --- the new process: taking --- */

static void on_listener(struct handover *h, const char *name, int *fd)
{
    struct inherited *in = &h->inherited[h->n_inherited];

    if (*fd < 0 || h->n_inherited == sizeof h->inherited / sizeof h->inherited[0])
        return;
    snprintf(in->name, sizeof in->name, "%.15s", name);
    in->fd = *fd;
    *fd = -1;
    h->n_inherited++;
}

static void on_node(struct handover *h, const char *argument, int *fd)
{
    struct node *node = h->node;
    char id[CLUSTER_ID_SIZE] = "";
    uint64_t instance = 0;

    (void)fd;
    if (sscanf(argument, "%64s %" SCNu64, id, &instance) != 2 || !cluster_id_is_valid(id)) {
        snprintf(h->why, sizeof h->why, "it said \"node %.40s\"", argument);
        return;
    }
    if (node->conf.cluster_node_id[0] && strcmp(node->conf.cluster_node_id, id) != 0) {
        snprintf(h->why, sizeof h->why, "the process there is node %s, cluster.node_id is %.64s",
                 id, node->conf.cluster_node_id);
        return;
    }
    memcpy(node->id, id, sizeof node->id);
    node->replaces = instance;
    snprintf(h->peer_id, sizeof h->peer_id, "%.*s" HANDOVER_OLD_SUFFIX,
             (int)(sizeof h->peer_id - sizeof HANDOVER_OLD_SUFFIX), id);
    handover_set_state(h, HANDOVER_AFTER);
}

static void on_no(struct handover *h, const char *reason, int *fd)
{
    (void)fd;
    snprintf(h->why, sizeof h->why, "%.120s", reason);
}

static void on_kept(struct handover *h, const char *argument, int *fd)
{
    const char *path = h->node->conf.state_file;

    (void)argument, (void)fd;
    if (*path)
        settings_keep_also(h->node->settings, path);
}

/* host:port of a configuration against where a socket listens; port 0 fits any. */
static bool is_address(const char *text, const struct addr *bound)
{
    struct listen_error ignored;
    struct addr wanted;
    char a[ADDR_TEXT_SIZE], b[ADDR_TEXT_SIZE];

    if (listen_resolve("", text, &wanted, &ignored) != E_OK)
        return false;
    addr_format(&wanted, a);
    addr_format(bound, b);
    if (addr_port(&wanted) == 0)
        *strrchr(a, ':') = *strrchr(b, ':') = '\0';
    return strcmp(a, b) == 0;
}

unsigned handover_take_fds(struct node *node, const char *name, const char *text,
                           struct addr *bound, int *fds)
{
    struct handover *h = node->handover;
    unsigned n = 0;

    for (unsigned i = 0; h && i < h->n_inherited; i++) {
        struct inherited *in = &h->inherited[i];
        struct addr addr = {.size_bytes = sizeof addr.storage};

        if (in->fd < 0 || strcmp(in->name, name) != 0)
            continue;
        if (n < HANDOVER_MAX_FDS && getsockname(in->fd, &addr.storage.any, &addr.size_bytes) == 0 &&
            is_address(text, &addr)) {
            fds[n++] = in->fd;
            *bound = addr;
        } else {
            log_warn("handover", "msg=\"not taken over: its address was changed\" listener=%s",
                     name);
            close(in->fd);
        }
        in->fd = -1;
    }
    return n;
}

static int take_own_socket(struct handover *h)
{
    int fd = -1;

    for (unsigned i = 0; i < h->n_inherited && fd < 0; i++) {
        if (strcmp(h->inherited[i].name, "handover") != 0)
            continue;
        fd = h->inherited[i].fd;
        h->inherited[i].fd = -1;
    }
    return fd;
}

static void drop_inherited(struct handover *h)
{
    for (unsigned i = 0; i < h->n_inherited; i++)
        if (h->inherited[i].fd >= 0)
            close(h->inherited[i].fd);
    h->n_inherited = 0;
}

/* --- the link --- */

static const struct {
    const char *word;
    unsigned states; /* else it is ignored, as are the words of later versions */
    void (*handle)(struct handover *h, const char *argument, int *fd);
} k_words[] = {
    {"take", BIT(HANDOVER_ALONE), handover_on_take},
    {"ready", BIT(HANDOVER_GIVEN), handover_on_ready},
    {"fence", BIT(HANDOVER_REPLACED), handover_on_fence},
    {"listener", BIT(HANDOVER_TAKING), on_listener},
    {"node", BIT(HANDOVER_TAKING), on_node},
    {"no", BIT(HANDOVER_TAKING), on_no},
    {"kept", BIT(HANDOVER_AFTER), on_kept},
    {"relay", BIT(HANDOVER_AFTER), handover_on_relay},
    {"stream", BIT(HANDOVER_AFTER), handover_on_stream},
    {"ended", BIT(HANDOVER_AFTER), handover_on_ended},
};

static void on_line(struct fd_link *link, void *arg, struct buf_view line, int fd)
{
    struct handover *h = arg;
    char text[STREAM_NAME_SIZE + CLUSTER_URL_SIZE], *space;

    (void)link;
    if (!buf_view_to_str(line, text, sizeof text))
        text[0] = '\0';
    space = strchr(text, ' ');
    if (space)
        *space = '\0';
    for (size_t i = 0; i < sizeof k_words / sizeof k_words[0]; i++) {
        if (strcmp(k_words[i].word, text) != 0 || !(k_words[i].states & BIT(h->state)))
            continue;
        k_words[i].handle(h, space ? space + 1 : "", &fd);
        break;
    }
    if (fd >= 0)
        close(fd);
}

/* The other process is gone, or was too slow. */
static void forget_peer(struct handover *h)
{
    timer_stop(&h->timer);
    fd_link_close(&h->link);
    pthread_mutex_lock(&h->lock);
    h->peer_url[0] = '\0';
    if (h->state == HANDOVER_AFTER || h->state == HANDOVER_GIVEN) {
        map_fini(&h->streams);
        map_init(&h->streams);
        h->state = HANDOVER_ALONE;
    }
    pthread_mutex_unlock(&h->lock);
}

static void on_end(struct fd_link *link, void *arg, enum err why)
{
    struct handover *h = arg;

    (void)link;
    if (h->state == HANDOVER_TAKING && !h->why[0])
        snprintf(h->why, sizeof h->why, "it ended the connection (%s)", err_text(why));
    else if (h->state == HANDOVER_AFTER)
        log_info("handover", "msg=\"the process before this one has left\"");
    else if (h->state == HANDOVER_GIVEN)
        log_warn("handover", "msg=\"the new process went before it served: this one goes on\"");
    else if (h->state == HANDOVER_REPLACED)
        log_warn("handover", "msg=\"the new process is gone; this one drains all the same\"");
    forget_peer(h);
}

static const struct fd_link_ops k_link_ops = {on_line, on_end};

static void on_timer(struct timer *timer)
{
    struct handover *h = list_entry(timer, struct handover, timer);

    if (h->state == HANDOVER_TAKING)
        snprintf(h->why, sizeof h->why, "no answer within %d ms", TAKE_MS);
    else if (h->state == HANDOVER_GIVEN)
        log_warn("handover", "msg=\"the new process does not get ready: this one goes on\"");
    forget_peer(h);
}

/* One at a time, and not before the process that this one has replaced is gone. */
static void on_accept(void *arg, int fd)
{
    static const char k_busy[] = "no one process replaces another there already: try again later";
    struct handover *h = arg;
    struct fd_link *link = fd_link_create(h->node->control, fd, &k_link_ops, h);

    if (!h->link) {
        h->link = link;
        timer_start_ms(&h->timer, TAKE_MS); /* for the question */
    } else if (link) {
        (void)fd_link_send(link, buf_view_str(k_busy), -1);
        fd_link_close(&link);
    }
}

/* --- life --- */

static enum err fail(struct node *node, struct conf_error *error, const char *why)
{
    snprintf(error->text, sizeof error->text, "handover.socket: \"%s\": %s",
             node->conf.handover_socket, why);
    return E_INVAL;
}

/* Turns the control loop, which nothing else uses yet, until the sockets are here. */
static enum err take_over(struct handover *h, struct conf_error *error)
{
    struct node *node = h->node;
    enum err e =
        fd_link_connect(node->control, node->conf.handover_socket, &k_link_ops, h, &h->link);

    if (e != E_OK)
        return fail(node, error,
                    e == E_NOT_FOUND ? "no process listens there that could be replaced"
                    : e == E_DENIED  ? "the process there is another user's"
                                     : strerror(errno));
    handover_set_state(h, HANDOVER_TAKING);
    timer_start_ms(&h->timer, TAKE_MS);
    handover_say(h, "take", "1", -1);
    while (h->state == HANDOVER_TAKING && h->link && !h->why[0])
        loop_turn(node->control, true);
    timer_stop(&h->timer);
    return h->state == HANDOVER_AFTER ? E_OK : fail(node, error, h->why);
}

enum err handover_init(struct node *node, bool replace, struct conf_error *error)
{
    struct handover *h;

    if (!node->conf.handover_socket[0]) {
        if (replace)
            snprintf(error->text, sizeof error->text,
                     "handover.socket: not set; --replace needs the one of the running process");
        return replace ? E_INVAL : E_OK;
    }
    h = node->handover = calloc(1, sizeof *h);
    if (!h)
        return E_NOMEM;
    h->node = node;
    pthread_mutex_init(&h->lock, NULL);
    map_init(&h->streams);
    timer_init(&h->timer, node->control, on_timer);
    return replace ? take_over(h, error) : E_OK;
}

void handover_start(struct node *node)
{
    struct handover *h = node->handover;
    enum err e = E_OK;
    int fd;

    if (!h)
        return;
    fd = take_own_socket(h);
    if (fd >= 0)
        h->listener = fd_link_adopt(node->control, fd, on_accept, h);
    else
        e = fd_link_listen(node->control, node->conf.handover_socket, on_accept, h, &h->listener);
    if (!h->listener)
        log_error("handover", "msg=\"cannot listen: --replace will not work\" socket=%s reason=%s",
                  LOG_STR(node->conf.handover_socket),
                  LOG_STR(e == E_BUSY ? "another process listens there" : strerror(errno)));
    drop_inherited(h); /* of listeners that are off in this configuration */
    if (h->state == HANDOVER_AFTER)
        handover_say(h, "ready", "", -1);
}

void handover_fini(struct node *node)
{
    struct handover *h = node->handover;

    node->handover = NULL;
    if (!h)
        return;
    timer_stop(&h->timer);
    if (h->listener && h->state != HANDOVER_GIVEN) /* else the new process listens there, too */
        unlink(node->conf.handover_socket);
    fd_link_listener_close(&h->listener);
    fd_link_close(&h->link);
    drop_inherited(h);
    map_fini(&h->streams);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
