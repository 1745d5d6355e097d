/* See worker.h. */
#include "node/access/worker.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/log.h"

struct access_worker {
    pthread_mutex_t lock;
    pthread_cond_t news;
    pthread_t thread;
    bool is_running, is_ending; /* under the lock */
    struct list jobs;           /* likewise */
    unsigned n_reserved, max_jobs;
};

/* On the loop that asked. */
static void on_done(struct loop_msg *msg)
{
    struct access_job *job = list_entry(msg, struct access_job, msg);
    struct access_pending *pending = job->pending;

    job->free(job);
    access_resume(pending, ACCESS_AGAIN);
}

static void on_lost(struct loop_msg *msg)
{
    struct access_job *job = list_entry(msg, struct access_job, msg);

    access_drop(job->pending);
    job->free(job);
}

static void run_job(struct access_job *job)
{
    if (!access_is_canceled(job->pending))
        job->work(job);
    job->msg = (struct loop_msg){.run = on_done, .drop = on_lost};
    loop_post(access_held(job->pending)->nl->media.loop, &job->msg);
}

static void *run(void *arg)
{
    struct access_worker *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->is_ending) {
        struct list *node = list_pop_front(&w->jobs);

        if (!node) {
            pthread_cond_wait(&w->news, &w->lock);
            continue;
        }
        pthread_mutex_unlock(&w->lock);
        run_job(list_entry(node, struct access_job, node));
        pthread_mutex_lock(&w->lock);
        w->n_reserved--;
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct access_worker *access_worker_create(unsigned max_jobs)
{
    struct access_worker *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->news, NULL);
    list_init(&w->jobs);
    w->max_jobs = max_jobs;
    return w;
}

void access_worker_destroy(struct access_worker **worker)
{
    struct access_worker *w = *worker;
    struct list *node;

    *worker = NULL;
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->is_ending = true;
    pthread_cond_signal(&w->news);
    pthread_mutex_unlock(&w->lock);
    if (w->is_running)
        pthread_join(w->thread, NULL);
    while ((node = list_pop_front(&w->jobs)))
        on_lost(&list_entry(node, struct access_job, node)->msg);
    pthread_cond_destroy(&w->news);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* Under the lock. */
static bool start(struct access_worker *w)
{
    if (!w->is_running)
        w->is_running = pthread_create(&w->thread, NULL, run, w) == 0;
    if (!w->is_running)
        log_error("access", "msg=\"cannot start a thread\"");
    return w->is_running;
}

bool access_worker_reserve(struct access_worker *worker)
{
    bool has_room;

    pthread_mutex_lock(&worker->lock);
    has_room = worker->n_reserved < worker->max_jobs && start(worker);
    worker->n_reserved += has_room;
    pthread_mutex_unlock(&worker->lock);
    return has_room;
}

void access_worker_unreserve(struct access_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->n_reserved--;
    pthread_mutex_unlock(&worker->lock);
}

void access_worker_add(struct access_worker *worker, struct access_job *job)
{
    pthread_mutex_lock(&worker->lock);
    list_push_back(&worker->jobs, &job->node);
    pthread_cond_signal(&worker->news);
    pthread_mutex_unlock(&worker->lock);
}
