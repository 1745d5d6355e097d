/* Starting and stopping of daemons. */
#include "tests/sim/sim_daemon.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/conf.h"
#include "scheduler/scheduler.h"
#include "tests/sim/sim_loop.h"
#include "tests/sim/sim_node.h"

static char token_path[40];

void sim_daemon_begin(void)
{
    static const char k_token[] = SIM_TOKEN "\n";
    int fd = memfd_create("token", 0);

    if (fd < 0 || write(fd, k_token, sizeof k_token - 1) != (ssize_t)sizeof k_token - 1)
        abort();
    snprintf(token_path, sizeof token_path, "/proc/self/fd/%d", fd);
}

void sim_daemon_set(struct sim_daemon *daemon, const char *format, ...)
{
    va_list args;

    if (daemon->n_sets == SIM_MAX_SETS)
        abort();
    va_start(args, format);
    vsnprintf(daemon->sets[daemon->n_sets++], sizeof daemon->sets[0], format, args);
    va_end(args);
}

/* Fills *conf as main() would from the command line. */
void sim_daemon_load(const struct sim_daemon *daemon, const struct conf_schema *schema, void *conf)
{
    const char *sets[SIM_MAX_SETS];
    struct conf_args args = {.sets = sets, .n_sets = daemon->n_sets};
    struct conf_error error;

    for (unsigned i = 0; i < daemon->n_sets; i++)
        sets[i] = daemon->sets[i];
    if (conf_load(schema, &args, conf, &error) == E_OK)
        return;
    fprintf(stderr, "headwater-sim: %s: %s\n", daemon->host->name, error.text);
    abort();
}

/* --- schedulers --- */

void sim_daemon_init_scheduler(struct sim_daemon *daemon, struct sim_host *host)
{
    *daemon = (struct sim_daemon){.host = host};
    sim_daemon_set(daemon, "http.listen=0.0.0.0:%d", SIM_SCHEDULER_PORT);
    sim_daemon_set(daemon, "token_file=%s", token_path);
}

/* The process starts; sim_current() is it until sim_leave(). */
static struct sim_process *begin(struct sim_daemon *daemon)
{
    daemon->process = sim_process_start(daemon->host, daemon->host->name);
    daemon->is_draining = false;
    daemon->started_us = sim_now_us();
    daemon->n_starts++;
    sim_note("start %s", daemon->host->name);
    return sim_enter(daemon->process);
}

static void forget(struct sim_daemon *daemon)
{
    daemon->process = NULL;
    daemon->scheduler = NULL;
    daemon->node = NULL;
}

void sim_scheduler_start(struct sim_daemon *daemon)
{
    struct scheduler_conf *conf = calloc(1, sizeof *conf);
    struct sim_process *before = begin(daemon);
    struct conf_error error;

    daemon->scheduler = calloc(1, sizeof *daemon->scheduler);
    if (!conf || !daemon->scheduler)
        abort();
    sim_daemon_load(daemon, &k_scheduler_conf, conf);
    if (scheduler_open(daemon->scheduler, loop_create("scheduler", 0), conf, &error) != E_OK) {
        fprintf(stderr, "headwater-sim: %s: %s\n", daemon->host->name, error.text);
        abort();
    }
    sim_leave(before);
}

/* --- nodes: sim_node.c has what needs node/ headers --- */

void sim_daemon_init_node(struct sim_daemon *daemon, struct sim_host *host, enum cluster_role role)
{
    const char *at = host->address;

    *daemon = (struct sim_daemon){.host = host};
    sim_daemon_set(daemon, "loops=1");
    sim_daemon_set(daemon, "rtmp.listen=0.0.0.0:%d", SIM_RTMP_PORT);
    sim_daemon_set(daemon, "http.listen=0.0.0.0:%d", SIM_HTTP_PORT);
    sim_daemon_set(daemon, "admin.listen=");
    sim_daemon_set(daemon, "cluster.node_id=%s", host->name);
    sim_daemon_set(daemon, "cluster.role=%s", k_cluster_roles[role]);
    sim_daemon_set(daemon, "cluster.token_file=%s", token_path);
    sim_daemon_set(daemon, "cluster.advertise.public.rtmp=rtmp://%s:%d", at, SIM_RTMP_PORT);
    sim_daemon_set(daemon, "cluster.advertise.public.http=http://%s:%d", at, SIM_HTTP_PORT);
    sim_daemon_set(daemon, "cluster.advertise.internal.rtmp=rtmp://%s:%d", at, SIM_RTMP_PORT);
    sim_daemon_set(daemon, "cluster.advertise.internal.http=http://%s:%d", at, SIM_HTTP_PORT);
}

/* A daemon's main loop runs as long as the process does, and what it does there are events of the
 * simulation. So the thread that called node_run() waits here for ever, once it has started. */
static sem_t started;

void sim_loop_run(void)
{
    sem_post(&started);
    for (;;)
        pause();
}

static void *run_main(void *arg)
{
    struct sim_daemon *daemon = arg;

    sim_node_run(daemon->node);
    return NULL;
}

static void on_ended(void *arg)
{
    struct sim_daemon *daemon = arg;

    sim_note("exit %s", daemon->host->name);
    sim_process_kill(daemon->process);
    forget(daemon);
}

/* The loop stops: what is left of main() only frees memory. */
static void on_stop(void *arg)
{
    struct sim_daemon *daemon = arg;

    sim_at(sim_now_us(), NULL, (struct sim_task){.run = on_ended, .arg = daemon});
}

void sim_node_start(struct sim_daemon *daemon)
{
    struct sim_process *before = begin(daemon);
    pthread_attr_t attr;
    pthread_t thread;

    daemon->node = sim_node_create(daemon, on_stop);
    sem_init(&started, 0, 0);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, run_main, daemon) != 0)
        abort();
    pthread_attr_destroy(&attr);
    while (sem_wait(&started) != 0)
        continue;
    sim_leave(before);
}

/* --- faults --- */

void sim_daemon_kill(struct sim_daemon *daemon)
{
    if (!daemon->process)
        return;
    sim_note("kill %s", daemon->host->name);
    sim_process_kill(daemon->process);
    forget(daemon);
}

void sim_daemon_freeze(struct sim_daemon *daemon)
{
    if (!daemon->process || daemon->process->frozen)
        return;
    sim_note("freeze %s", daemon->host->name);
    sim_process_freeze(daemon->process);
}

void sim_daemon_thaw(struct sim_daemon *daemon)
{
    if (!daemon->process || !daemon->process->frozen)
        return;
    sim_note("thaw %s", daemon->host->name);
    sim_process_thaw(daemon->process);
}

static void drain(void *arg)
{
    struct sim_daemon *daemon = arg;

    if (daemon->node)
        sim_node_terminate(daemon->node);
}

void sim_node_drain(struct sim_daemon *daemon)
{
    if (!daemon->process)
        return;
    sim_note("drain %s", daemon->host->name);
    daemon->is_draining = true;
    sim_run_on(daemon->process, (struct sim_task){.run = drain, .arg = daemon});
}
