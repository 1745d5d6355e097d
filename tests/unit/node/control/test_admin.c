/* node/control/admin over real HTTP on loopback: access, lists, kicks, metrics. All loops are
 * turned by this thread. */
#include "tests/unit/node/control/http_ask.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/net/budget.h"
#include "node/control/admin.h"
#include "node/control/admin_private.h"
#include "node/control/node_metrics.h"
#include "node/control/settings.h"
#include "node/node.h"

#define PATIENCE_US 10000000
#define N_LOOPS 2
#define REPLY_SIZE 65536

#define LOCAL "Host: localhost\r\n"
#define JSON "Content-Type: application/json\r\n"

struct rig {
    struct node node;
    struct node_loop loops[N_LOOPS];
    struct session_info sessions[3];
    unsigned n_kicked;
    struct source source;
    enum err evicted;
    char reply[REPLY_SIZE];
    unsigned status;
};
static struct rig *rig;

static void no_source(void *arg, struct stream *stream)
{
    (void)arg;
    (void)stream;
}

static void on_kick(struct session_info *info)
{
    rig->n_kicked++;
    session_info_fini(info, &rig->loops[1].media);
}

static void on_count(const struct session_info *info, struct session_counts *counts)
{
    (void)info;
    counts->bytes_in = 11;
    counts->bytes_out = 22;
    counts->lag_us = 33000;
    counts->n_jumps = 4;
    counts->frames_in = 5;
    counts->frames_out = 6;
    counts->n_dropped = 7;
}

static void turn(void)
{
    for (unsigned i = 0; i < N_LOOPS; i++)
        loop_turn(rig->loops[i].media.loop, false);
    loop_turn(rig->node.control, false);
}

static void open_sessions(void)
{
    static const struct {
        const char *protocol, *kind, *stream;
    } k_rows[3] = {{"rtmp", "publish", "live/a"}, {"flv", "play", "live/a"}, {"rtmp", "idle", ""}};

    for (unsigned i = 0; i < 3; i++) {
        struct session_info *info = &rig->sessions[i];

        session_info_init(info, &rig->loops[1].media, 's', k_rows[i].protocol, "10.0.0.1:5");
        snprintf(info->id, sizeof info->id, "s-%u", i);
        info->stream = k_rows[i].stream;
        info->kind = k_rows[i].kind;
        info->count = on_count;
        info->kick = on_kick;
    }
}

static int setup(void **state)
{
    static const struct stream_conf k_conf = {
        .gop = {1, 1 << 20, 1000000}, .publisher_grace_ms = 1000, .publish_stall_ms = 60000};
    static char k_token[] = "secret", k_other[] = "other";
    struct stream_hooks hooks = {.need_source = no_source, .changed = no_source};
    struct conf_args args = {0};
    struct conf_error conf_error;
    struct listen_error error;
    int hold_fd = -1;

    (void)state;
    rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    log_set_level(LOG_ERROR);
    assert_int_equal(conf_load(&k_node_schema, &args, &rig->node.conf, &conf_error), E_OK);
    strcpy(rig->node.id, "n1");
    rig->node.token = k_token;
    rig->node.token_also = k_other;
    rig->node.budget = conn_budget_create(100, 0);
    assert_non_null(rig->node.budget);
    rig->node.admin_budget = conn_budget_create(100, 0);
    assert_non_null(rig->node.admin_budget);
    rig->node.stream_conf = k_conf;
    rig->node.registry = registry_create(&rig->node.stream_conf, &hooks);
    rig->node.control = loop_create("control", N_LOOPS);
    rig->node.settings = settings_create(rig->node.control, rig->node.id);
    assert_non_null(rig->node.settings);
    rig->node.n_loops = N_LOOPS;
    rig->node.loops = rig->loops;
    for (unsigned i = 0; i < N_LOOPS; i++) {
        rig->loops[i].node = &rig->node;
        assert_int_equal(
            media_loop_init(&rig->loops[i].media, loop_create("media", i), rig->node.registry),
            E_OK);
        rig->loops[i].media.owner = &rig->loops[i];
    }
    assert_int_equal(
        listen_reserve("admin.listen", "127.0.0.1:0", &rig->node.admin_addr, &hold_fd, &error),
        E_OK);
    rig->node.admin = admin_create(&rig->node, NULL, 0, &error);
    assert_non_null(rig->node.admin);
    close(hold_fd);
    open_sessions();
    return 0;
}

