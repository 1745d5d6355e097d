/* headwater-node: command line, signals, life. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/version.h"
#include "node/control/access_log.h"
#include "node/node.h"

static struct node g_node;

struct signals {
    struct conf_args *args;
    struct event *event;
    int fd;
    bool interrupted;
};

static void usage(FILE *out)
{
    fputs("headwater-node: media node of a Headwater live-streaming cluster\n"
          "\n"
          "usage: headwater-node [-c FILE] [--set KEY=VALUE]...\n"
          "\n"
          "  -c FILE          configuration (JSON with // comments)\n"
          "  --set KEY=VALUE  one key, over file and environment (HEADWATER_KEY__PART=VALUE)\n"
          "  --replace        take over from the process at handover.socket, which then drains\n"
          "  --check-config   say whether the configuration is good, and exit\n"
          "  --help-config    all keys with defaults, ranges and meaning\n"
          "  --version        version, and exit\n"
          "  --help           this text\n"
          "\n"
          "signals: TERM drains, then exits; INT the same, twice at once; HUP reloads and reopens "
          "the log\n",
          out);
}

static int fail(const struct conf_error *error)
{
    fprintf(stderr, "headwater-node: %s\n", error->text);
    return 1;
}

static enum err load(const struct conf_args *args, struct node_conf *conf, struct conf_error *error)
{
    enum err e;

    memset(conf, 0, sizeof *conf);
    e = conf_load(&k_node_schema, args, conf, error);
    if (e == E_OK && (e = node_conf_check(conf, error)) != E_OK)
        conf_free(&k_node_schema, conf);
    return e;
}

static void reload(const struct signals *signals)
{
    struct node_conf fresh;
    struct conf_error error;

    if (log_reopen() != E_OK)
        log_warn("node", "msg=\"cannot reopen the log\" file=%s", LOG_STR(g_node.conf.log_file));
    access_log_reopen(g_node.access_log);
    if (load(signals->args, &fresh, &error) != E_OK) {
        log_error("node", "msg=\"configuration not reloaded\" reason=%s", LOG_STR(error.text));
        return;
    }
    node_reload(&g_node, &fresh);
    conf_free(&k_node_schema, &fresh);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    struct signals *signals = arg;
    struct signalfd_siginfo info;

    (void)what;
    if (read(fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo == SIGHUP) {
        reload(signals);
        return;
    }
    if (info.ssi_signo == SIGINT && signals->interrupted)
        _exit(130);
    signals->interrupted |= info.ssi_signo == SIGINT;
    node_drain(&g_node, DRAIN_SIGNAL);
}

/* Before any thread starts, so that all of them inherit the mask. */
static int block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int run(struct conf_args *args, struct node_conf *conf, bool replace)
{
    struct signals signals = {.args = args, .fd = block_signals()};
    struct conf_error error;

    log_set_level((enum log_level)conf->log_level);
    if (log_open(conf->log_file) != E_OK) {
        fprintf(stderr, "headwater-node: log.file: cannot open \"%s\"\n", conf->log_file);
        conf_free(&k_node_schema, conf);
        return 1;
    }
    if (node_init(&g_node, conf, replace, &error) != E_OK)
        return fail(&error);
    signals.event =
        event_new(loop_base(g_node.control), signals.fd, EV_READ | EV_PERSIST, on_signal, &signals);
    event_add(signals.event, NULL);
    watchdog_start(&g_node);
    node_run(&g_node);
    watchdog_stop(&g_node);
    event_free(signals.event);
    node_fini(&g_node);
    close(signals.fd);
    log_info("node", "msg=stopped");
    log_close();
    return 0;
}

/* The one flag that is no configuration: taken out of the arguments, wherever it stands. */
static bool take_flag(int *argc, char **argv, const char *flag)
{
    int n = 0;

    for (int i = 0; i < *argc; i++)
        if (i == 0 || strcmp(argv[i], flag) != 0)
            argv[n++] = argv[i];
    if (n == *argc)
        return false;
    *argc = n;
    return true;
}

int main(int argc, char **argv)
{
    bool replace = take_flag(&argc, argv, "--replace");
    struct conf_args args;
    struct conf_error error;
    struct node_conf conf;
    int status = 0;

    if (conf_parse_args(argc, argv, &args, &error) != E_OK)
        return fail(&error);
    if (args.help)
        usage(stdout);
    else if (args.version)
        printf("headwater-node %s\n", version_text());
    else if (args.help_config)
        conf_print_help(&k_node_schema, stdout);
    else if (load(&args, &conf, &error) != E_OK)
        status = fail(&error);
    else if (args.check) {
        puts("configuration ok");
        conf_free(&k_node_schema, &conf);
    } else {
        status = run(&args, &conf, replace);
    }
    conf_args_fini(&args);
    return status;
}
