/* The command: one question, one table. */
#include "tests/tools/route.h"

#include <stdlib.h>
#include <string.h>

#include "common/net/http_client.h"
#include "common/net/tls.h"
#include "proto/http/http.h"
#include "tests/tools/route_text.h"
#include "tests/tools/tool_run.h"

#define MAX_ANSWER_BYTES ((size_t)4 << 20)
#define MAX_TOKEN_BYTES 1024

struct route_options {
    const char *stream, *to, *token_file, *intent, *protocol, *node, *client_ip, *avoid;
    bool tls;
    struct tool_options common;
};

struct route {
    struct route_options options;
    struct tool_run run;
    struct tool_figures figures;
    struct http_client *client;
    struct tls_client *trust;
    json_t *answer;
    char error[512]; /* "" */
};

#define OF(member) offsetof(struct route_options, member)
/* clang-format off */
static const struct option_row k_rows[] = {
    {"STREAM", "", OPTION_TEXT, 0, OF(stream), 0, 0, false, "app/name"},
    {"--to", "URL", OPTION_TEXT, 0, OF(to), 0, 0, false,
     "the scheduler, or several with commas (http://127.0.0.1:8090)"},
    {"--token-file", "FILE", OPTION_TEXT, 0, OF(token_file), 0, 0, false,
     "its first word is the node token; without it only this machine's schedulers answer"},
    {"--intent", "WORD", OPTION_TEXT, 0, OF(intent), 0, 0, false, "play, source or publish (play)"},
    {"--protocol", "WORD", OPTION_TEXT, 0, OF(protocol), 0, 0, false,
     "that people come by: rtmp, flv, ts, mp4 or m3u8"},
    {"--node", "ID", OPTION_TEXT, 0, OF(node), 0, 0, false, "as if this node asked"},
    {"--avoid", "IDS", OPTION_TEXT, 0, OF(avoid), 0, 0, false, "not these nodes; with commas"},
    {"--client-ip", "IP", OPTION_TEXT, 0, OF(client_ip), 0, 0, false, "as if for this client"},
    {"--tls", "", OPTION_FLAG, 0, OF(tls), 0, 0, false, "people want https and rtmps"},
    TOOL_OPTION_ROWS(0, OF(common)),
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};
static const struct tool_command k_command = {
    "route", &k_table,
    "headwater-tool route: where a scheduler sends whom, and why\n"
    "\n"
    "usage: headwater-tool route STREAM [OPTION]...\n",
    "What it decides, then every node that it has looked at, the preferred one first, with the\n"
    "reason for or against it. Nothing is counted or promised by asking.\n"
    "\n"
    "example:\n"
    "  headwater-tool route live/a --to http://10.0.0.5:8090 --token-file /etc/headwater/token\n"
    "\n"
    "exit code: 0 there is an answer; 1 no scheduler gave one; 2 usage\n"};

static void on_done(void *arg, const struct http_reply *reply)
{
    struct route *r = arg;

    if (reply->e != E_OK)
        snprintf(r->error, sizeof r->error, "%s: %s", reply->server, err_text(reply->e));
    else
        r->answer = json_loadb((const char *)reply->body.data, reply->body.size_bytes, 0, NULL);
    if (reply->e == E_OK && reply->status != 200) {
        const char *detail = json_string_value(json_object_get(r->answer, "detail"));

        snprintf(r->error, sizeof r->error, "%s: HTTP status %u: %s", reply->server, reply->status,
                 detail ? detail : http_status_text(reply->status));
    } else if (reply->e == E_OK && !json_is_object(r->answer)) {
        snprintf(r->error, sizeof r->error, "%s: no JSON object in its answer", reply->server);
    }
    loop_stop(r->run.loop);
}