static int teardown(void **state)
{
    struct list *node, *tmp;

    (void)state;
    settings_destroy(&rig->node.settings);
    admin_destroy(&rig->node.admin);
    for (unsigned i = 0; i < N_LOOPS; i++) {
        list_for_each_safe(node, tmp, &rig->loops[i].media.streams) {
            stream_kick(stream_at_home(node));
        }
        media_loop_fini(&rig->loops[i].media);
        loop_destroy(&rig->loops[i].media.loop);
    }
    loop_destroy(&rig->node.control);
    registry_destroy(&rig->node.registry);
    conn_budget_destroy(&rig->node.budget);
    conn_budget_destroy(&rig->node.admin_budget);
    conf_free(&k_node_schema, &rig->node.conf);
    free(rig);
    return 0;
}

static void on_evict(struct source *source, enum err why)
{
    (void)source;
    rig->evicted = why;
}

static struct stream *open_stream(const char *path)
{
    struct stream_name name;
    const char *why;
    struct stream *stream;

    assert_int_equal(stream_name_from_path(&name, buf_view_str(path), &why), E_OK);
    stream = registry_get(rig->node.registry, &name);
    assert_non_null(stream);
    turn(); /* its home loop takes it in */
    return stream;
}

/* A stream with a publisher. */
static void publish(const char *path)
{
    struct source_offer offer = {.epoch = UINT64_C(9007199254740993), .numbers_gops = true};
    struct stream *stream = open_stream(path);

    rig->source = (struct source){.kind = SOURCE_PUBLISHER,
                                  .protocol = "rtmp",
                                  .session_id = "s-0",
                                  .upstream = "",
                                  .on_evict = on_evict};
    assert_int_equal(stream_attach(stream, &rig->source, &offer), E_OK);
    stream_unref(&stream);
}

static void ask(const char *request, const char *headers)
{
    int fd = http_ask_send(&rig->node.admin_addr, request, headers);

    rig->status = http_ask_read(fd, turn, rig->reply, REPLY_SIZE);
}

#define ASSERT_SAYS(text)                                             \
    do {                                                              \
        if (!strstr(rig->reply, text))                                \
            fail_msg("%d: no %s in: %s", __LINE__, text, rig->reply); \
    } while (0)
#define ASSERT_SAYS_NOT(text) assert_null(strstr(rig->reply, text))

/* --- access --- */

static const struct {
    const char *request, *headers;
    unsigned status;
} k_access[] = {
    {"GET /api/v1/node", LOCAL, 200},
    {"GET /api/v1/node", "Host: 127.0.0.1:8081\r\n", 200},
    {"GET /api/v1/node", "Host: evil.example\r\n", 401},
    {"GET /api/v1/node", LOCAL "Origin: http://evil.example\r\n", 401},
    {"GET /api/v1/node", "Host: evil.example\r\nAuthorization: Bearer secret\r\n", 200},
    {"GET /api/v1/node", "Host: evil.example\r\nAuthorization: Bearer secre\r\n", 401},
    {"GET /metrics", "Host: evil.example\r\n", 401},
    {"GET /api/v1/config", "Host: evil.example\r\n", 401},
    {"GET /api/v1/streams", "Host: evil.example\r\n", 401},
    {"GET /api/v1/streams/live/a", "Host: evil.example\r\n", 401},
    {"GET /api/v1/sessions", "Host: evil.example\r\n", 401},
    {"GET /api/v1/sessions/s-0", "Host: evil.example\r\n", 401},
    {"GET /api/v1/trace?session=s-0", "Host: evil.example\r\n", 401},
    {"DELETE /api/v1/streams/live/a", "Host: evil.example\r\n" JSON, 401},
    {"DELETE /api/v1/sessions/s-0", "Host: evil.example\r\n" JSON, 401},
    {"DELETE /api/v1/sessions/s-0", LOCAL, 415},
    {"DELETE /api/v1/sessions/s-0", LOCAL "Content-Type: text/plain\r\n", 415},
    {"DELETE /api/v1/sessions/s-0", LOCAL "Content-Type: application/jsonx\r\n", 415},
    {"DELETE /api/v1/streams/live/a", LOCAL, 415},
    {"GET /healthz", "Host: any.example\r\n", 200},
    {"GET /readyz", "Host: any.example\r\n", 200},
    {"GET /api/v1/nodes", LOCAL, 404},
    {"GET /api/v1/node", "Host: evil.example\r\nAuthorization: Bearer other\r\n", 200},
    {"POST /api/v1/nodes/n1/drain", "Host: evil.example\r\n" JSON, 401},
    {"POST /api/v1/nodes/n1/drain", LOCAL, 415},
    {"POST /api/v1/nodes/n2/drain", LOCAL JSON, 404},
    {"GET /api/v1/nodes/n1/drain", LOCAL, 405},
    {"GET /api/v1/hls/groups", "Host: evil.example\r\n", 401},
    {"GET /api/v1/hls/groups", LOCAL, 404}, /* HLS is off */
    {"POST /api/v1/hls/groups", "Host: evil.example\r\n" JSON, 401},
    {"POST /api/v1/hls/groups", LOCAL, 415},
    {"DELETE /api/v1/hls/groups/live/x", "Host: evil.example\r\n" JSON, 401},
    {"DELETE /api/v1/hls/groups/live/x", LOCAL, 415},
};

