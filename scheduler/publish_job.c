/* Publish requests under way. */
#include "scheduler/publish_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/net/http_client.h"
#include "scheduler/epoch.h"
#include "scheduler/publish.h"
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

#define MAX_TRIES 4 /* the owner changed under us this often: somebody else is faster */

struct publish_job {
    struct publish_jobs *jobs;
    struct http_exchange *x; /* NULL: the node is gone */
    struct cluster_publish request;
    struct list waiting; /* the running job's list of jobs behind it; of a waiting one: its place */
    unsigned n_tries;
    struct http_client *probe;
    char asked[CLUSTER_ID_SIZE];
    uint64_t asked_instance;
    bool owner_is_gone, owner_answered;
};

static void run(struct publish_job *job);

void publish_jobs_init(struct publish_jobs *jobs, struct scheduler *scheduler)
{
    jobs->scheduler = scheduler;
    map_init(&jobs->by_stream);
}

static void free_job(struct publish_job *job)
{
    http_client_destroy(&job->probe);
    free(job);
}

void publish_jobs_fini(struct publish_jobs *jobs)
{
    struct map_cursor cursor = {0};
    const char *name;
    void *value;

    while (map_next(&jobs->by_stream, &cursor, &name, &value)) {
        struct publish_job *job = value;
        struct list *at;

        while ((at = list_pop_front(&job->waiting)))
            free_job(list_entry(at, struct publish_job, waiting));
        free_job(job);
    }
    map_fini(&jobs->by_stream);
}

/* Ends the running job and lets the next one for the stream begin. */
static void finish(struct publish_job *job)
{
    struct publish_jobs *jobs = job->jobs;
    struct list *at = list_pop_front(&job->waiting);
    struct publish_job *next = at ? list_entry(at, struct publish_job, waiting) : NULL;

    if (next) {
        list_init(&next->waiting);
        while ((at = list_pop_front(&job->waiting)))
            list_push_back(&next->waiting, at);
        (void)map_set(&jobs->by_stream, job->request.name.text, next); /* the key is there */
    } else {
        map_remove(&jobs->by_stream, job->request.name.text);
    }
    free_job(job);
    if (next)
        run(next);
}

static void log_decision(const struct publish_job *job, const struct cluster_publish_reply *reply)
{
    static const char *const k_words[] = {"granted", "forwarded", "refused"};

    log_info("publish",
             "msg=\"publish %s\" stream=%s node=%s client=%s epoch=%llu origin=%s reason=%s",
             k_words[reply->decision], job->request.name.text, job->request.node,
             LOG_STR(job->request.client), (unsigned long long)reply->epoch, reply->origin,
             LOG_STR(reply->reason));
}

static void answer(struct publish_job *job, const struct cluster_publish_reply *reply)
{
    static const enum stat k_stats[] = {STAT_PUBLISH_GRANTED, STAT_PUBLISH_FORWARD,
                                        STAT_PUBLISH_REFUSED};
    struct buf_writer json;

    stats_count(k_stats[reply->decision]);
    log_decision(job, reply);
    buf_writer_init(&json, 4096);
    if (!job->x)
        ; /* nobody to tell */
    else if (cluster_publish_reply_encode(reply, &json) == E_OK)
        http_respond(job->x, 200, "application/json", buf_writer_view(&json));
    else
        http_respond_problem(job->x, 503, "out of memory");
    buf_writer_fini(&json);
    finish(job);
}

static void refuse(struct publish_job *job, const struct registry_node *owner, const char *reason)
{
    struct cluster_publish_reply reply = {.decision = CLUSTER_PUBLISH_REFUSED};

    if (owner)
        memcpy(reply.origin, owner->id, sizeof reply.origin);
    snprintf(reply.reason, sizeof reply.reason, "%s", reason);
    answer(job, &reply);
}

