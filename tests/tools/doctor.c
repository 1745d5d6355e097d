/* The command: which checks a daemon's configuration calls for, and what came of them. */
#include "tests/tools/doctor.h"

#include <stdarg.h>
#include <string.h>

#include "common/base/log.h"
#include "common/net/tls.h"
#include "node/conf.h"
#include "node/token.h"
#include "scheduler/config.h"
#include "tests/tools/doctor_checks.h"
#include "tests/tools/tool_run.h"

const char *const k_doctor_verdicts[DOCTOR_N_VERDICTS] = {"ok", "warn", "FAIL"};

struct doctor_options {
    const char *program; /* of the command line: what stands behind it is the daemon's */
    struct tool_options common;
};

#define OF(member) offsetof(struct doctor_options, member)
/* clang-format off */
static const struct option_row k_rows[] = {
    {"PROGRAM", "", OPTION_TEXT, 0, OF(program), 0, 0, false,
     "node or scheduler; behind it what that is started with"},
    TOOL_OPTION_ROWS(0, OF(common)),
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};
static const struct tool_command k_command = {
    "doctor", &k_table,
    "headwater-tool doctor: whether a daemon can do here what its configuration says\n"
    "\n"
    "usage: headwater-tool doctor [OPTION]... node|scheduler [-c FILE] [--set KEY=VALUE]...\n",
    "Configuration, ports, descriptors, the clock, folders; of a node its schedulers and whether "
    "the\n"
    "addresses that it advertises lead here; of a scheduler Redis and its sentinels. What is not\n"
    "listened at yet the doctor listens at meanwhile, so it may run before the daemon or beside "
    "it.\n"
    "\n"
    "examples:\n"
    "  headwater-tool doctor node -c /etc/headwater/node.json\n"
    "  headwater-tool doctor --quiet scheduler --set store.type=redis\n"
    "\n"
    "exit code: 0 nothing fails; 1 something does; 2 usage\n"};

void doctor_say(struct doctor *d, enum doctor_verdict verdict, const char *check,
                const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    d->n[verdict]++;
    json_array_append_new(d->found,
                          json_pack("{s:s, s:s, s:s}", "verdict",
                                    verdict == DOCTOR_FAIL ? "fail" : k_doctor_verdicts[verdict],
                                    "check", check, "text", text));
    if (d->out && (verdict != DOCTOR_OK || !d->is_quiet))
        fprintf(d->out, "%-4s  %-11s  %s\n", k_doctor_verdicts[verdict], check, text);
}

/* --- a node --- */

enum { RTMP, HTTP, RTMPS, HTTPS, ADMIN, N_NODE_PORTS };

static void look_at_addresses(struct doctor *d, const struct node_conf *c,
                              const struct doctor_port *ports)
{
    const struct {
        const char *key, *url;
        unsigned port;
    } k_places[] = {
        {"cluster.advertise.public.rtmp", c->cluster_advertise_public_rtmp, RTMP},
        {"cluster.advertise.public.http", c->cluster_advertise_public_http, HTTP},
        {"cluster.advertise.public.rtmps", c->cluster_advertise_public_rtmps, RTMPS},
        {"cluster.advertise.public.https", c->cluster_advertise_public_https, HTTPS},
        {"cluster.advertise.internal.rtmp", c->cluster_advertise_internal_rtmp, RTMP},
        {"cluster.advertise.internal.http", c->cluster_advertise_internal_http, HTTP},
        {"cluster.advertise.internal.https", c->cluster_advertise_internal_https, HTTPS},
    };

    for (size_t i = 0; i < sizeof k_places / sizeof k_places[0]; i++)
        doctor_look_from_outside(d, k_places[i].key, k_places[i].url, &ports[k_places[i].port]);
}

static void look_at_folders(struct doctor *d, const struct node_conf *c)
{
    doctor_look_at_folder(d, "log.file", c->log_file, false);
    doctor_look_at_folder(d, "access_log.file", c->access_log_file, false);
    doctor_look_at_folder(d, "state.file", c->state_file, false);
    doctor_look_at_folder(d, "handover.socket", c->handover_socket, false);
    doctor_look_at_folder(d, "record.dir", c->record_dir, true);
    doctor_look_at_folder(d, "hls.disk.dir", c->hls_disk_dir, true);
}

