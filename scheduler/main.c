/* headwater-scheduler: command line, configuration, signals, one loop. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/version.h"
#include "common/net/notify.h"
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

struct program {
    struct conf_args args;
    struct scheduler_conf conf;
    struct loop *loop;
    struct scheduler scheduler;
    struct event *signals[3];
    struct timer watchdog;
};

static int fail(const char *text)
{
    fprintf(stderr, "headwater-scheduler: %s\n", text);
    return 1;
}

static void print_usage(void)
{
    printf("headwater-scheduler: scheduler of a Headwater live-streaming cluster\n"
           "\n"
           "usage: headwater-scheduler [-c FILE] [--set KEY=VALUE]...\n"
           "\n"
           "  -c FILE          configuration (JSON with // comments)\n"
           "  --set KEY=VALUE  one key, over file and environment (HEADWATER_KEY__PART=VALUE)\n"
           "  --check-config   say whether the configuration is good, and exit\n"
           "  --help-config    all keys with defaults, ranges and meaning\n"
           "  --version        version, and exit\n"
           "  --help           this text\n"
           "\n"
           "signals: TERM and INT stop it; HUP reloads and reopens the log\n");
}

static enum err load_conf(const struct conf_args *args, struct scheduler_conf *conf,
                          struct conf_error *error)
{
    enum err e = conf_load(&k_scheduler_conf, args, conf, error);

    if (e != E_OK)
        return e;
    e = scheduler_conf_check(conf, error);
    if (e != E_OK)
        conf_free(&k_scheduler_conf, conf);
    return e;
}

static void on_stop(evutil_socket_t number, short what, void *arg)
{
    struct program *p = arg;

    (void)what;
    log_info("scheduler", "msg=stopping signal=%d", (int)number);
    notify_or_warn("scheduler", "STOPPING=1");
    loop_stop(p->loop);
}

/* SIGHUP: the log file is opened again (rotation), and what can be changed while running is. */
static void on_reload(evutil_socket_t number, short what, void *arg)
{
    struct program *p = arg;
    struct scheduler_conf fresh = {0};
    struct conf_error error;
    char ignored[256];
    size_t n_ignored;

    (void)number, (void)what;
    if (log_reopen() != E_OK)
        log_error("scheduler", "msg=\"cannot reopen the log\"");
    if (load_conf(&p->args, &fresh, &error) != E_OK) {
        log_error("scheduler", "msg=\"reload refused\" reason=%s", LOG_STR(error.text));
        return;
    }
    conf_apply_reload(&k_scheduler_conf, &p->conf, &fresh, &n_ignored, ignored, sizeof ignored);
    conf_free(&k_scheduler_conf, &fresh);
    log_set_level((enum log_level)p->conf.log_level);
    if (scheduler_apply_conf(&p->scheduler, &error) != E_OK)
        log_error("scheduler", "msg=\"reload incomplete\" reason=%s", LOG_STR(error.text));
    log_info("scheduler", "msg=reloaded needs_restart=%s", LOG_STR(n_ignored ? ignored : ""));
}

static enum err watch_signals(struct program *p)
{
    static const struct {
        int number;
        event_callback_fn handle;
    } k_signals[] = {{SIGTERM, on_stop}, {SIGINT, on_stop}, {SIGHUP, on_reload}};

    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof k_signals / sizeof k_signals[0]; i++) {
        p->signals[i] =
            evsignal_new(loop_base(p->loop), k_signals[i].number, k_signals[i].handle, p);
        if (!p->signals[i] || event_add(p->signals[i], NULL) != 0)
            return E_NOMEM;
    }
    return E_OK;
}

static void close_program(struct program *p)
{
    for (size_t i = 0; i < sizeof p->signals / sizeof p->signals[0]; i++)
        if (p->signals[i])
            event_free(p->signals[i]);
    loop_destroy(&p->loop);
    conf_free(&k_scheduler_conf, &p->conf);
    log_close();
}

static void say_ready(const struct scheduler *s)
{
    static const char *const k_names[N_FACES] = {[FACE_API] = " http=",
                                                 [FACE_API_TLS] = " https=",
                                                 [FACE_ENTRY] = " entry=",
                                                 [FACE_ENTRY_TLS] = " entry_https="};
    char faces[N_FACES * (ADDR_TEXT_SIZE + 16)] = "";

    for (unsigned i = 0; i < N_FACES; i++) {
        size_t used = strlen(faces);

        if (*s->addresses[i])
            snprintf(faces + used, sizeof faces - used, "%s%s", k_names[i], s->addresses[i]);
    }
    log_info("scheduler", "msg=ready%s store=%s", faces,
             s->conf->store_type == STORE_MEMORY ? "memory" : "redis");
}

/* There is one loop: while it turns, it says so. */
static void on_watchdog(struct timer *timer)
{
    notify_or_warn("scheduler", "WATCHDOG=1");
    timer_start_ms(timer, notify_watchdog_ms());
}

static void serve_until_told(struct program *p)
{
    timer_init(&p->watchdog, p->loop, on_watchdog);
    if (notify_watchdog_ms())
        timer_start_ms(&p->watchdog, notify_watchdog_ms());
    notify_or_warn("scheduler", "READY=1");
    loop_run(p->loop);
    timer_stop(&p->watchdog);
}

static int serve(struct program *p)
{
    struct conf_error error;

    if (log_open(p->conf.log_file) != E_OK) {
        perror(p->conf.log_file);
        return fail("log.file: cannot be opened");
    }
    log_set_level((enum log_level)p->conf.log_level);
    net_raise_nofile();
    stats_register();
    p->loop = loop_create("scheduler", 0);
    if (!p->loop || watch_signals(p) != E_OK)
        return fail("out of memory");
    if (scheduler_open(&p->scheduler, p->loop, &p->conf, &error) != E_OK)
        return fail(error.text);
    say_ready(&p->scheduler);
    serve_until_told(p);
    scheduler_close(&p->scheduler);
    return 0;
}

/* Commands that print and exit; -1 to go on. */
static int answer_args(const struct conf_args *args)
{
    if (args->help)
        print_usage();
    else if (args->version)
        printf("headwater-scheduler %s\n", version_text());
    else if (args->help_config)
        conf_print_help(&k_scheduler_conf, stdout);
    else
        return -1;
    return 0;
}

int main(int argc, char **argv)
{
    static struct program p;
    struct conf_error error;
    int code;

    if (conf_parse_args(argc, argv, &p.args, &error) != E_OK)
        return fail(error.text);
    code = answer_args(&p.args);
    if (code < 0 && load_conf(&p.args, &p.conf, &error) != E_OK)
        code = fail(error.text);
    if (code < 0 && p.args.check) {
        printf("configuration is valid\n");
        code = 0;
    }
    if (code < 0)
        code = serve(&p);
    close_program(&p);
    conf_args_fini(&p.args);
    return code;
}