static void test_request_gives_the_status_of_its_rights(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_access / sizeof k_access[0]; i++) {
        ask(k_access[i].request, k_access[i].headers);
        if (rig->status != k_access[i].status)
            fail_msg("row %zu: %u instead of %u", i, rig->status, k_access[i].status);
    }
    assert_int_equal(rig->n_kicked, 0);
}

/* Each token asks what needs each scope. */
static void test_token_gives_what_its_scope_may(void **state)
{
    static const char k_file[] = "eye read eye-secret-012345\nhand operate hand-secret-01234\n"
                                 "boss admin boss-secret-01234\n";
    static const struct {
        const char *request;
        unsigned eye, hand, boss; /* status */
    } k_rows[] = {
        {"GET /api/v1/node", 200, 200, 200},
        {"GET /metrics", 200, 200, 200},
        {"GET /api/v1/limits", 200, 200, 200},
        {"GET /api/v1/log/level", 200, 200, 200},
        {"DELETE /api/v1/streams/live/none", 403, 404, 404},
        {"DELETE /api/v1/sessions/none", 403, 404, 404},
        {"DELETE /api/v1/sessions?stream=live/none", 403, 200, 200},
        {"GET /api/v1/config", 403, 403, 200},
        {"PUT /api/v1/log/level", 403, 403, 400}, /* no body */
        {"POST /api/v1/nodes/n2/drain", 403, 403, 404},
    };
    static const char *const k_secrets[] = {"eye-secret-012345", "hand-secret-01234",
                                            "boss-secret-01234"};
    char path[] = "/tmp/test_admin.XXXXXX", headers[256];
    int fd = mkstemp(path); /* mode 0600 */

    (void)state;
    assert_int_equal(write(fd, k_file, sizeof k_file - 1), (int)sizeof k_file - 1);
    close(fd);
    free(rig->node.conf.admin_tokens_file);
    rig->node.conf.admin_tokens_file = strdup(path);
    admin_reload(rig->node.admin);
    unlink(path);
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++)
        for (unsigned who = 0; who < 3; who++) {
            const unsigned wanted[] = {k_rows[i].eye, k_rows[i].hand, k_rows[i].boss};

            snprintf(headers, sizeof headers,
                     "Host: x.example\r\nAuthorization: Bearer %s\r\n" JSON, k_secrets[who]);
            ask(k_rows[i].request, headers);
            if (rig->status != wanted[who])
                fail_msg("%s as %u: %u", k_rows[i].request, who, rig->status);
        }
}

