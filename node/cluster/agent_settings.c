/* Settings and the schedulers: what they have is asked for when an event or the answer to a
 * heartbeat says that there is more than here; then what they lack is brought. One call at a time.
 */
#include "node/cluster/agent_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/settings_sync.h"

static void go_on(struct agent *agent);

/* --- what they have --- */

static void on_got(void *arg, const struct http_reply *http)
{
    struct agent *agent = arg;
    struct agent_settings *a = &agent->settings;
    struct cluster_settings m = {0};
    struct cluster_error error = {""};
    char text[PROBLEM_SIZE];

    a->call = NULL;
    a->wants_sync = false;
    if (http->e != E_OK || http->status != 200 ||
        cluster_settings_decode(http->body, &m, &error) != E_OK) {
        log_warn("cluster", "msg=\"no settings from the scheduler\" server=%s why=%s",
                 LOG_STR(http->server),
                 LOG_STR(*error.text ? error.text : agent_reply_problem(http, text)));
        go_on(agent); /* the next heartbeat asks again */
        return;
    }
    if (m.run != a->run) /* what came is the beginning of everything */
        settings_forget_told(agent->node->settings);
    settings_merge(agent->node->settings, &m);
    a->run = m.run;
    a->seq = m.seq;
    a->wants_sync = m.more;
    a->wants_round = true;
    cluster_settings_fini(&m);
    go_on(agent);
}

static bool ask(struct agent *agent)
{
    struct agent_settings *a = &agent->settings;
    char path[96];

    snprintf(path, sizeof path, "/v1/settings?run=%" PRIu64 "&since=%" PRIu64, a->run, a->seq);
    a->call = http_client_call(a->client, "GET", path, NULL, on_got, agent);
    return a->call != NULL;
}

/* --- what they lack --- */

static void end_round(struct agent *agent)
{
    agent->settings.in_round = false;
    settings_round_end(agent->node->settings);
}

static void on_put(void *arg, const struct http_reply *http)
{
    struct agent *agent = arg;
    struct agent_settings *a = &agent->settings;
    bool is_taken = http->e == E_OK && http->status == 200;
    bool is_refused = http->e == E_OK && (http->status == 400 || http->status == 413);
    char text[PROBLEM_SIZE];

    a->call = NULL;
    if (!is_taken)
        log_warn("cluster",
                 "msg=\"the scheduler does not have what was told here\" server=%s why=%s",
                 LOG_STR(http->server), LOG_STR(agent_reply_problem(http, text)));
    if (is_taken || is_refused) /* it will not be wiser the next time */
        settings_told(agent->node->settings, &a->batch);
    else
        a->is_behind = true;
    cluster_settings_fini(&a->batch);
    if (!is_taken && !is_refused)
        end_round(agent);
    go_on(agent);
}

/* False: there is nothing left, or it cannot be sent. */
static bool put(struct agent *agent)
{
    struct agent_settings *a = &agent->settings;
    struct cluster_settings head = {0};
    struct buf_writer json;

    if (settings_untold(agent->node->settings, CLUSTER_PART_SETTINGS, &a->batch) != E_OK)
        return false;
    buf_writer_init(&json, SETTINGS_MAX_BYTES);
    cluster_settings_begin(&head, &json);
    for (size_t i = 0; i < a->batch.n_settings; i++)
        cluster_settings_add(&a->batch.settings[i], i == 0, &json);
    cluster_settings_end(&json);
    buf_write_u8(&json, 0);
    if (a->batch.n_settings && buf_writer_status(&json) == E_OK)
        a->call = http_client_call(a->client, "POST", "/v1/settings", (const char *)json.data,
                                   on_put, agent);
    buf_writer_fini(&json);
    if (!a->call)
        cluster_settings_fini(&a->batch);
    return a->call != NULL;
}

/* --- what is next --- */

static void go_on(struct agent *agent)
{
    struct agent_settings *a = &agent->settings;

    if (a->call || (a->wants_sync && ask(agent)))
        return;
    if (!a->in_round && a->wants_round) {
        a->wants_round = a->is_behind = false;
        a->in_round = true;
        settings_round_begin(agent->node->settings);
    }
    if (a->in_round && !put(agent))
        end_round(agent);
}

/* Without a scheduler who waits is answered at once: it is in force here, and is brought later. */
static void on_wanted(void *arg)
{
    struct agent *agent = arg;
    struct agent_settings *a = &agent->settings;

    if (agent->link == LINK_UP && a->is_known) {
        a->wants_round = true;
        go_on(agent);
    } else if (!a->in_round) {
        a->is_behind = true;
        settings_round_begin(agent->node->settings);
        settings_round_end(agent->node->settings);
    }
}

void agent_settings_on_beat(struct agent *agent, const struct cluster_heartbeat_reply *reply,
                            const char *server)
{
    struct agent_settings *a = &agent->settings;

    a->is_known = reply->settings_run != 0; /* a scheduler of the release before has none */
    if (!a->is_known)
        return;
    http_client_prefer(a->client, server);
    a->wants_sync = a->wants_sync || reply->settings_run != a->run || reply->settings_seq != a->seq;
    a->wants_round = a->wants_round || a->is_behind;
    go_on(agent);
}

void agent_settings_on_event(struct agent *agent)
{
    agent->settings.wants_sync = agent->settings.is_known;
    go_on(agent);
}

void agent_settings_init(struct agent *agent)
{
    settings_set_cluster(agent->node->settings, on_wanted, agent);
}

void agent_settings_fini(struct agent *agent)
{
    settings_set_cluster(agent->node->settings, NULL, NULL);
    http_call_cancel(&agent->settings.call);
    cluster_settings_fini(&agent->settings.batch);
    http_client_destroy(&agent->settings.client);
}
