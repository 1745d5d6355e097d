/* Publish requests under way. */
#include "scheduler/publish_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "proto/cluster/epoch.h"
#include "scheduler/probe.h"
#include "scheduler/publish.h"
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

#define MAX_TRIES 4 /* the owner changed under us this often: somebody else is faster */

struct publish_job {
    struct publish_jobs *jobs;
    struct http_exchange *x; /* NULL: the node is gone, or it is a promotion */
    bool is_promotion;
    struct cluster_publish request; /* of a promotion: made up for the standby's node */
    struct list ready;              /* in publish_jobs.ready */
    struct list waiting; /* whose turn it is: list of the jobs behind it; of those: its place */
    unsigned n_tries;
    struct probe_wait probe;
};

static void run(struct publish_job *job);

void publish_jobs_init(struct publish_jobs *jobs, struct scheduler *scheduler)
{
    jobs->scheduler = scheduler;
    jobs->is_running = false;
    map_init(&jobs->by_stream);
    list_init(&jobs->ready);
}

static void free_job(struct publish_job *job)
{
    list_remove(&job->ready);
    list_remove(&job->probe.node);
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

/* Runs the job, and whatever becomes ready by that: never one within the other, however many there
 * are. */
static void go_on(struct publish_job *job)
{
    struct publish_jobs *jobs = job->jobs;
    struct list *at;

    list_push_back(&jobs->ready, &job->ready);
    if (jobs->is_running)
        return;
    jobs->is_running = true;
    while ((at = list_pop_front(&jobs->ready)))
        run(list_entry(at, struct publish_job, ready));
    jobs->is_running = false;
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
        go_on(next);
}

/* --- answers --- */

static void log_decision(const struct publish_job *job, const struct cluster_publish_reply *reply)
{
    static const char *const k_words[] = {"granted", "forwarded", "refused", "held as standby"};

    log_info("publish",
             "msg=\"publish %s\" stream=%s node=%s client=%s epoch=%llu origin=%s reason=%s",
             k_words[reply->decision], job->request.name.text, job->request.node,
             LOG_STR(job->request.client), (unsigned long long)reply->epoch, reply->origin,
             LOG_STR(reply->reason));
}

static void answer(struct publish_job *job, const struct cluster_publish_reply *reply)
{
    static const enum stat k_stats[] = {STAT_PUBLISH_GRANTED, STAT_PUBLISH_FORWARD,
                                        STAT_PUBLISH_REFUSED, STAT_PUBLISH_STANDBY};
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

static void forward(struct publish_job *job, const struct publish_view *view)
{
    struct scheduler *s = job->jobs->scheduler;
    const struct registry_node *origin =
        router_pick_origin(&s->router, view->asker, &job->request, scheduler_now_us(s));
    struct cluster_publish_reply reply = {.decision = CLUSTER_PUBLISH_FORWARD};

    if (!origin) {
        refuse(job, NULL, "no origin can take a publisher");
        return;
    }
    memcpy(reply.origin, origin->id, sizeof reply.origin);
    memcpy(reply.origin_rtmp, origin->internal_urls.rtmp, sizeof reply.origin_rtmp);
    memcpy(reply.origin_http, cluster_urls_http(&origin->internal_urls, job->request.tls),
           sizeof reply.origin_http);
    answer(job, &reply);
}

static void hold(struct publish_job *job, const struct publish_view *view)
{
    struct scheduler *s = job->jobs->scheduler;
    const struct registry_stream *stream = view->stream;
    struct cluster_publish_reply reply = {.decision = CLUSTER_PUBLISH_STANDBY,
                                          .epoch = stream->epoch,
                                          .lease_ms = (uint32_t)s->conf->lease_ms};
    struct registry_node *node =
        registry_instance(&s->registry, job->request.node, job->request.instance);
    enum err e = registry_add_standby(&s->registry, &job->request.name, node, scheduler_now_us(s));

    memcpy(reply.origin, stream->owner->id, sizeof reply.origin);
    snprintf(reply.reason, sizeof reply.reason, "the stream is published at %s", reply.origin);
    if (e == E_OK)
        answer(job, &reply);
    else
        refuse(job, stream->owner, err_text(e));
}

/* --- grants --- */

static void ignore_answer(void *arg, enum err e, const struct store_owner *owner)
{
    (void)arg, (void)e, (void)owner;
}

/* What was claimed is not used: left in the store it would stop the next publisher. Who owned the
 * stream goes on. */
static void give_back(struct publish_job *job, uint64_t epoch)
{
    struct scheduler *s = job->jobs->scheduler;
    const struct registry_stream *stream = registry_stream(&s->registry, job->request.name.text);
    struct store_owner owner = {.instance = job->request.instance, .epoch = epoch};

    memcpy(owner.node, job->request.node, sizeof owner.node);
    s->store->ops->release(s->store, &job->request.name, &owner, ignore_answer, NULL);
    if (!stream || !stream->owner)
        return;
    owner = scheduler_owner_of(stream);
    s->store->ops->refresh(s->store, &job->request.name, &owner);
}

static enum err record(struct publish_job *job, uint64_t epoch)
{
    struct scheduler *s = job->jobs->scheduler;
    struct registry_lease lease = {&job->request.name, NULL, epoch, job->request.run, false};
    int64_t now_us = scheduler_now_us(s);
    enum err e =
        registry_admit(&s->registry, job->request.node, job->request.instance, now_us, &lease.node);

    if (e == E_OK)
        e = registry_grant(&s->registry, &lease, now_us);
    return e;
}

static void promoted(struct publish_job *job, uint64_t epoch)
{
    const struct cluster_publish *request = &job->request;

    stats_count(STAT_PROMOTED);
    log_info("publish", "msg=\"standby promoted\" stream=%s node=%s epoch=%llu", request->name.text,
             request->node, (unsigned long long)epoch);
    scheduler_tell_promoted(job->jobs->scheduler, &request->name, epoch);
    finish(job);
}

/* The stream is the asker's: tells everybody, then the asker. One that gave up waiting asked
 * another scheduler, or granted the stream to itself: whatever it publishes has another epoch. */
static void grant(struct publish_job *job, uint64_t epoch)
{
    bool is_wanted = job->x || job->is_promotion;
    struct scheduler *s = job->jobs->scheduler;
    struct cluster_publish_reply reply = {.decision = CLUSTER_PUBLISH_GRANTED,
                                          .epoch = epoch,
                                          .lease_ms = (uint32_t)s->conf->lease_ms};
    enum err e = is_wanted ? record(job, epoch) : E_OK;

    if (!is_wanted || e != E_OK)
        give_back(job, epoch);
    if (!is_wanted) {
        finish(job);
    } else if (e != E_OK) {
        refuse(job, NULL, e == E_LIMIT ? "limits.streams reached" : err_text(e));
    } else if (job->is_promotion) {
        promoted(job, epoch);
    } else {
        answer(job, &reply);
    }
}

/* The store could not be asked: answered from memory. */
static void grant_degraded(struct publish_job *job)
{
    struct scheduler *s = job->jobs->scheduler;

    stats_count(STAT_PUBLISH_DEGRADED);
    grant(job, epoch_apart(clock_wall_us(), s->registry.highest_epoch, random_u64()));
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
        registry_saw_epoch(&s->registry, owner->epoch);
        go_on(job);
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
        .run = job->request.run,
    };

    if (job->n_tries) /* the store's owner was looked at: nothing below it may stop us again */
        wanted.known_epoch = s->registry.highest_epoch;
    memcpy(wanted.node, job->request.node, sizeof wanted.node);
    s->store->ops->claim(s->store, &wanted, on_claimed, job);
}

/* --- decisions --- */

static void on_probed(struct probe_wait *wait)
{
    go_on(list_entry(wait, struct publish_job, probe));
}

static void ask_owner(struct publish_job *job, const struct publish_view *view)
{
    if (!probes_ask(&job->jobs->scheduler->probes, view->stream->owner, &job->probe))
        refuse(job, view->stream->owner, "out of memory");
}

static void grant_now(struct publish_job *job, const struct publish_view *view)
{
    (void)view;
    claim(job);
}

static void move(struct publish_job *job, const struct publish_view *view)
{
    (void)view;
    stats_count(STAT_MOVED);
    claim(job);
}

static void refuse_duplicate(struct publish_job *job, const struct publish_view *view)
{
    refuse(job, view->stream->owner, "the stream is published at another node");
}

static void run_request(struct publish_job *job)
{
    static void (*const k_steps[PUBLISH_N_VERDICTS])(struct publish_job *,
                                                     const struct publish_view *) = {
        [PUBLISH_GRANT] = grant_now,         [PUBLISH_MOVE] = move,
        [PUBLISH_FORWARD] = forward,         [PUBLISH_STANDBY] = hold,
        [PUBLISH_REFUSE] = refuse_duplicate, [PUBLISH_ASK_OWNER] = ask_owner,
    };
    struct scheduler *s = job->jobs->scheduler;
    const struct cluster_publish *request = &job->request;
    struct publish_view view;
    struct registry_node *asker;
    int64_t now_us = scheduler_now_us(s);
    enum err e = registry_admit(&s->registry, request->node, request->instance, now_us, &asker);

    if (e != E_OK) {
        refuse(job, NULL, e == E_STALE ? "this instance of the node was replaced" : err_text(e));
        return;
    }
    publish_look(&view, &s->registry, request->name.text, asker, now_us);
    k_steps[publish_decide(&view, request)](job, &view);
}

/* Only a lease that ended speaks against the owner: it is asked, as before any grant. */
static void run_promotion(struct publish_job *job)
{
    struct scheduler *s = job->jobs->scheduler;
    int64_t now_us = scheduler_now_us(s);
    const struct registry_standby *standby = NULL;
    struct publish_view view;

    publish_look(&view, &s->registry, job->request.name.text, NULL, now_us);
    if (view.is_live && view.is_suspect && probes_ask(&s->probes, view.stream->owner, &job->probe))
        return;
    if (view.stream && !view.is_live)
        standby = publish_pick_standby(&s->registry, view.stream, now_us);
    if (!standby) {
        finish(job);
        return;
    }
    memcpy(job->request.node, standby->node->id, sizeof job->request.node);
    job->request.instance = standby->node->instance;
    claim(job);
}

static void run(struct publish_job *job)
{
    if (job->is_promotion)
        run_promotion(job);
    else if (job->x)
        run_request(job);
    else
        finish(job);
}

/* --- beginnings --- */

static void on_gone(struct http_exchange *x, void *arg)
{
    struct publish_job *job = arg;

    (void)x;
    job->x = NULL; /* it ends when its turn or its answer comes */
}

/* NULL when out of memory. */
static struct publish_job *create_job(struct publish_jobs *jobs, const struct stream_name *name)
{
    struct publish_job *job = calloc(1, sizeof *job);

    if (!job)
        return NULL;
    if (!map_get(&jobs->by_stream, name->text) &&
        map_set(&jobs->by_stream, name->text, job) != E_OK) {
        free(job);
        return NULL;
    }
    job->jobs = jobs;
    job->request.name = *name;
    job->probe.done = on_probed;
    list_init(&job->probe.node);
    list_init(&job->ready);
    list_init(&job->waiting);
    return job;
}

static void start(struct publish_job *job)
{
    struct publish_job *running = map_get(&job->jobs->by_stream, job->request.name.text);

    if (running != job)
        list_push_back(&running->waiting, &job->waiting);
    else
        go_on(job);
}

void publish_jobs_start(struct publish_jobs *jobs, struct http_exchange *x,
                        const struct cluster_publish *request)
{
    struct publish_job *job;

    if (http_peer_has_left(x)) { /* this scheduler was stopped, and is late */
        http_respond_problem(x, 408, "the asker has left");
        return;
    }
    job = create_job(jobs, &request->name);
    if (!job) {
        http_respond_problem(x, 503, "out of memory");
        return;
    }
    job->x = x;
    job->request = *request;
    http_set_pending(x, on_gone, job);
    start(job);
}

void publish_jobs_promote(struct publish_jobs *jobs, const struct stream_name *name)
{
    struct publish_job *job = create_job(jobs, name);

    if (!job)
        return; /* the standby's next report calls again */
    job->is_promotion = true;
    start(job);
}