static void ask_cluster(struct doctor *d, const struct node_conf *c)
{
    struct node_tokens tokens = {NULL, NULL};
    struct conf_error error;

    if (c->cluster_schedulers.n_items == 0)
        return;
    if (node_tokens_read(c->cluster_token_file, &tokens, &error) != E_OK) {
        doctor_say(d, DOCTOR_FAIL, "token", "%s", error.text);
        return;
    }
    doctor_ask_schedulers(d, &c->cluster_schedulers, tokens.sent ? tokens.sent : "");
    node_tokens_free(&tokens);
}

static void examine_node(struct doctor *d, const void *conf)
{
    const struct node_conf *c = conf;
    struct doctor_port ports[N_NODE_PORTS] = {
        [RTMP] = {"rtmp.listen", c->rtmp_listen, -1},
        [HTTP] = {"http.listen", c->http_listen, -1},
        [RTMPS] = {"rtmps.listen", node_conf_rtmps_listen(c), -1},
        [HTTPS] = {"https.listen", node_conf_https_listen(c), -1},
        [ADMIN] = {"admin.listen", c->admin_listen, -1},
    };

    doctor_open_ports(d, ports, N_NODE_PORTS);
    doctor_count_descriptors(d, c->limits_connections);
    doctor_read_clock(d);
    look_at_folders(d, c);
    ask_cluster(d, c);
    look_at_addresses(d, c, ports);
    doctor_close_ports(ports, N_NODE_PORTS);
}

/* --- a scheduler --- */

static void examine_scheduler(struct doctor *d, const void *conf)
{
    const struct scheduler_conf *c = conf;
    struct doctor_port ports[] = {
        {"http.listen", c->http_listen, -1},
        {"https.listen", scheduler_conf_https(c), -1},
        {"entry.listen", c->entry_listen, -1},
        {"entry.https_listen", scheduler_conf_entry_https(c), -1},
    };
    unsigned n_ports = sizeof ports / sizeof ports[0];
    struct scheduler_tokens tokens;
    struct conf_error error;

    doctor_open_ports(d, ports, n_ports);
    doctor_count_descriptors(d, 0);
    doctor_read_clock(d);
    doctor_look_at_folder(d, "log.file", c->log_file, false);
    if (scheduler_read_tokens("token_file", c->token_file, &tokens, &error) != E_OK)
        doctor_say(d, DOCTOR_FAIL, "token", "%s", error.text);
    else if (!tokens.token[0][0])
        doctor_say(d, DOCTOR_WARN, "token", "token_file is empty: only this machine is served");
    explicit_bzero(&tokens, sizeof tokens);
    if (c->store_type == STORE_REDIS)
        doctor_ask_redis(d, c);
    doctor_close_ports(ports, n_ports);
}

/* --- the command --- */

static enum err check_node(const void *conf, struct conf_error *error)
{
    return node_conf_check(conf, error);
}

static enum err check_scheduler(const void *conf, struct conf_error *error)
{
    return scheduler_conf_check(conf, error);
}

static const struct patient {
    const char *name;
    const struct conf_schema *schema;
    enum err (*check)(const void *conf, struct conf_error *error);
    void (*examine)(struct doctor *d, const void *conf);
} k_patients[] = {
    {"node", &k_node_schema, check_node, examine_node},
    {"scheduler", &k_scheduler_conf, check_scheduler, examine_scheduler},
};

static const struct patient *patient_of(const char *name)
{
    for (size_t i = 0; i < sizeof k_patients / sizeof k_patients[0]; i++)
        if (name && !strcmp(name, k_patients[i].name))
            return &k_patients[i];
    return NULL;
}

