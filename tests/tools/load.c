/* One run: publishers first, then players, a warm-up, the window. */
#include "tests/tools/load.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/tools/alarm_at.h"
#include "tests/tools/load_report.h"

#define MAX_WAIT_US 20000000 /* for publishers to be accepted, and for first key frames */
#define MIN_TURN_US 1000     /* thousands of publishers would have the alarm ring every 15 us */
#define MAX_TURN_US 10000    /* what phases and late comers are looked for */
#define PROGRESS_US 500000   /* between two progress lines */
#define MAX_OUT_BYTES (32u << 20) /* of one write: a frame with its chunk headers */

enum phase {
    PHASE_PUBLISHING, /* until all publishers are accepted or refused */
    PHASE_JOINING,    /* until all players have a key frame or are lost */
    PHASE_WARMUP,
    PHASE_WINDOW,
    PHASE_HOLD, /* until stdin is closed */
    PHASE_DONE,
};

struct run {
    const char *command; /* for complaints */
    struct load_options options;
    struct load_clip clip;
    struct load_shared shared;
    struct load_publishers publishers;
    struct load_group groups[LOAD_MAX_GROUPS];
    struct alarm_at alarm;
    struct loop_hook hook; /* measures the turns */
    struct event *stdin_event;
    bool stdin_closed;
    enum phase phase;
    int64_t phase_us; /* since when */
    int64_t progress_us;
    struct {
        int64_t begin_us, cpu_us;
        double turn_ms_max;
    } window;
    struct load_outcome outcome;
    enum err written; /* the JSON file */
};

static struct run g_run = {.alarm = {.fd = -1}};

static int64_t cpu_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* stdout is for people, and about the load itself. */
static bool is_wordy(const struct run *r)
{
    return !r->options.report && (!r->options.json_path || strcmp(r->options.json_path, "-"));
}

/* --- the window --- */

static void window_begin(struct run *r, int64_t now_us)
{
    r->window.begin_us = now_us;
    r->window.cpu_us = cpu_us();
    r->window.turn_ms_max = 0;
    r->shared.counting = true;
    if (is_wordy(r))
        puts("window begin");
}

static void report(struct run *r)
{
    r->outcome.publishers = &r->publishers;
    r->outcome.groups = r->groups;
    r->outcome.n_groups = r->options.n_groups;
    if (!r->options.report && r->options.json_path && strcmp(r->options.json_path, "-"))
        r->written = load_report_json(&r->outcome, r->options.json_path);
}

static void window_end(struct run *r, int64_t now_us)
{
    double wall_us = (double)(now_us - r->window.begin_us);

    r->shared.counting = false;
    for (unsigned i = 0; i < r->options.n_groups; i++)
        load_group_end_window(&r->groups[i], now_us);
    r->outcome.seconds = wall_us / 1e6;
    r->outcome.cpu = wall_us > 0 ? (double)(cpu_us() - r->window.cpu_us) / wall_us : 0;
    r->outcome.turn_ms_max = r->window.turn_ms_max;
    report(r);
    if (is_wordy(r))
        puts("window end");
}

/* --- phases --- */

static void tell_missing(struct run *r)
{
    for (unsigned i = 0; i < r->options.n_groups; i++) {
        const struct load_group *g = &r->groups[i];

        if (!load_group_is_settled(g))
            fprintf(stderr, "headwater-tool: %u of %u players of %s have no key frame yet\n",
                    g->n_asked - g->n_keyed - g->n_missing, g->n_asked, g->options->url);
    }
}

static bool players_are_settled(const struct run *r)
{
    for (unsigned i = 0; i < r->options.n_groups; i++)
        if (!load_group_is_settled(&r->groups[i]))
            return false;
    return true;
}

static int64_t last_join_us(const struct run *r)
{
    double ramp_s = 0;

    for (unsigned i = 0; i < r->options.n_groups; i++)
        if (r->options.groups[i].ramp_s > ramp_s)
            ramp_s = r->options.groups[i].ramp_s;
    return r->phase_us + (int64_t)(ramp_s * 1e6);
}

/* Each gives true when its phase is over. */

static bool publishing_is_over(struct run *r, int64_t now_us)
{
    return load_publishers_are_settled(&r->publishers, now_us) ||
           now_us > r->phase_us + MAX_WAIT_US;
}

static bool joining_is_over(struct run *r, int64_t now_us)
{
    if (players_are_settled(r))
        return true;
    if (now_us < last_join_us(r) + MAX_WAIT_US)
        return false;
    tell_missing(r);
    return true;
}