static void test_sessions_that_match_are_ended_and_others_stay(void **state)
{
    (void)state;
    ask("DELETE /api/v1/sessions?stream=live/a&kind=play", LOCAL JSON);
    assert_int_equal(rig->status, 200);
    ASSERT_SAYS("{\"closed\":1}");
    assert_int_equal(rig->n_kicked, 1);
    ask("GET /api/v1/sessions", LOCAL);
    ASSERT_SAYS("s-0");
    ASSERT_SAYS_NOT("s-1");
    ASSERT_SAYS("s-2");
    ask("DELETE /api/v1/sessions?client=10.0.0.0/24&min_lag_ms=33", LOCAL JSON);
    ASSERT_SAYS("{\"closed\":2}");
    ask("DELETE /api/v1/sessions?client=10.0.0.0/24", LOCAL JSON);
    ASSERT_SAYS("{\"closed\":0}");
}

/* --- health --- */

static void test_readyz_gives_503_when_draining_and_healthz_does_not(void **state)
{
    (void)state;
    ask("GET /readyz", LOCAL);
    ASSERT_SAYS("{\"status\":\"ready\",\"cluster\":\"none\"}");
    atomic_store(&rig->node.draining, true);
    ask("GET /readyz", LOCAL);
    assert_int_equal(rig->status, 503);
    ASSERT_SAYS("draining");
    ask("GET /healthz", LOCAL);
    assert_int_equal(rig->status, 200);
}

static void test_drain_gives_a_node_that_is_not_ready_until_it_is_taken_back(void **state)
{
    int64_t end_us = clock_mono_us() + PATIENCE_US;

    (void)state;
    ask("POST /api/v1/nodes/n1/drain", LOCAL JSON);
    assert_int_equal(rig->status, 200);
    ASSERT_SAYS("\"state\":\"draining\"");
    ask("GET /readyz", LOCAL);
    assert_int_equal(rig->status, 503);
    while (!atomic_load(&m_drain_viewers.value)) { /* the sessions of the rig are looked at */
        assert_true(clock_mono_us() < end_us);
        turn();
    }
    ask("GET /metrics", LOCAL);
    ASSERT_SAYS("headwater_draining 1\n");
    ASSERT_SAYS("headwater_drain_sessions{kind=\"publish\"} 1\n");
    ASSERT_SAYS("headwater_drain_sessions{kind=\"play\"} 1\n");
    ASSERT_SAYS("headwater_drain_sessions{kind=\"relay\"} 0\n");
    ask("DELETE /api/v1/nodes/n1/drain", LOCAL JSON);
    ASSERT_SAYS("\"state\":\"active\"");
    ask("GET /readyz", LOCAL);
    assert_int_equal(rig->status, 200);
    node_drain(&rig->node, DRAIN_SIGNAL);
    node_resume(&rig->node); /* is for orders alone */
    ask("GET /readyz", LOCAL);
    assert_int_equal(rig->status, 503);
    timer_stop(&rig->node.drain.timer);
}

/* --- streams --- */

static void test_streams_gives_sorted_pages(void **state)
{
    static const char *const k_paths[] = {"/live/c", "/live/a", "/live/eu/b", "/live/b"};
    struct stream *streams[4];

    (void)state;
    for (int i = 0; i < 4; i++) /* they live on both loops */
        streams[i] = open_stream(k_paths[i]);
    ask("GET /api/v1/streams?limit=3", LOCAL);
    assert_int_equal(rig->status, 200);
    ASSERT_SAYS("\"next\":\"live/c\"}");
    assert_true(strstr(rig->reply, "live/a") < strstr(rig->reply, "live/b"));
    assert_true(strstr(rig->reply, "live/b") < strstr(rig->reply, "live/c"));
    ASSERT_SAYS_NOT("live/eu/b");
    ask("GET /api/v1/streams?limit=3&after=live%2Fc", LOCAL);
    ASSERT_SAYS("live/eu/b");
    ASSERT_SAYS("\"next\":null}");
    ask("GET /api/v1/streams?limit=1001", LOCAL);
    assert_int_equal(rig->status, 400);
    for (int i = 0; i < 4; i++)
        stream_unref(&streams[i]);
}