/* Everything there is to find out, configuration first: without one there is no more. */
static void examine(struct doctor *d, const struct patient *patient, const struct conf_args *args)
{
    union {
        struct node_conf node;
        struct scheduler_conf scheduler;
    } conf;
    struct conf_error error = {""};

    memset(&conf, 0, sizeof conf);
    if (conf_load(patient->schema, args, &conf, &error) != E_OK) {
        doctor_say(d, DOCTOR_FAIL, "config", "%s", error.text);
        return;
    }
    if (patient->check(&conf, &error) != E_OK) {
        doctor_say(d, DOCTOR_FAIL, "config", "%s", error.text);
    } else {
        doctor_say(d, DOCTOR_OK, "config", "%s",
                   args->path ? args->path : "defaults, environment and --set");
        patient->examine(d, &conf);
    }
    conf_free(patient->schema, &conf);
}

static int report(struct doctor *d, const struct tool_options *options)
{
    const char *path = options->json_path;
    json_t *json =
        json_pack("{s:i, s:i, s:i, s:O}", "ok", (int)d->n[DOCTOR_OK], "warn",
                  (int)d->n[DOCTOR_WARN], "fail", (int)d->n[DOCTOR_FAIL], "found", d->found);
    int status = d->n[DOCTOR_FAIL] ? 1 : 0;

    if (d->out && !d->is_quiet)
        fprintf(d->out, "%u ok, %u warn, %u fail\n", d->n[DOCTOR_OK], d->n[DOCTOR_WARN],
                d->n[DOCTOR_FAIL]);
    if (path && !strcmp(path, "-")) {
        if (json_dumpf(json, stdout, JSON_INDENT(1)) != 0 || putchar('\n') == EOF)
            status = 1;
    } else if (path && json_dump_file(json, path, JSON_INDENT(1)) != 0) {
        tool_say("%s: cannot be written", path);
        status = 1;
    }
    json_decref(json);
    return status;
}

static int run(const struct doctor_options *o, const struct patient *patient,
               struct conf_args *args)
{
    const struct tls_client_conf trust = {.ca_file = o->common.ca_file,
                                          .is_unverified = o->common.insecure,
                                          .handshake_timeout_ms = 10000};
    bool is_json_out = o->common.json_path && !strcmp(o->common.json_path, "-");
    struct doctor d = {.timeout_ms = (int64_t)(o->common.timeout_s * 1e3),
                       .is_quiet = o->common.quiet,
                       .out = is_json_out ? NULL : stdout,
                       .found = json_array()};
    struct tool_figures figures = {0};
    struct tls_error error = {""};
    struct tool_run loop;
    char why[256] = "";
    int status = 1;

    if (tool_run_init(&loop, &o->common, &figures, "", why, sizeof why) != E_OK)
        return tool_usage_error(&k_command, "", why);
    timer_stop(&loop.timer);  /* there is no progress to show */
    log_set_level(LOG_ERROR); /* what fails is told in our own words */
    d.loop = loop.loop;
    d.trust = tls_client_create(&trust, &error);
    if (d.trust && d.found) {
        examine(&d, patient, args);
        status = report(&d, &o->common);
    } else {
        status = tool_usage_error(&k_command, "", error.text);
    }
    tls_client_destroy(&d.trust);
    json_decref(d.found);
    tool_run_fini(&loop);
    return status;
}

/* Where the words of the daemon begin. */
static int own_words(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (patient_of(argv[i]))
            return i + 1;
    return argc;
}

int doctor_main(int argc, char **argv)
{
    struct doctor_options options = {.common = TOOL_OPTIONS_DEFAULT};
    int n_own = own_words(argc, argv), status;
    struct conf_error error;
    struct conf_args args;

    status = tool_parse(&k_command, n_own, argv, &options, &options.common);
    if (status >= 0)
        return status;
    if (!patient_of(options.program))
        return tool_usage_error(&k_command, options.program ? options.program : "",
                                "node or scheduler?");
    if (conf_parse_args(argc - n_own + 1, argv + n_own - 1, &args, &error) != E_OK)
        return tool_usage_error(&k_command, options.program, error.text);
    status = run(&options, patient_of(options.program), &args);
    conf_args_fini(&args);
    return status;
}