static void forward(struct publish_job *job, const struct registry_node *asker)
{
    struct scheduler *s = job->jobs->scheduler;
    const struct registry_stream *stream = registry_stream(&s->registry, job->request.name.text);
    const struct registry_node *origin =
        router_pick_origin(&s->router, asker, stream, scheduler_now_us(s));
    struct cluster_publish_reply reply = {.decision = CLUSTER_PUBLISH_FORWARD};

    if (!origin) {
        refuse(job, NULL, "no origin can take a publisher");
        return;
    }
    memcpy(reply.origin, origin->id, sizeof reply.origin);
    memcpy(reply.origin_rtmp, origin->internal_urls.rtmp, sizeof reply.origin_rtmp);
    answer(job, &reply);
}

static void ignore_answer(void *arg, enum err e, const struct store_owner *owner)
{
    (void)arg, (void)e, (void)owner;
}

/* What was claimed cannot be used: left in the store it would stop the next publisher. */
static void give_back(struct publish_job *job, uint64_t epoch)
{
    struct scheduler *s = job->jobs->scheduler;
    struct store_owner owner = {.instance = job->request.instance, .epoch = epoch};

    memcpy(owner.node, job->request.node, sizeof owner.node);
    s->store->ops->release(s->store, &job->request.name, &owner, ignore_answer, NULL);
}

/* The stream is the asker's: tells everybody, then the asker. */
static void grant(struct publish_job *job, uint64_t epoch)
{
    struct scheduler *s = job->jobs->scheduler;
    struct cluster_publish_reply reply = {.decision = CLUSTER_PUBLISH_GRANTED, .epoch = epoch};
    const struct cluster_publish *request = &job->request;
    struct registry_node *node;
    enum err e =
        registry_admit(&s->registry, request->node, request->instance, scheduler_now_us(s), &node);

    if (e == E_OK)
        e = registry_grant(&s->registry, &request->name, node, epoch, scheduler_now_us(s));
    if (e != E_OK) {
        give_back(job, epoch);
        refuse(job, NULL, e == E_LIMIT ? "limits.streams reached" : err_text(e));
        return;
    }
    if (!job->x) { /* the node gave up waiting: it will not publish under this epoch */
        (void)registry_release(&s->registry, request->name.text, request->node, request->instance,
                               epoch);
        finish(job);
        return;
    }
    reply.lease_ms = (uint32_t)s->conf->lease_ms;
    answer(job, &reply);
}

/* The store could not be asked: answered from memory. */
static void grant_degraded(struct publish_job *job)
{
    struct scheduler *s = job->jobs->scheduler;

    stats_count(STAT_PUBLISH_DEGRADED);
    grant(job, epoch_next(clock_wall_us(), s->registry.highest_epoch));
}

static void on_claimed(void *arg, enum err e, const struct store_owner *owner)
{
    struct publish_job *job = arg;
    struct scheduler *s = job->jobs->scheduler;

    if (s->is_stopping)
        return; /* publish_jobs_fini() frees it */
    if (e == E_OK) {
        grant(job, owner->epoch);
    } else if (e == E_STALE && ++job->n_tries < MAX_TRIES) {
        scheduler_learn_owner(s, &job->request.name, owner, false);
        /* an owner that is not known here as a node cannot be protected, but its epoch is overtaken
         */
        registry_saw_epoch(&s->registry, owner->epoch, clock_wall_us());
        run(job);
    } else if (e == E_STALE) {
        refuse(job, NULL, "others publish the stream at the same moment");
    } else {
        grant_degraded(job);
    }
}

static void claim(struct publish_job *job)
{
    struct scheduler *s = job->jobs->scheduler;
    const struct registry_stream *stream = registry_stream(&s->registry, job->request.name.text);
    struct store_claim wanted = {
        .name = job->request.name,
        .instance = job->request.instance,
        .known_epoch = stream ? stream->epoch : 0,
        .highest_epoch = s->registry.highest_epoch,
    };

    if (job->n_tries) /* the store's owner was looked at: nothing below it may stop us again */
        wanted.known_epoch = s->registry.highest_epoch;
    memcpy(wanted.node, job->request.node, sizeof wanted.node);
    s->store->ops->claim(s->store, &wanted, on_claimed, job);
}

