/* Pulls and pushes as they were told, with how they are: made, counted, shown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/relay/relays_private.h"
#include "proto/http/http.h"

#define MAX_SHOWN_RUNS 100

struct relay_pull *relay_pull_ref(struct relay_pull *pull)
{
    atomic_fetch_add_explicit(&pull->refs, 1, memory_order_relaxed);
    return pull;
}

void relay_pull_unref(struct relay_pull **pull)
{
    struct relay_pull *gone = *pull;

    *pull = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    conf_free(&k_pull_item_schema, &gone->item);
    relay_status_fini(&gone->status);
    free(gone);
}

#define FORGET_US (2 * RELAY_ORDER_MAX_US) /* longer than any pause */

void relay_pull_remember(struct relay_pull *pull, const struct relay_memory *memory)
{
    pthread_mutex_lock(&pull->status.lock);
    pull->memory = *memory;
    pthread_mutex_unlock(&pull->status.lock);
}

bool relay_pull_recall(struct relay_pull *pull, int64_t now_us, struct relay_memory *out)
{
    pthread_mutex_lock(&pull->status.lock);
    *out = pull->memory;
    pthread_mutex_unlock(&pull->status.lock);
    return out->is_set && (pull->item.mode == PULL_ALWAYS || now_us - out->at_us < FORGET_US);
}

struct relay_push *relay_push_ref(struct relay_push *push)
{
    atomic_fetch_add_explicit(&push->refs, 1, memory_order_relaxed);
    return push;
}

void relay_push_unref(struct relay_push **push)
{
    struct relay_push *gone = *push;

    *push = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    conf_free(&k_push_item_schema, &gone->item);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
}

bool relay_pull_is_kept(const struct node *node, const struct relay_pull *pull)
{
    const char *where = pull->item.node;

    if (pull->item.mode != PULL_ALWAYS || atomic_load(&node->is_replaced))
        return false;
    return *where ? !strcmp(where, node->id) : pull->origin == RELAY_OF_CONF || !node->agent;
}

bool relay_pull_has_failed(struct relay_pull *pull)
{
    struct relay_facts facts;

    relay_status_read(&pull->status, &facts);
    return facts.state == RELAY_FAILED;
}

bool relay_push_has_failed(struct relay_push *push)
{
    struct list *at, *tmp;
    bool failed = false;

    pthread_mutex_lock(&push->lock);
    list_for_each_safe(at, tmp, &push->runs) {
        struct relay_facts facts;

        relay_status_read(&list_entry(at, struct relay_run, node)->status, &facts);
        failed |= facts.state == RELAY_FAILED;
    }
    pthread_mutex_unlock(&push->lock);
    return failed;
}

/* --- as the API shows them --- */

static void set_time(json_t *json, const char *key, int64_t wall_us)
{
    json_object_set_new(json, key,
                        wall_us ? json_real((double)(wall_us / 1000) / 1000) : json_null());
}

static void add_facts(json_t *json, const struct relay_facts *facts)
{
    json_object_set_new(json, "state", json_string(k_relay_states[facts->state]));
    set_time(json, "since", facts->since_us);
    json_object_set_new(json, "tries", json_integer((json_int_t)facts->n_tries));
    json_object_set_new(json, "current_url", *facts->url ? json_string(facts->url) : json_null());
    json_object_set_new(json, "session",
                        *facts->session ? json_string(facts->session) : json_null());
    json_object_set_new(json, "last_error",
                        *facts->last_error ? json_string(facts->last_error) : json_null());
    set_time(json, "last_error_at", facts->last_error_us);
}

static json_t *masked(const char *url)
{
    char shown[RELAY_SHOWN_SIZE];

    url_mask(url, shown, sizeof shown);
    return json_string(shown);
}

static const char *const k_origins[] = {
    [RELAY_OF_CONF] = "config", [RELAY_OF_API] = "api", [RELAY_OF_HOOK] = "hook"};

json_t *relay_pull_json(struct relay_pull *pull)
{
    json_t *json = conf_item_to_json(&k_pull_item_schema, &pull->item), *urls = json_array();
    struct relay_facts facts;

    if (!json || !urls) {
        json_decref(json);
        json_decref(urls);
        return NULL;
    }
    for (size_t i = 0; i < pull->item.urls.n_items; i++)
        json_array_append_new(urls, masked(pull->item.urls.items[i]));
    json_object_set_new(json, "urls", urls);
    json_object_set_new(json, "origin", json_string(k_origins[pull->origin]));
    relay_status_read(&pull->status, &facts);
    add_facts(json, &facts);
    return json;
}

struct shown_run {
    struct stream_name name;
    struct relay_facts facts;
};

/* Media loops take the lock, too: JSON is made behind it. Returns how many there are. */
static size_t read_runs(struct relay_push *push, struct shown_run out[MAX_SHOWN_RUNS])
{
    struct list *at, *tmp;
    size_t n = 0;

    pthread_mutex_lock(&push->lock);
    list_for_each_safe(at, tmp, &push->runs) {
        struct relay_run *run = list_entry(at, struct relay_run, node);

        if (n == MAX_SHOWN_RUNS)
            break;
        out[n].name = run->name;
        relay_status_read(&run->status, &out[n++].facts);
    }
    pthread_mutex_unlock(&push->lock);
    return n;
}

static json_t *runs_json(struct relay_push *push)
{
    struct shown_run *runs = malloc(MAX_SHOWN_RUNS * sizeof *runs);
    size_t n = runs ? read_runs(push, runs) : 0;
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *json = json_pack("{s:s}", "stream", runs[i].name.text);

        add_facts(json, &runs[i].facts);
        json_array_append_new(list, json);
    }
    free(runs);
    return list;
}

/* That of the run that is worst off; "idle" without any. */
static enum relay_state state_of(const json_t *runs)
{
    enum relay_state worst = RELAY_IDLE;

    for (size_t i = 0; i < json_array_size(runs); i++) {
        const char *text = json_string_value(json_object_get(json_array_get(runs, i), "state"));

        for (int s = 0; text && s < RELAY_N_STATES; s++)
            if (!strcmp(k_relay_states[s], text) && (worst == RELAY_IDLE || s > (int)worst))
                worst = (enum relay_state)s;
    }
    return worst;
}

json_t *relay_push_json(struct relay_push *push)
{
    json_t *json = conf_item_to_json(&k_push_item_schema, &push->item), *runs;

    if (!json)
        return NULL;
    runs = runs_json(push);
    json_object_set_new(json, "url", masked(push->item.url));
    json_object_set_new(json, "id", json_string(push->id));
    json_object_set_new(json, "origin", json_string(k_origins[push->origin]));
    json_object_set_new(json, "state", json_string(k_relay_states[state_of(runs)]));
    json_object_set_new(json, "streams", runs);
    return json;
}