static void write_question(const struct route_options *o, struct buf_writer *out)
{
    const struct {
        const char *key, *value;
    } args[] = {{"stream", o->stream},       {"intent", o->intent}, {"protocol", o->protocol},
                {"node", o->node},           {"avoid", o->avoid},   {"client_ip", o->client_ip},
                {"tls", o->tls ? "1" : NULL}};

    buf_write_str(out, "/v1/route?explain=1");
    for (size_t i = 0; i < sizeof args / sizeof args[0]; i++) {
        if (!args[i].value)
            continue;
        buf_printf(out, "&%s=", args[i].key);
        http_percent_encode(buf_view_str(args[i].value), out);
    }
    buf_write_u8(out, 0);
}

static bool read_token(const char *path, char token[MAX_TOKEN_BYTES])
{
    FILE *file = fopen(path, "re");
    bool has_one = file && fscanf(file, "%1023s", token) == 1;

    if (file)
        (void)fclose(file);
    return has_one;
}

static int make_client(struct route *r, char *urls)
{
    const struct tls_client_conf trust = {.ca_file = r->options.common.ca_file,
                                          .is_unverified = r->options.common.insecure,
                                          .handshake_timeout_ms = 10000};
    const char *list[16], *why = "";
    char token[MAX_TOKEN_BYTES] = "";
    struct http_client_conf conf = {.urls = list,
                                    .bearer_token = token,
                                    .timeout_ms = (int64_t)(r->options.common.timeout_s * 1e3),
                                    .max_body_bytes = MAX_ANSWER_BYTES,
                                    .log_area = "route"};
    struct tls_error error = {""};
    char *url;

    while ((url = strsep(&urls, ",")) && conf.n_urls < 16)
        list[conf.n_urls++] = url;
    if (r->options.token_file && !read_token(r->options.token_file, token))
        return tool_usage_error(&k_command, r->options.token_file, "no token can be read");
    conf.tls = r->trust = tls_client_create(&trust, &error);
    if (!r->trust)
        return tool_usage_error(&k_command, "", error.text);
    r->client = http_client_create(r->run.loop, &conf, &why);
    explicit_bzero(token, sizeof token);
    return r->client ? -1 : tool_usage_error(&k_command, r->options.to, why);
}

static void ask(struct route *r)
{
    struct buf_writer question;

    buf_writer_init(&question, 8192);
    write_question(&r->options, &question);
    if (buf_writer_status(&question) == E_OK &&
        http_client_call(r->client, "GET", (const char *)question.data, NULL, on_done, r))
        tool_run_loop(&r->run);
    else
        snprintf(r->error, sizeof r->error, "the question is too long");
    buf_writer_fini(&question);
    if (!r->error[0] && !r->answer)
        snprintf(r->error, sizeof r->error, "interrupted");
}

static int conclude(struct route *r)
{
    const char *path = r->options.common.json_path;
    struct buf_writer text;

    if (r->error[0]) {
        tool_say("%s", r->error);
        tool_json_error(r->error);
        return 1;
    }
    if (path && !tool_write_json(r->answer, path))
        return 1;
    if (tool_has_json_on_stdout(&r->options.common))
        return 0;
    buf_writer_init(&text, MAX_ANSWER_BYTES);
    route_write_text(&text, r->answer);
    (void)fwrite(text.data, 1, text.used_bytes, stdout);
    buf_writer_fini(&text);
    return 0;
}

int route_main(int argc, char **argv)
{
    static struct route r = {
        .options = {.to = "http://127.0.0.1:8090", .common = TOOL_OPTIONS_DEFAULT}};
    int status = tool_parse(&k_command, argc, argv, &r.options, &r.options.common);
    char why[256] = "", *urls;

    if (status >= 0)
        return status;
    if (!r.options.stream)
        return tool_usage_error(&k_command, "", "which stream?");
    if (tool_run_init(&r.run, &r.options.common, &r.figures, "", why, sizeof why) != E_OK)
        return tool_usage_error(&k_command, "", why);
    timer_stop(&r.run.timer); /* there is no progress to show */
    urls = strdup(r.options.to);
    status = urls ? make_client(&r, urls) : 1;
    if (status < 0) {
        ask(&r);
        status = conclude(&r);
    }
    http_client_destroy(&r.client);
    tls_client_destroy(&r.trust);
    json_decref(r.answer);
    free(urls);
    tool_run_fini(&r.run);
    return status;
}