static void probed(struct publish_job *job, bool is_alive)
{
    stats_count(is_alive ? STAT_OWNER_ASKED : STAT_OWNER_SILENT);
    job->owner_answered = is_alive;
    job->owner_is_gone = !is_alive;
    http_client_destroy(&job->probe);
    run(job);
}

/* Any answer is a living process; a refused connection and silence are not. */
static void on_probed(void *arg, const struct http_reply *reply)
{
    probed(arg, reply->e == E_OK);
}

static void ask_owner(struct publish_job *job, const struct registry_node *owner)
{
    struct scheduler *s = job->jobs->scheduler;
    const char *url = owner->internal_urls.http;
    struct http_client_conf conf = {
        .urls = &url,
        .n_urls = 1,
        .bearer_token = "",
        .timeout_ms = (int64_t)s->conf->ask_owner_ms,
        .max_body_bytes = 65536,
        .log_area = "probe",
    };
    const char *why = "no address";

    job->asked_instance = owner->instance;
    memcpy(job->asked, owner->id, sizeof job->asked);
    if (*url)
        job->probe = http_client_create(s->loop, &conf, &why);
    if (!job->probe || !http_client_call(job->probe, "GET", "/healthz", NULL, on_probed, job)) {
        log_warn("publish", "msg=\"cannot ask owner\" node=%s reason=%s", owner->id, LOG_STR(why));
        probed(job, false);
    }
}

/* What is known now; an answer of an owner that is not the owner any more does not count. */
static void look(const struct publish_job *job, const struct registry_node *asker,
                 struct publish_view *view)
{
    struct scheduler *s = job->jobs->scheduler;
    int64_t now_us = scheduler_now_us(s);
    const struct registry_node *owner;

    *view = (struct publish_view){.asker = asker};
    view->stream = registry_stream(&s->registry, job->request.name.text);
    owner = view->stream ? view->stream->owner : NULL;
    if (!owner)
        return;
    view->is_live = registry_is_live(owner, now_us);
    view->is_suspect = registry_is_suspect(&s->registry, owner, now_us);
    if (strcmp(owner->id, job->asked) == 0 && owner->instance == job->asked_instance) {
        view->owner_is_gone = job->owner_is_gone;
        view->owner_answered = job->owner_answered;
    }
}

static void run(struct publish_job *job)
{
    struct scheduler *s = job->jobs->scheduler;
    const struct cluster_publish *request = &job->request;
    struct publish_view view;
    struct registry_node *asker;
    enum err e;

    if (!job->x) {
        finish(job);
        return;
    }
    e = registry_admit(&s->registry, request->node, request->instance, scheduler_now_us(s), &asker);
    if (e != E_OK) {
        refuse(job, NULL, e == E_STALE ? "this instance of the node was replaced" : err_text(e));
        return;
    }
    look(job, asker, &view);
    switch (publish_decide(&view, request->takeover)) {
    case PUBLISH_GRANT:
        claim(job);
        break;
    case PUBLISH_FORWARD:
        forward(job, asker);
        break;
    case PUBLISH_REFUSE:
        refuse(job, view.stream->owner, "the stream is published at another node");
        break;
    case PUBLISH_ASK_OWNER:
        ask_owner(job, view.stream->owner);
        break;
    }
}

static void on_gone(struct http_exchange *x, void *arg)
{
    struct publish_job *job = arg;

    (void)x;
    job->x = NULL; /* it ends when its turn or its answer comes */
}

void publish_jobs_start(struct publish_jobs *jobs, struct http_exchange *x,
                        const struct cluster_publish *request)
{
    struct publish_job *job = calloc(1, sizeof *job);
    struct publish_job *running = map_get(&jobs->by_stream, request->name.text);

    if (!job || (!running && map_set(&jobs->by_stream, request->name.text, job) != E_OK)) {
        free(job);
        http_respond_problem(x, 503, "out of memory");
        return;
    }
    job->jobs = jobs;
    job->x = x;
    job->request = *request;
    list_init(&job->waiting);
    http_set_pending(x, on_gone, job);
    if (running)
        list_push_back(&running->waiting, &job->waiting);
    else
        run(job);
}
