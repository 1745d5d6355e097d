/* See hls_sessions.h. A session lives on the loop that saw it first; others find it under a lock,
 * and change counters alone. */
#include "node/session/hls_sessions.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/session/http_asked.h"
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
    char address[ADDR_KEY_SIZE];
    char peer[ADDR_TEXT_SIZE];
    char words[]; /* for info */
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

/* The first is the one that the session began with. */
static bool is_rendition(struct hls *hls, const char *first, const struct stream_name *name)
{
    struct stream_name base = hls_base_of(hls, name), began;
    char path[STREAM_NAME_SIZE + 1];
    const char *why;

    snprintf(path, sizeof path, "/%s", first);
    if (stream_name_from_path(&began, buf_view_str(path), &why) != E_OK)
        return false;
    began = hls_base_of(hls, &began);
    return !strcmp(began.text, base.text);
}

/* --- who has the same id --- */

struct seen { /* of the session of an id */
    bool is_there, is_kicked, is_same_address;
    char first[STREAM_NAME_SIZE]; /* the stream that it began with */
};

static struct seen see(struct node_loop *nl, const struct http_exchange *x, const char *id)
{
    struct hls_sessions *all = nl->node->hls_sessions;
    struct seen seen = {.is_there = false};
    char address[ADDR_KEY_SIZE];
    const struct hls_session *s;

    addr_client_key(http_peer_addr(x), address);
    pthread_mutex_lock(&all->lock);
    s = map_get(&all->by_id, id);
    if (s) {
        seen.is_there = true;
        seen.is_kicked = s->is_kicked;
        seen.is_same_address = !strcmp(s->address, address);
        snprintf(seen.first, sizeof seen.first, "%s", s->info.stream);
    }
    pthread_mutex_unlock(&all->lock);
    return seen;
}

/* Of another viewer with this id. */
static void other_id(struct node_loop *nl, const struct http_exchange *x, const char *id,
                     const struct stream_name *name, char out[HLS_SESSION_ID_SIZE])
{
    struct stream_name base = hls_base_of(nl->node->hls, name);
    char text[HLS_SESSION_ID_SIZE + ADDR_KEY_SIZE + STREAM_NAME_SIZE], address[ADDR_KEY_SIZE];
    int n = snprintf(text, sizeof text, "%s %s %s", id, addr_client_key(http_peer_addr(x), address),
                     base.text);

    format_id(map_hash(text, (size_t)n), out);
}

/* An id is one viewer's: one address, one stream. Whoever has it from somebody else (the address of
 * a playlist is easily passed on), or for another stream, is a viewer of his own, or limits would
 * count all of them as one. But what an operator has ended has ended for all who have the id. */
static void own_id(struct node_loop *nl, const struct http_exchange *x, const char *id,
                   const struct stream_name *name, char out[HLS_SESSION_ID_SIZE])
{
    struct seen seen = see(nl, x, id);

    snprintf(out, HLS_SESSION_ID_SIZE, "%s", id);
    if (seen.is_kicked || (seen.is_same_address && !strcmp(seen.first, name->text)))
        return;
    other_id(nl, x, id, name, out);
    if (see(nl, x, out).is_there || (seen.is_there && !seen.is_same_address) ||
        (seen.is_there && !is_rendition(nl->node->hls, seen.first, name)))
        return;
    snprintf(out, HLS_SESSION_ID_SIZE, "%s", id);
}

bool hls_session_is_known(struct node_loop *nl, const struct http_exchange *x, const char *id,
                          const struct stream_name *name)
{
    struct seen seen = see(nl, x, id);
    char own[HLS_SESSION_ID_SIZE];

    if (seen.is_there && is_rendition(nl->node->hls, seen.first, name))
        return true; /* a viewer's address may change on the way */
    if (!is_id(id))
        return false;
    own_id(nl, x, id, name, own);
    return strcmp(own, id) != 0 && see(nl, x, own).is_there;
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
    log_info(
        s->info.protocol,
        "msg=closed session=%s trace=%s peer=%s kind=play stream=%s bytes_out=%llu reason=\"%s\"",
        s->info.id, SESSION_TRACE(&s->info), s->info.peer, s->info.stream,
        (unsigned long long)atomic_load_explicit(&s->bytes_out, memory_order_relaxed), why);
}

/* The viewer is no longer counted. Its loop; not under the lock. */
static void leave(struct hls_session *s, const char *why)
{
    struct hls_sessions *all = s->nl->node->hls_sessions;
    struct hls_channel *channel;

    say_end(s, why);
    session_tell(s->nl->node, EVENT_PLAY_DONE, &s->info, why);
    pthread_mutex_lock(&all->lock);
    channel = move_to(s, NULL);
    pthread_mutex_unlock(&all->lock);
    hls_channel_unref(&channel);
    metric_add(&m_bytes_out_hls,
               (int64_t)atomic_load_explicit(&s->bytes_out, memory_order_relaxed));
    session_info_fini(&s->info, &s->nl->media);
    admission_give(s->nl->node, &s->info.pass);
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
    const struct hls_session *s = list_entry_const(info, struct hls_session, info);

    counts->bytes_out = atomic_load_explicit(&s->bytes_out, memory_order_relaxed);
    counts->trace = words_trace(info);
}

