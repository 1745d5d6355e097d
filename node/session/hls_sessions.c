/* See hls_sessions.h. A session lives on the loop that saw it first; others find it under a lock,
 * and change counters alone. */
#include "node/session/hls_sessions.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/session/session.h"

#define LOOK_MS 500
#define AWAY_TARGETS 2 /* players ask for a playlist once a target duration, at least */
#define CLIENT_KEY_SIZE 24
#define HEX_DIGITS "0123456789abcdef"

struct hls_sessions {
    pthread_mutex_t lock;
    struct map by_id;     /* borrows struct hls_session */
    struct map by_client; /* likewise: the latest one of an address and user agent */
    struct node *node;
};

struct hls_session {
    struct session_info info;
    struct node_loop *nl;
    struct timer timer;
    struct hls_channel *channel; /* under the lock; owned reference: where it counts as viewer */
    int64_t used_us;             /* under the lock */
    _Atomic uint64_t bytes_out;
    bool is_kicked; /* under the lock: it stays for as long as its player asks, and gets nothing */
    char client[CLIENT_KEY_SIZE];
    char peer[ADDR_TEXT_SIZE];
    char stream[]; /* its name, for info */
};

struct hls_sessions *hls_sessions_create(struct node *node)
{
    struct hls_sessions *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    map_init(&s->by_id);
    map_init(&s->by_client);
    s->node = node;
    return s;
}

/* --- who is who --- */