static bool warmup_is_over(struct run *r, int64_t now_us)
{
    if (now_us < r->phase_us + (int64_t)(r->options.warmup_s * 1e6))
        return false;
    window_begin(r, now_us);
    return true;
}

static bool window_is_over(struct run *r, int64_t now_us)
{
    int64_t end_us = r->phase_us + (int64_t)(r->options.seconds * 1e6);

    if (r->options.seconds > 0 ? now_us < end_us : !r->stdin_closed)
        return false;
    window_end(r, now_us);
    return true;
}

static bool hold_is_over(struct run *r, int64_t now_us)
{
    (void)now_us;
    return !r->options.hold || r->stdin_closed;
}

static bool (*const k_phase_is_over[])(struct run *r, int64_t now_us) = {
    [PHASE_PUBLISHING] = publishing_is_over,
    [PHASE_JOINING] = joining_is_over,
    [PHASE_WARMUP] = warmup_is_over,
    [PHASE_WINDOW] = window_is_over,
    [PHASE_HOLD] = hold_is_over,
};

static void turn_phases(struct run *r, int64_t now_us)
{
    while (r->phase != PHASE_DONE && k_phase_is_over[r->phase](r, now_us)) {
        r->phase++;
        r->phase_us = now_us;
    }
    if (r->phase == PHASE_DONE)
        loop_stop(r->shared.loop);
}

/* --- progress on the terminal --- */

static void show_progress(struct run *r, int64_t now_us)
{
    static const char *const k_names[] = {"publishing", "joining", "warm-up", "window", "hold", ""};
    unsigned asked = 0, playing = 0;

    if (r->options.quiet || !isatty(STDERR_FILENO) ||
        (r->phase != PHASE_DONE && now_us < r->progress_us + PROGRESS_US))
        return;
    r->progress_us = now_us;
    for (unsigned i = 0; i < r->options.n_groups; i++) {
        asked += r->groups[i].n_asked;
        playing += r->groups[i].n_playing;
    }
    fprintf(stderr, "\r%s %.0f s: %u/%u publishers, %u/%u players   ", k_names[r->phase],
            (double)(now_us - r->phase_us) / 1e6, r->publishers.n_connected - r->publishers.n_lost,
            r->publishers.n_asked, playing, asked);
    if (r->phase == PHASE_DONE)
        fputc('\n', stderr);
}

/* --- the loop --- */

static void on_alarm(struct alarm_at *alarm)
{
    struct run *r = list_entry(alarm, struct run, alarm);
    int64_t now_us = loop_now_us(r->shared.loop), next_us = now_us + MAX_TURN_US, at_us;

    at_us = load_publishers_turn(&r->publishers, now_us);
    next_us = at_us < next_us ? at_us : next_us;
    for (unsigned i = 0; r->phase > PHASE_PUBLISHING && i < r->options.n_groups; i++) {
        at_us = load_group_turn(&r->groups[i], now_us);
        next_us = at_us < next_us ? at_us : next_us;
    }
    turn_phases(r, now_us);
    show_progress(r, now_us);
    alarm_at_set(&r->alarm, next_us > now_us + MIN_TURN_US ? next_us : now_us + MIN_TURN_US);
}

static void on_turn_end(struct loop_hook *hook)
{
    struct run *r = list_entry(hook, struct run, hook);
    double took_ms = (double)(clock_mono_us() - loop_now_us(r->shared.loop)) / 1e3;

    if (took_ms > r->window.turn_ms_max)
        r->window.turn_ms_max = took_ms;
}

static void on_stdin(evutil_socket_t fd, short what, void *arg)
{
    struct run *r = arg;
    char dropped[256];

    (void)what;
    if (read(fd, dropped, sizeof dropped) > 0)
        return;
    r->stdin_closed = true;
    event_del(r->stdin_event);
}

static void on_interrupt(int number)
{
    (void)number;
    loop_stop(g_run.shared.loop); /* an exchange and a write: fine in a signal handler */
}

/* A file or /dev/null cannot be waited for, and is at its end as good as now. */
static void watch_stdin(struct run *r)
{
    struct stat st;

    r->stdin_closed = fstat(STDIN_FILENO, &st) != 0 || S_ISREG(st.st_mode) ||
                      (S_ISCHR(st.st_mode) && !isatty(STDIN_FILENO));
    if (r->stdin_closed)
        return;
    r->stdin_event =
        event_new(loop_base(r->shared.loop), STDIN_FILENO, EV_READ | EV_PERSIST, on_stdin, r);
    r->stdin_closed = !r->stdin_event || event_add(r->stdin_event, NULL) != 0;
}