static struct hls_session *make(struct node_loop *nl, struct http_exchange *x, const char *id,
                                const struct stream_name *name, const struct pass *pass)
{
    struct hls_session *s;
    struct words words;

    http_words(x, nl->node, name, &words);
    (void)traceparent_parse(http_header(x, "traceparent"), &words.trace);
    s = calloc(1, sizeof *s + words_size(&words));
    if (!s)
        return NULL;
    s->nl = nl;
    snprintf(s->peer, sizeof s->peer, "%s", http_peer(x));
    client_key(x, s->client);
    addr_client_key(http_peer_addr(x), s->address);
    session_info_init(&s->info, &nl->media, '\0', "hls", s->peer);
    snprintf(s->info.id, sizeof s->info.id, "%s", id);
    s->info.kind = "play";
    s->info.pass = *pass;
    words_put(&words, &s->info, s->words);
    s->info.count = session_count;
    s->info.kick = session_kick;
    timer_init(&s->timer, nl->media.loop, on_look);
    timer_start_ms(&s->timer, LOOK_MS);
    return s;
}

/* Its loop; not under the lock. */
static void say_play(const struct hls_session *s)
{
    metric_add(&m_sessions_total_hls_play, 1);
    log_info("hls", "msg=play session=%s trace=%s peer=%s stream=%s", s->info.id,
             SESSION_TRACE(&s->info), s->info.peer, s->info.stream);
    session_tell(s->nl->node, EVENT_PLAY, &s->info, NULL);
}

/* Under the lock. NULL: not let in, for *no. */
static struct hls_session *enter(struct hls_sessions *all, struct node_loop *nl,
                                 struct http_exchange *x, const char *id,
                                 const struct stream_name *name, struct admission_refusal *no)
{
    struct admission_ask ask = {ADMISSION_HLS_VIEWER, http_peer_addr(x), name};
    struct pass pass = {0};
    struct hls_session *s;

    if (!admission_take(nl->node, &ask, &pass, no))
        return NULL;
    s = make(nl, x, id, name, &pass);
    if (s && map_set(&all->by_id, id, s) == E_OK)
        return s;
    if (s) {
        timer_stop(&s->timer);
        session_info_fini(&s->info, &nl->media);
    }
    free(s);
    admission_give(nl->node, &pass);
    *no = (struct admission_refusal){.why = err_text(E_NOMEM), .status = 503};
    snprintf(no->text, sizeof no->text, "%s", no->why);
    return NULL;
}

enum hls_welcome hls_session_ask(struct node_loop *nl, struct http_exchange *x, const char *id,
                                 const struct stream_name *name, struct hls_channel *channel,
                                 struct admission_refusal *no)
{
    struct hls_sessions *all = nl->node->hls_sessions;
    enum hls_welcome welcome = HLS_TURNED_AWAY;
    struct hls_channel *old = NULL;
    struct hls_session *s, *fresh = NULL;
    char own[HLS_SESSION_ID_SIZE];

    own_id(nl, x, id, name, own);
    pthread_mutex_lock(&all->lock);
    s = map_get(&all->by_id, own);
    if (s && s->is_kicked) {
        s->used_us = clock_mono_us();
        welcome = HLS_KICKED;
        no->why = "closed by the operator";
    } else if (s || (s = fresh = enter(all, nl, x, own, name, no))) {
        welcome = HLS_WELCOME;
        s->used_us = clock_mono_us();
        old = move_to(s, channel);
        (void)map_set(&all->by_client, s->client, s);
    }
    pthread_mutex_unlock(&all->lock);
    hls_channel_unref(&old);
    if (fresh) /* it is this loop's */
        say_play(fresh);
    return welcome;
}

bool hls_session_count(struct node_loop *nl, struct http_exchange *x, const char *id,
                       const struct stream_name *name, uint64_t bytes)
{
    struct hls_sessions *all = nl->node->hls_sessions;
    char key[CLIENT_KEY_SIZE], own[HLS_SESSION_ID_SIZE] = "";
    struct hls_session *s;
    bool is_kicked;

    client_key(x, key);
    if (id)
        own_id(nl, x, id, name, own);
    pthread_mutex_lock(&all->lock);
    s = map_get(id ? &all->by_id : &all->by_client, id ? own : key);
    if (!s && id) /* who asks for playlists from another address */
        s = map_get(&all->by_id, id);
    is_kicked = s && s->is_kicked;
    if (s)
        s->used_us = clock_mono_us();
    if (s && !is_kicked)
        atomic_fetch_add_explicit(&s->bytes_out, bytes, memory_order_relaxed);
    pthread_mutex_unlock(&all->lock);
    if (!s)
        metric_add(&m_bytes_out_hls, (int64_t)bytes);
    return !is_kicked;
}