/* The address without its port, and the user agent. */
static uint64_t client_hash(struct http_exchange *x)
{
    const char *peer = http_peer(x), *agent = http_header(x, "User-Agent");
    const char *port = strrchr(peer, ':');
    char text[512];
    int n = snprintf(text, sizeof text, "%.*s %s", port ? (int)(port - peer) : (int)strlen(peer),
                     peer, agent ? agent : "");

    return map_hash(text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

static void client_key(struct http_exchange *x, char key[CLIENT_KEY_SIZE])
{
    snprintf(key, CLIENT_KEY_SIZE, "%016llx", (unsigned long long)client_hash(x));
}

static void format_id(uint64_t number, char id[HLS_SESSION_ID_SIZE])
{
    snprintf(id, HLS_SESSION_ID_SIZE, "h-%012llx", (unsigned long long)(number >> 16));
}

static bool is_id(const char *text)
{
    return strlen(text) == HLS_SESSION_ID_SIZE - 2 && !strncmp(text, "h-", 2) &&
           strspn(text + 2, HEX_DIGITS) == HLS_SESSION_ID_SIZE - 4;
}

void hls_session_id(struct http_exchange *x, bool fresh, char id[HLS_SESSION_ID_SIZE])
{
    const char *said = http_query_arg(x, "session");

    if (said && is_id(said))
        snprintf(id, HLS_SESSION_ID_SIZE, "%s", said);
    else
        format_id(fresh ? random_u64() : client_hash(x), id);
}

/* --- the end --- */

/* Under the lock. */
static void forget(struct hls_sessions *all, struct hls_session *s)
{
    (void)map_remove(&all->by_id, s->info.id);
    if (map_get(&all->by_client, s->client) == s)
        (void)map_remove(&all->by_client, s->client);
}

/* Under the lock: the channel where it counts as a viewer; the old one is the caller's to let go.
 */
static struct hls_channel *move_to(struct hls_session *s, struct hls_channel *channel)
{
    struct hls_channel *old = s->channel;

    if (old == channel)
        return NULL;
    if (old)
        hls_channel_count_viewer(old, -1);
    if (channel)
        hls_channel_count_viewer(hls_channel_ref(channel), 1);
    s->channel = channel;
    return old;
}

static void say_end(const struct hls_session *s, const char *why)
{
    log_info(s->info.protocol,
             "msg=closed session=%s peer=%s kind=play stream=%s bytes_out=%llu reason=\"%s\"",
             s->info.id, s->info.peer, s->info.stream,
             (unsigned long long)atomic_load_explicit(&s->bytes_out, memory_order_relaxed), why);
}

/* The viewer is no longer counted. Its loop; not under the lock. */
static void leave(struct hls_session *s, const char *why)
{
    struct hls_sessions *all = s->nl->node->hls_sessions;
    struct hls_channel *channel;

    say_end(s, why);
    pthread_mutex_lock(&all->lock);
    channel = move_to(s, NULL);
    pthread_mutex_unlock(&all->lock);
    hls_channel_unref(&channel);
    metric_add(&m_bytes_out_hls,
               (int64_t)atomic_load_explicit(&s->bytes_out, memory_order_relaxed));
    session_info_fini(&s->info, &s->nl->media);
    admission_give(s->nl->node);
}

/* Under the lock. A node that drains does not wait for who has gone on elsewhere. */
static int64_t idle_limit_us(const struct hls_session *s)
{
    int64_t idle_us = s->nl->node->hls_conf.idle_us, away_us;
    struct hls_snapshot *snapshot;

    if (!s->channel || !atomic_load(&s->nl->node->draining))
        return idle_us;
    snapshot = hls_channel_look(s->channel);
    away_us = AWAY_TARGETS * snapshot->target_us;
    hls_snapshot_unref(&snapshot);
    return away_us && away_us < idle_us ? away_us : idle_us;
}

static void on_look(struct timer *timer)
{
    struct hls_session *s = list_entry(timer, struct hls_session, timer);
    struct hls_sessions *all = s->nl->node->hls_sessions;
    bool is_idle;

    pthread_mutex_lock(&all->lock);
    is_idle = clock_mono_us() - s->used_us >= idle_limit_us(s);
    if (is_idle)
        forget(all, s);
    pthread_mutex_unlock(&all->lock);
    if (!is_idle) {
        timer_start_ms(&s->timer, LOOK_MS);
        return;
    }
    if (!s->is_kicked)
        leave(s, "nothing was asked for any more");
    free(s);
}

/* It is remembered, or the next request of its player would begin it again. */
static void session_kick(struct session_info *info)
{
    struct hls_session *s = list_entry(info, struct hls_session, info);
    struct hls_sessions *all = s->nl->node->hls_sessions;
    bool is_closing = s->nl->closed;

    pthread_mutex_lock(&all->lock);
    s->is_kicked = true;
    if (is_closing)
        forget(all, s);
    pthread_mutex_unlock(&all->lock);
    leave(s, sessions_kick_reason(s->nl));
    if (!is_closing)
        return;
    timer_stop(&s->timer);
    free(s);
}

void hls_sessions_destroy(struct hls_sessions **sessions)
{
    struct hls_sessions *all = *sessions;
    struct map_cursor cursor = {0};
    const char *key;
    void *value;

    *sessions = NULL;
    if (!all)
        return;
    while (map_next(&all->by_id, &cursor, &key, &value)) { /* kicked ones, or too late */
        struct hls_session *s = value;

        timer_stop(&s->timer);
        hls_channel_unref(&s->channel);
        free(s);
    }
    map_fini(&all->by_id);
    map_fini(&all->by_client);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

/* --- the beginning --- */

static void session_count(const struct session_info *info, struct session_counts *counts)
{
    const struct hls_session *s =
        (const struct hls_session *)(const void *)((const char *)info -
                                                   offsetof(struct hls_session, info));

    counts->bytes_out = atomic_load_explicit(&s->bytes_out, memory_order_relaxed);
}

static struct hls_session *make(struct node_loop *nl, struct http_exchange *x, const char *id,
                                const struct stream_name *name)
{
    size_t name_size = strlen(name->text) + 1;
    struct hls_session *s = calloc(1, sizeof *s + name_size);

    if (!s)
        return NULL;
    s->nl = nl;
    memcpy(s->stream, name->text, name_size);
    snprintf(s->peer, sizeof s->peer, "%s", http_peer(x));
    client_key(x, s->client);
    session_info_init(&s->info, &nl->media, 'h', "hls", s->peer);
    snprintf(s->info.id, sizeof s->info.id, "%s", id);
    s->info.kind = "play";
    s->info.stream = s->stream;
    s->info.count = session_count;
    s->info.kick = session_kick;
    timer_init(&s->timer, nl->media.loop, on_look);
    timer_start_ms(&s->timer, LOOK_MS);
    metric_add(&m_sessions_total_hls_play, 1);
    log_info("hls", "msg=play session=%s peer=%s stream=%s", s->info.id, s->info.peer,
             s->info.stream);
    return s;
}

/* Under the lock. NULL: not let in, for *why. */
static struct hls_session *enter(struct hls_sessions *all, struct node_loop *nl,
                                 struct http_exchange *x, const char *id,
                                 const struct stream_name *name, const char **why)
{
    struct hls_session *s;

    *why = admission_take(nl->node);
    if (*why)
        return NULL;
    s = make(nl, x, id, name);
    if (s && map_set(&all->by_id, id, s) == E_OK)
        return s;
    if (s) {
        timer_stop(&s->timer);
        session_info_fini(&s->info, &nl->media);
    }
    free(s);
    admission_give(nl->node);
    *why = err_text(E_NOMEM);
    return NULL;
}

enum hls_welcome hls_session_ask(struct node_loop *nl, struct http_exchange *x, const char *id,
                                 const struct stream_name *name, struct hls_channel *channel,
                                 const char **why)
{
    struct hls_sessions *all = nl->node->hls_sessions;
    enum hls_welcome welcome = HLS_TURNED_AWAY;
    struct hls_channel *old = NULL;
    struct hls_session *s;

    pthread_mutex_lock(&all->lock);
    s = map_get(&all->by_id, id);
    if (s && s->is_kicked) {
        s->used_us = clock_mono_us();
        welcome = HLS_KICKED;
        *why = "closed by the operator";
    } else if (s || (s = enter(all, nl, x, id, name, why))) {
        welcome = HLS_WELCOME;
        s->used_us = clock_mono_us();
        old = move_to(s, channel);
        (void)map_set(&all->by_client, s->client, s);
    }
    pthread_mutex_unlock(&all->lock);
    hls_channel_unref(&old);
    return welcome;
}

void hls_session_count(struct node_loop *nl, struct http_exchange *x, const char *id,
                       uint64_t bytes)
{
    struct hls_sessions *all = nl->node->hls_sessions;
    char key[CLIENT_KEY_SIZE];
    struct hls_session *s;

    client_key(x, key);
    pthread_mutex_lock(&all->lock);
    s = id ? map_get(&all->by_id, id) : map_get(&all->by_client, key);
    if (s && !s->is_kicked) {
        s->used_us = clock_mono_us();
        atomic_fetch_add_explicit(&s->bytes_out, bytes, memory_order_relaxed);
    }
    pthread_mutex_unlock(&all->lock);
    if (!s)
        metric_add(&m_bytes_out_hls, (int64_t)bytes);
}