/* --- life --- */

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit); /* if not: connections fail, and that is told */
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "headwater-tool %s: %s: %s\n", g_run.command, what, why);
    return 2;
}

static int init_publishers(struct run *r)
{
    const struct load_options *o = &r->options;
    struct load_target target;
    const char *why;

    r->shared.has_video = true;
    r->shared.publishers = &r->publishers;
    if (!o->publish_url)
        return 0;
    if (load_clip_read(&r->clip, o->flv_path, !o->no_stamp, &why) != E_OK)
        return fail(o->flv_path, why);
    if (r->clip.n_unstamped && !o->no_stamp)
        fprintf(stderr, "headwater-tool: %u frames of %s have no place for a stamp\n",
                r->clip.n_unstamped, o->flv_path);
    r->shared.has_video = r->clip.has_video;
    if (load_target_init(&target, o->publish_url, &why) != E_OK)
        return fail(o->publish_url, why);
    if (target.is_http)
        return fail(o->publish_url, "only RTMP is published");
    if (load_publishers_init(&r->publishers, &r->shared, (unsigned)o->publishers, &target,
                             &r->clip) != E_OK)
        return fail("publishers", err_text(E_NOMEM));
    return 0;
}

static int init_groups(struct run *r)
{
    const struct load_options *o = &r->options;
    const char *why;

    for (unsigned i = 0; i < o->n_groups; i++) {
        const struct load_group_options *group = &o->groups[i];
        double modulo = o->publish_url ? o->publishers : group->players;

        if (load_group_init(&r->groups[i], &r->shared, group, (unsigned)modulo, &why) != E_OK)
            return fail(group->url, why);
    }
    return 0;
}

static int init(struct run *r)
{
    int status;

    r->shared.loop = loop_create("load", 0);
    if (!r->shared.loop || alarm_at_init(&r->alarm, r->shared.loop, on_alarm) != E_OK)
        return fail("loop", err_text(E_NOMEM));
    r->shared.stall_us = (int64_t)r->options.stall_ms * 1000;
    buf_writer_init(&r->shared.out, MAX_OUT_BYTES);
    status = init_publishers(r);
    if (status == 0)
        status = init_groups(r);
    r->hook.run = on_turn_end;
    loop_hook_add(r->shared.loop, &r->hook);
    watch_stdin(r);
    return status;
}

static void fini(struct run *r)
{
    for (unsigned i = 0; i < r->options.n_groups; i++)
        load_group_fini(&r->groups[i]);
    load_publishers_fini(&r->publishers);
    load_clip_fini(&r->clip);
    buf_writer_fini(&r->shared.out);
    if (r->stdin_event)
        event_free(r->stdin_event);
    alarm_at_fini(&r->alarm);
    loop_hook_remove(&r->hook);
    loop_destroy(&r->shared.loop);
}

/* The last word: those lost while held count too. */
static int conclude(struct run *r)
{
    if (r->phase == PHASE_WINDOW) /* interrupted */
        window_end(r, clock_mono_us());
    for (unsigned i = 0; i < r->options.n_groups; i++)
        load_group_give_up(&r->groups[i]);
    report(r);
    if (r->options.report)
        return r->options.report(&r->outcome, r->options.json_path);
    if (r->options.json_path && !strcmp(r->options.json_path, "-"))
        r->written = load_report_json(&r->outcome, "-");
    else
        load_report_text(&r->outcome, stdout);
    if (r->written != E_OK)
        fprintf(stderr, "headwater-tool: %s cannot be written\n", r->options.json_path);
    return load_outcome_is_bad(&r->outcome) || r->written != E_OK;
}

int load_run(const char *command, const struct load_options *options)
{
    struct run *r = &g_run;
    int status;

    r->command = command;
    r->options = *options;
    setvbuf(stdout, NULL, _IOLBF, 0);
    raise_descriptor_limit();
    status = init(r);
    if (status == 0) {
        signal(SIGPIPE, SIG_IGN);
        signal(SIGINT, on_interrupt);
        signal(SIGTERM, on_interrupt);
        r->phase_us = clock_mono_us();
        alarm_at_set(&r->alarm, r->phase_us);
        loop_run(r->shared.loop);
        status = conclude(r);
    }
    fini(r);
    return status;
}

int load_main(int argc, char **argv)
{
    struct load_options options;
    char why[256];

    if (load_options_parse(argc, argv, &options, why, sizeof why) != E_OK) {
        fprintf(stderr, "headwater-tool load: %s (--help)\n", why);
        return 2;
    }
    if (!options.help)
        return load_run("load", &options);
    load_options_help(stdout);
    return 0;
}