static void test_stream_gives_source_and_whole_epoch(void **state)
{
    (void)state;
    publish("/live/eu/a");
    ask("GET /api/v1/streams/live/eu/a", LOCAL);
    assert_int_equal(rig->status, 200);
    ASSERT_SAYS("\"name\":\"live/eu/a\",\"live\":true");
    ASSERT_SAYS("\"kind\":\"publish\",\"protocol\":\"rtmp\",\"session\":\"s-0\"");
    ASSERT_SAYS("\"epoch\":\"9007199254740993\""); /* 2^53 + 1: lost as a double */
    ASSERT_SAYS("\"lag_us\":0,\"lag_uncertainty_us\":0,\"hops\":[{\"node\":\"n1\","
                "\"epoch\":\"9007199254740993\",\"lag_us\":0,\"uncertainty_us\":0,");
    ask("GET /api/v1/streams/live/none", LOCAL);
    assert_int_equal(rig->status, 404);
    ASSERT_SAYS("application/problem+json");
}

static void test_delete_stream_kicks_its_publisher(void **state)
{
    (void)state;
    publish("/live/a");
    ask("DELETE /api/v1/streams/live/a", LOCAL JSON);
    assert_int_equal(rig->status, 204);
    assert_int_equal(rig->evicted, E_DENIED);
    ask("DELETE /api/v1/streams/live/none", LOCAL JSON);
    assert_int_equal(rig->status, 404);
}

/* --- sessions --- */

static void test_sessions_gives_counters_pages_and_filters(void **state)
{
    (void)state;
    ask("GET /api/v1/sessions?limit=2", LOCAL);
    ASSERT_SAYS("\"id\":\"s-0\",\"protocol\":\"rtmp\",\"kind\":\"publish\",\"peer\":\"10.0.0.1:5\","
                "\"stream\":\"live/a\"");
    ASSERT_SAYS("\"bytes_in\":11,\"bytes_out\":22,\"lag_ms\":33,\"jumps\":4,"
                "\"frames_in\":5,\"frames_out\":6,\"dropped\":7");
    ASSERT_SAYS("\"next\":\"s-1\"}");
    ask("GET /api/v1/sessions?limit=2&after=s-1", LOCAL);
    ASSERT_SAYS("s-2");
    ASSERT_SAYS("\"next\":null}");
    ask("GET /api/v1/sessions?protocol=rtmp", LOCAL);
    ASSERT_SAYS("s-0");
    ASSERT_SAYS("s-2");
    ASSERT_SAYS_NOT("s-1");
    ask("GET /api/v1/sessions?protocol=rtmp&stream=live/a", LOCAL);
    ASSERT_SAYS("s-0");
    ASSERT_SAYS_NOT("s-2");
}

static void test_session_gives_the_way_of_its_stream(void **state)
{
    (void)state;
    publish("/live/a");
    ask("GET /api/v1/sessions/s-1", LOCAL);
    assert_int_equal(rig->status, 200);
    ASSERT_SAYS("{\"id\":\"s-1\",\"protocol\":\"flv\",\"kind\":\"play\"");
    ASSERT_SAYS("\"lag_us\":0,\"lag_uncertainty_us\":0,\"hops\":[{\"node\":\"n1\",");
    ask("GET /api/v1/trace?session=n1/s-1", LOCAL);
    ASSERT_SAYS("{\"v\":1,\"session\":\"s-1\",\"kind\":\"play\",\"stream\":\"live/a\"");
    ASSERT_SAYS("\"node\":\"n1\",\"hops\":[{\"node\":\"n1\",");
    ask("GET /api/v1/sessions/s-2", LOCAL); /* has no stream */
    assert_int_equal(rig->status, 200);
    ASSERT_SAYS_NOT("hops");
    ask("GET /api/v1/sessions/none", LOCAL);
    assert_int_equal(rig->status, 404);
}

static void test_delete_session_kicks_that_one(void **state)
{
    (void)state;
    ask("DELETE /api/v1/sessions/s-1", LOCAL JSON);
    assert_int_equal(rig->status, 204);
    assert_int_equal(rig->n_kicked, 1);
    ask("DELETE /api/v1/sessions/s-1", LOCAL "Content-Type: application/json; charset=utf-8\r\n");
    assert_int_equal(rig->status, 404);
    ask("GET /api/v1/sessions", LOCAL);
    ASSERT_SAYS_NOT("s-1");
}

/* --- the rest --- */

static void test_metrics_gives_gathered_gauges(void **state)
{
    struct stream *waiting = open_stream("/live/w");

    (void)state;
    publish("/live/a");
    ask("GET /metrics", LOCAL);
    assert_int_equal(rig->status, 200);
    ASSERT_SAYS("text/plain; version=0.0.4");
    ASSERT_SAYS("headwater_streams{kind=\"published\"} 1\n");
    ASSERT_SAYS("headwater_streams{kind=\"waiting\"} 1\n");
    ASSERT_SAYS("headwater_sessions{protocol=\"rtmp\",kind=\"publish\"} 1\n");
    ASSERT_SAYS("headwater_sessions{protocol=\"flv\",kind=\"play\"} 1\n");
    ASSERT_SAYS("headwater_sessions{protocol=\"relay\",kind=\"pull\"} 0\n");
    ASSERT_SAYS("headwater_bytes_in_total{protocol=\"rtmp\"} 22\n"); /* two sessions */
    ASSERT_SAYS("headwater_bytes_out_total{protocol=\"flv\"} 22\n");
    session_info_fini(&rig->sessions[1], &rig->loops[1].media); /* it ends */
    metric_add(&m_bytes_out_flv, 30);
    ask("GET /metrics", LOCAL);
    ASSERT_SAYS("headwater_bytes_out_total{protocol=\"flv\"} 30\n");
    stream_unref(&waiting);
}

static void test_node_gives_id_and_addresses(void **state)
{
    (void)state;
    ask("GET /api/v1/node", LOCAL);
    ASSERT_SAYS("\"id\":\"n1\"");
    ASSERT_SAYS("\"loops\":2");
    ASSERT_SAYS("\"admin\":\"127.0.0.1:");
    ASSERT_SAYS("\"rtmp\":null");
    ASSERT_SAYS("\"cluster\":{\"state\":\"none\",\"schedulers\":[]}");
}

static void test_config_gives_values_but_no_secrets(void **state)
{
    const char *set = "pull.sources=live/a=rtmp://user:pass@host/app/streamkey?token=t,"
                      "live/b=http://plain";
    struct conf_args args = {.sets = &set, .n_sets = 1};
    struct conf_error error;

    (void)state;
    conf_free(&k_node_schema, &rig->node.conf);
    memset(&rig->node.conf, 0, sizeof rig->node.conf);
    assert_int_equal(conf_load(&k_node_schema, &args, &rig->node.conf, &error), E_OK);
    ask("GET /api/v1/config", LOCAL);
    ASSERT_SAYS("\"gop_cache.count\":1");
    ASSERT_SAYS("\"latency\":\"balanced\"");
    ASSERT_SAYS("[\"live/a=rtmp://***@host/***\",\"live/b=http://plain\"]");
    ASSERT_SAYS_NOT("pass");
    ASSERT_SAYS_NOT("streamkey");
    ASSERT_SAYS_NOT("secret");
}

/* Body and all; what is sent behind it is not read. */
static void post_group(const char *body)
{
    char headers[1024];

    snprintf(headers, sizeof headers,
             LOCAL JSON "Content-Length: %zu\r\nConnection: close\r\n\r\n%s", strlen(body), body);
    ask("POST /api/v1/hls/groups", headers);
}

static void test_hls_groups_are_told_listed_and_removed(void **state)
{
    static const struct {
        const char *body;
        unsigned status;
    } k_cases[] = {
        {"{\"name\":\"live/x\",\"renditions\":[\"live/hi\",\"live/lo\"]}", 200},
        {"{\"name\":\"live/a\",\"renditions\":[\"live/a1\"]}", 200},
        {"{\"name\":\"live/y\",\"renditions\":[\"live/hi\"]}", 409},
        {"{\"name\":\"live/y\",\"renditions\":[\"live/y\"]}", 400},
        {"{\"name\":\"live/y\",\"renditions\":[]}", 400},
        {"{\"name\":\"live/y\",\"renditions\":[1]}", 400},
        {"{\"name\":\"y\",\"renditions\":[\"live/hi\"]}", 400},
        {"{\"name\":\"live/y\",\"renditions\":[\"1/1\",\"1/2\",\"1/3\",\"1/4\",\"1/5\",\"1/6\","
         "\"1/7\",\"1/8\",\"1/9\"]}",
         400},
        {"[]", 400},
        {"{", 400},
        {"{\"name\":\"live/y\",\"renditions\":[\"live/z\"],\"colour\":1}", 400},
        {"", 400},
    };

    (void)state;
    rig->node.hls = hls_create(rig->node.registry, N_LOOPS, &rig->node.hls_conf);
    hls_own_settings(rig->node.hls, rig->node.settings);
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        post_group(k_cases[i].body);
        if (rig->status != k_cases[i].status)
            fail_msg("row %zu: %u: %s", i, rig->status, rig->reply);
    }
    ask("GET /api/v1/hls/groups", LOCAL);
    ASSERT_SAYS("{\"items\":[{\"name\":\"live/a\",\"renditions\":[\"live/a1\"]},{\"name\":\"live/"
                "x\",\"renditions\":[\"live/hi\",\"live/lo\"]}],\"next\":null}");
    ask("GET /api/v1/hls/groups?limit=1", LOCAL);
    ASSERT_SAYS(
        "{\"items\":[{\"name\":\"live/a\",\"renditions\":[\"live/a1\"]}],\"next\":\"live/a\"}");
    ask("GET /api/v1/hls/groups?limit=1&after=live/a", LOCAL);
    ASSERT_SAYS("{\"items\":[{\"name\":\"live/x\"");
    ASSERT_SAYS("\"next\":null}");
    ask("GET /api/v1/hls/groups/live/a", LOCAL);
    ASSERT_SAYS("{\"name\":\"live/a\",\"renditions\":[\"live/a1\"]}");
    ask("GET /api/v1/hls/groups/live/b", LOCAL);
    assert_int_equal(rig->status, 404);
    ask("DELETE /api/v1/hls/groups/live/x", LOCAL JSON);
    assert_int_equal(rig->status, 204);
    ask("DELETE /api/v1/hls/groups/live/x", LOCAL JSON);
    assert_int_equal(rig->status, 404);
    ask("GET /api/v1/hls/groups", LOCAL);
    ASSERT_SAYS_NOT("live/hi");
    hls_destroy(&rig->node.hls);
}

static void test_request_is_forgotten_when_its_peer_leaves(void **state)
{
    const struct addr *to = &rig->node.admin_addr;
    static const char k_request[] = "GET /api/v1/streams HTTP/1.1\r\n" LOCAL "\r\n";
    int fd = socket(to->storage.ss_family, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(connect(fd, (const struct sockaddr *)&to->storage, to->size_bytes), 0);
    assert_int_equal(write(fd, k_request, sizeof k_request - 1), (int)sizeof k_request - 1);
    loop_turn(rig->node.control, false); /* accepted */
    loop_turn(rig->node.control, false); /* read: the media loops have not been turned */
    close(fd);
    loop_turn(rig->node.control, false);
    for (int i = 0; i < 4; i++)
        turn();
    ask("GET /api/v1/streams", LOCAL);
    assert_int_equal(rig->status, 200);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request_gives_the_status_of_its_rights),
        TEST(test_token_gives_what_its_scope_may),
        TEST(test_sessions_that_match_are_ended_and_others_stay),
        TEST(test_readyz_gives_503_when_draining_and_healthz_does_not),
        TEST(test_drain_gives_a_node_that_is_not_ready_until_it_is_taken_back),
        TEST(test_streams_gives_sorted_pages),
        TEST(test_stream_gives_source_and_whole_epoch),
        TEST(test_delete_stream_kicks_its_publisher),
        TEST(test_sessions_gives_counters_pages_and_filters),
        TEST(test_session_gives_the_way_of_its_stream),
        TEST(test_delete_session_kicks_that_one),
        TEST(test_metrics_gives_gathered_gauges),
        TEST(test_node_gives_id_and_addresses),
        TEST(test_config_gives_values_but_no_secrets),
        TEST(test_hls_groups_are_told_listed_and_removed),
        TEST(test_request_is_forgotten_when_its_peer_leaves),
    };

    node_metrics_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
