/* Nodes and schedulers of this release and the one before work together: what the one before
 * encoded is read, and what is encoded now obeys the rules that the one before read by. Both are
 * recorded here: its messages as bytes, its rules as tables. With the next release they are
 * replaced. */
#include "tests/unit/proto/cluster/cluster_test.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* --- its messages --- */

static const char k_heartbeat[] =
    "{\"v\":1,\"instance\":\"18446744073709551615\",\"seq\":42,\"full\":true,\"role\":\"both\","
    "\"state\":\"draining\",\"zone\":\"eu-west\",\"capacity_egress_bps\":10000000000,"
    "\"highest_epoch\":\"1700000000000001\",\"public\":{\"rtmp\":\"rtmp://a.example:1935\","
    "\"http\":\"http://a.example:8080\",\"https\":\"https://a.example\"},"
    "\"internal\":{\"rtmp\":\"rtmp://[::1]:1935\",\"http\":\"http://10.0.0.1:8080\"},"
    "\"load\":{\"publishers\":1,\"viewers\":2,\"relays\":3,\"streams\":4,\"in_bps\":5000000000,"
    "\"out_bps\":6000000000,\"cpu_permille\":700},\"streams\":[{\"name\":\"live/one\","
    "\"epoch\":\"1700000000000000\",\"viewers\":9,\"children\":2},{\"name\":\"live/sub/two\","
    "\"kind\":\"carried\",\"epoch\":\"7\",\"depth\":1,\"upstream\":\"origin-1\"},"
    "{\"name\":\"live/three\",\"removed\":true}]}";

static const char k_reply[] =
    "{\"v\":1,\"lease_ms\":5000,\"interval_ms\":1000,\"want_full\":true,\"highest_epoch\":\"99\","
    "\"fenced\":[{\"name\":\"live/x\",\"epoch\":\"12\",\"owner\":\"o2\"}]}";

static const char k_publish[] = "{\"v\":1,\"node\":\"o1\",\"instance\":\"1152921504606846976\","
                                "\"highest_epoch\":\"3\",\"takeover\":true,"
                                "\"client\":\"10.0.0.9:4000\"}";
static const char k_unpublish[] = "{\"v\":1,\"node\":\"o1\",\"instance\":\"7\",\"epoch\":\"5\"}";
static const char k_granted[] =
    "{\"v\":1,\"decision\":\"granted\",\"epoch\":\"1700000000000002\",\"lease_ms\":5000}";
static const char k_forward[] = "{\"v\":1,\"decision\":\"forward\",\"origin\":\"o1\","
                                "\"origin_rtmp\":\"rtmp://10.0.0.1:1935\"}";
static const char k_refused[] = "{\"v\":1,\"decision\":\"refused\",\"origin\":\"o2\","
                                "\"reason\":\"the stream is published at another node\"}";
static const char k_query[] = "stream=live/x&intent=source&protocol=flv&node=e1"
                              "&client_ip=2001%3Adb8%3A%3A1&avoid=o1,e2&have_epoch=12";
static const char k_route[] =
    "{\"v\":1,\"decision\":\"pull\",\"ttl_ms\":2000,\"reason\":\"carried there\",\"upstreams\":["
    "{\"node\":\"o1\",\"url\":\"http://10.0.0.1:8080\",\"epoch\":\"77\"},"
    "{\"node\":\"e2\",\"url\":\"http://10.0.0.2:8080\",\"epoch\":\"77\",\"depth\":1}]}";
static const char k_redirect[] =
    "{\"v\":1,\"decision\":\"redirect\",\"redirect_url\":\"http://e1.example:8080/live/x.flv\","
    "\"ttl_ms\":2000,\"reason\":\"best edge\"}";

static void test_heartbeat_of_the_release_before_is_read(void **state)
{
    struct cluster_heartbeat m;
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_heartbeat_decode(buf_view_str(k_heartbeat), &m, &error), E_OK);
    assert_true(m.instance == UINT64_MAX && m.seq == 42 && m.full);
    assert_int_equal(m.state, CLUSTER_NODE_DRAINING);
    assert_string_equal(m.internal_urls.http, "http://10.0.0.1:8080");
    assert_true(m.capacity_egress_bps == 10000000000 && m.load.out_bps == 6000000000);
    assert_int_equal(m.n_streams, 3);
    assert_true(m.streams[0].epoch == 1700000000000000 && m.streams[2].removed);
    assert_string_equal(m.streams[1].upstream, "origin-1");
    /* what it did not know is at rest: whole reports, no standbys, the default share, no limit */
    assert_true(m.part == 0 && !m.more && m.n_standbys == 0 && m.replaces == 0);
    assert_true(m.weight == 0 && m.max_viewers == 0 && m.streams[0].run == 0);
    cluster_heartbeat_fini(&m);
}

static void test_heartbeat_reply_of_the_release_before_is_read(void **state)
{
    struct cluster_heartbeat_reply m;
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_heartbeat_reply_decode(buf_view_str(k_reply), &m, &error), E_OK);
    assert_true(m.lease_ms == 5000 && m.interval_ms == 1000 && m.want_full);
    assert_int_equal(m.n_fenced, 1);
    assert_string_equal(m.fenced[0].owner, "o2");
    assert_false(m.parts); /* it would take each part for everything */
    assert_true(m.n_moved == 0 && !m.drain);
    cluster_heartbeat_reply_fini(&m);
}

static void test_publish_of_the_release_before_is_read(void **state)
{
    struct cluster_publish m;
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_publish_decode(buf_view_str(k_publish), &m, &error), E_OK);
    assert_int_equal(m.duplicate, CLUSTER_DUPLICATE_TAKEOVER);
    assert_true(m.instance == 1152921504606846976 && m.run == 0 && m.avoid.n == 0);
    assert_int_equal(cluster_publish_decode(buf_view_str(k_unpublish), &m, &error), E_OK);
    assert_int_equal(m.duplicate, CLUSTER_DUPLICATE_REFUSE);
    assert_true(m.epoch == 5);
}

static void test_publish_replies_of_the_release_before_are_read(void **state)
{
    struct cluster_publish_reply m;
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_publish_reply_decode(buf_view_str(k_granted), &m, &error), E_OK);
    assert_true(m.decision == CLUSTER_PUBLISH_GRANTED && m.epoch == 1700000000000002);
    assert_int_equal(cluster_publish_reply_decode(buf_view_str(k_forward), &m, &error), E_OK);
    assert_int_equal(m.decision, CLUSTER_PUBLISH_FORWARD);
    assert_string_equal(m.origin_rtmp, "rtmp://10.0.0.1:1935");
    assert_string_equal(m.origin_http, "");
    assert_int_equal(cluster_publish_reply_decode(buf_view_str(k_refused), &m, &error), E_OK);
    assert_int_equal(m.decision, CLUSTER_PUBLISH_REFUSED);
}

static void test_routes_of_the_release_before_are_read(void **state)
{
    struct cluster_route_query q;
    struct cluster_route m;
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_route_query_decode(buf_view_str(k_query), &q, &error), E_OK);
    assert_string_equal(q.name.text, "live/x");
    assert_true(q.avoid.n == 2 && q.have_epoch == 12 && !q.explain);
    assert_int_equal(cluster_route_decode(buf_view_str(k_route), &m, &error), E_OK);
    assert_int_equal(m.n_upstreams, 2);
    assert_int_equal(m.upstreams[1].depth, 1);
    assert_int_equal(cluster_route_decode(buf_view_str(k_redirect), &m, &error), E_OK);
    assert_int_equal(m.decision, CLUSTER_REDIRECT);
}

static void test_events_of_the_release_before_are_read(void **state)
{
    static const struct {
        const char *line;
        enum cluster_event_type type;
    } k_events[] = {
        {"{\"v\":1,\"type\":\"ping\"}", CLUSTER_EVENT_PING},
        {"{\"v\":1,\"type\":\"published\",\"name\":\"live/x\",\"epoch\":\"9\",\"node\":\"o2\"}",
         CLUSTER_EVENT_PUBLISHED},
        {"{\"v\":1,\"type\":\"ended\",\"name\":\"live/x\",\"epoch\":\"9\",\"node\":\"o2\"}",
         CLUSTER_EVENT_ENDED},
        {"{\"v\":1,\"type\":\"fenced\",\"name\":\"live/x\",\"epoch\":\"9\",\"node\":\"o2\"}",
         CLUSTER_EVENT_FENCED},
        {"{\"v\":1,\"type\":\"kick\",\"name\":\"live/x\",\"epoch\":\"9\"}", CLUSTER_EVENT_KICK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_events / sizeof k_events[0]; i++) {
        struct cluster_event m;
        struct cluster_error error;

        assert_int_equal(cluster_event_decode(buf_view_str(k_events[i].line), &m, &error), E_OK);
        assert_int_equal(m.type, k_events[i].type);
        if (m.type != CLUSTER_EVENT_PING)
            assert_string_equal(m.name.text, "live/x");
    }
}

/* --- its rules --- */

enum kind { BOOL, NUMBER, DECIMAL, TEXT, WORD, OBJECT, ARRAY };

struct rule {
    const char *key;
    enum kind kind;
    bool required;
    const char *words;         /* WORD: " one two " */
    const struct rule *inside; /* OBJECT, ARRAY: of its items */
};

#define MAY(key, kind)               \
    {                                \
        key, kind, false, NULL, NULL \
    }
#define MUST(key, kind)             \
    {                               \
        key, kind, true, NULL, NULL \
    }
#define ONE_OF(key, required, words)     \
    {                                    \
        key, WORD, required, words, NULL \
    }
#define HOLDS(key, kind, rules)       \
    {                                 \
        key, kind, false, NULL, rules \
    }
#define END MAY(NULL, BOOL)

/* clang-format off */
static const struct rule k_urls_rules[] = {
    MAY("rtmp", TEXT), MAY("http", TEXT), MAY("https", TEXT), END,
};
static const struct rule k_load_rules[] = {
    MAY("publishers", NUMBER), MAY("viewers", NUMBER), MAY("relays", NUMBER), MAY("streams", NUMBER),
    MAY("in_bps", NUMBER), MAY("out_bps", NUMBER), MAY("cpu_permille", NUMBER), END,
};
static const struct rule k_stream_rules[] = {
    MUST("name", TEXT), ONE_OF("kind", false, " owned carried "), MAY("epoch", DECIMAL),
    MAY("viewers", NUMBER), MAY("children", NUMBER), MAY("depth", NUMBER), MAY("upstream", TEXT),
    MAY("removed", BOOL), END,
};
static const struct rule k_heartbeat_rules[] = {
    MUST("instance", DECIMAL), MUST("seq", NUMBER), MAY("full", BOOL),
    ONE_OF("role", true, " origin edge both "), ONE_OF("state", true, " starting active draining "),
    MAY("zone", TEXT), MAY("capacity_egress_bps", NUMBER), MAY("highest_epoch", DECIMAL),
    HOLDS("public", OBJECT, k_urls_rules), HOLDS("internal", OBJECT, k_urls_rules),
    HOLDS("load", OBJECT, k_load_rules), HOLDS("streams", ARRAY, k_stream_rules), END,
};
static const struct rule k_fenced_rules[] = {
    MUST("name", TEXT), MAY("epoch", DECIMAL), MAY("owner", TEXT), END,
};
static const struct rule k_reply_rules[] = {
    MUST("lease_ms", NUMBER), MUST("interval_ms", NUMBER), MAY("want_full", BOOL),
    MAY("highest_epoch", DECIMAL), HOLDS("fenced", ARRAY, k_fenced_rules), END,
};
static const struct rule k_publish_rules[] = {
    MUST("node", TEXT), MUST("instance", DECIMAL), MAY("highest_epoch", DECIMAL),
    MAY("takeover", BOOL), MAY("epoch", DECIMAL), MAY("client", TEXT), END,
};
static const struct rule k_publish_reply_rules[] = {
    ONE_OF("decision", true, " granted forward refused "), MAY("epoch", DECIMAL),
    MAY("lease_ms", NUMBER), MAY("origin", TEXT), MAY("origin_rtmp", TEXT), MAY("reason", TEXT), END,
};
static const struct rule k_upstream_rules[] = {
    MAY("node", TEXT), MUST("url", TEXT), MAY("epoch", DECIMAL), MAY("depth", NUMBER), END,
};
static const struct rule k_route_rules[] = {
    ONE_OF("decision", true, " serve pull redirect wait deny "), MAY("redirect_url", TEXT),
    MAY("ttl_ms", NUMBER), MAY("reason", TEXT), HOLDS("upstreams", ARRAY, k_upstream_rules), END,
};
static const struct rule k_event_rules[] = {
    MUST("name", TEXT), MAY("epoch", DECIMAL), MAY("node", TEXT), END,
};
/* clang-format on */

static bool obeys(const json_t *object, const struct rule *rules);

static bool is_decimal(const json_t *value)
{
    const char *text = json_string_value(value);

    return text && *text && strspn(text, "0123456789") == strlen(text);
}

static bool is_word(const json_t *value, const char *words)
{
    const char *text = json_string_value(value), *at = text ? strstr(words, text) : NULL;

    return at && at[-1] == ' ' && at[strlen(text)] == ' ';
}

static bool all_obey(const json_t *list, const struct rule *rules)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!obeys(json_array_get(list, i), rules))
            return false;
    return json_is_array(list);
}

static bool obeys_rule(const json_t *value, const struct rule *rule)
{
    switch (rule->kind) {
    case BOOL:
        return json_is_boolean(value);
    case NUMBER:
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case DECIMAL:
        return is_decimal(value);
    case TEXT:
        return json_is_string(value);
    case WORD:
        return is_word(value, rule->words);
    case OBJECT:
        return obeys(value, rule->inside);
    case ARRAY:
        return all_obey(value, rule->inside);
    }
    return false;
}

/* Keys that it did not know it ignores. */
static bool obeys(const json_t *object, const struct rule *rules)
{
    for (; rules->key; rules++) {
        const json_t *value = json_object_get(object, rules->key);

        if (value ? !obeys_rule(value, rules) : rules->required)
            return false;
    }
    return json_is_object(object);
}

/* Takes what was written, and whether that succeeded. */
static bool written_obeys(enum err e, struct buf_writer *w, const struct rule *rules)
{
    json_t *root = json_loadb((const char *)w->data, w->used_bytes, JSON_REJECT_DUPLICATES, NULL);
    bool ok = e == E_OK && json_is_integer(json_object_get(root, "v")) && obeys(root, rules);

    json_decref(root);
    buf_writer_clear(w);
    return ok;
}

static void test_rules_of_the_release_before_take_its_own_messages(void **state)
{
    static const struct {
        const char *text;
        const struct rule *rules;
    } k_messages[] = {
        {k_heartbeat, k_heartbeat_rules},   {k_reply, k_reply_rules},
        {k_publish, k_publish_rules},       {k_unpublish, k_publish_rules},
        {k_granted, k_publish_reply_rules}, {k_forward, k_publish_reply_rules},
        {k_refused, k_publish_reply_rules}, {k_route, k_route_rules},
        {k_redirect, k_route_rules},
    };
    struct buf_writer w = writer();

    (void)state;
    for (size_t i = 0; i < sizeof k_messages / sizeof k_messages[0]; i++) {
        buf_write_str(&w, k_messages[i].text);
        assert_true(written_obeys(E_OK, &w, k_messages[i].rules));
    }
    buf_write_str(&w, "{\"v\":1,\"decision\":\"dance\"}");
    assert_false(written_obeys(E_OK, &w, k_route_rules));
    buf_write_str(&w, "{\"v\":1,\"instance\":7,\"node\":\"o1\"}");
    assert_false(written_obeys(E_OK, &w, k_publish_rules));
    buf_writer_fini(&w);
}

static void test_heartbeats_are_read_by_the_release_before(void **state)
{
    struct cluster_stream streams[] = {{.name = name_of("/live/x"), .epoch = 9, .run = 5},
                                       {.name = name_of("/live/y"),
                                        .kind = CLUSTER_STREAM_CARRIED,
                                        .upstream = "o1",
                                        .removed = true}};
    struct cluster_standby standbys[] = {{name_of("/live/z")}};
    struct cluster_fenced moved[] = {{name_of("/live/x"), 12, "o2"}};
    struct cluster_heartbeat m = {.instance = 7,
                                  .replaces = 6,
                                  .seq = 1,
                                  .full = true,
                                  .part = 1,
                                  .more = true,
                                  .role = CLUSTER_EDGE,
                                  .state = CLUSTER_NODE_DRAINING,
                                  .weight = 200,
                                  .max_viewers = 10,
                                  .streams = streams,
                                  .n_streams = 2,
                                  .standbys = standbys,
                                  .n_standbys = 1};
    struct cluster_heartbeat_reply reply = {.lease_ms = 5000,
                                            .interval_ms = 1000,
                                            .fenced = moved,
                                            .n_fenced = 1,
                                            .moved = moved,
                                            .n_moved = 1,
                                            .drain = true,
                                            .parts = true};
    struct buf_writer w = writer();

    (void)state;
    assert_true(written_obeys(cluster_heartbeat_encode(&m, &w), &w, k_heartbeat_rules));
    assert_true(written_obeys(cluster_heartbeat_reply_encode(&reply, &w), &w, k_reply_rules));
    buf_writer_fini(&w);
}

static void test_publishes_are_read_by_the_release_before(void **state)
{
    struct cluster_publish m = {
        .node = "o1", .instance = 7, .run = 8, .avoid = {{"o2", "o3"}, 2}, .client = "10.0.0.9:1"};
    struct cluster_publish_reply reply = {.origin = "o1",
                                          .origin_rtmp = "rtmp://10.0.0.1:1935",
                                          .origin_http = "http://10.0.0.1:8080"};
    struct buf_writer w = writer();

    (void)state;
    for (int i = 0; k_cluster_duplicates[i]; i++) {
        bool takeover = i == CLUSTER_DUPLICATE_TAKEOVER;

        m.duplicate = (enum cluster_duplicate)i;
        assert_int_equal(cluster_publish_encode(&m, &w), E_OK);
        buf_write_u8(&w, 0);
        assert_true(!!strstr((const char *)w.data, "\"takeover\":true") == takeover);
        w.used_bytes--;
        assert_true(written_obeys(E_OK, &w, k_publish_rules)); /* standby is refuse there */
    }
    for (int i = CLUSTER_PUBLISH_GRANTED; i <= CLUSTER_PUBLISH_STANDBY; i++) {
        bool is_known = i != CLUSTER_PUBLISH_STANDBY; /* for those who asked for it alone */

        reply.decision = (enum cluster_publish_decision)i;
        assert_true(written_obeys(cluster_publish_reply_encode(&reply, &w), &w,
                                  k_publish_reply_rules) == is_known);
    }
    buf_writer_fini(&w);
}

static void test_routes_are_read_by_the_release_before(void **state)
{
    struct cluster_route m = {.upstreams = {{"o1", "http://10.0.0.1:8080", 77, 2}},
                              .n_upstreams = 1,
                              .redirect_url = "http://e1.example/live/x.flv",
                              .ttl_ms = 2000,
                              .candidates_json = buf_view_str("[{\"node\":\"o1\"}]")};
    struct buf_writer w = writer();

    (void)state;
    for (int i = 0; k_cluster_decisions[i]; i++) {
        m.decision = (enum cluster_decision)i;
        assert_true(written_obeys(cluster_route_encode(&m, &w), &w, k_route_rules));
    }
    buf_writer_fini(&w);
}

/* A type that it does not know it ignores, whatever the fields. */
static void test_events_are_read_by_the_release_before(void **state)
{
    struct cluster_event m = {.name = name_of("/live/x"), .epoch = 9, .node = "o2"};
    struct buf_writer w = writer();

    (void)state;
    for (int i = 0; i < CLUSTER_EVENT_UNKNOWN; i++) {
        json_t *root;

        m.type = (enum cluster_event_type)i;
        assert_int_equal(cluster_event_encode(&m, &w), E_OK);
        root = json_loadb((const char *)w.data, w.used_bytes, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(root);
        if (is_word(json_object_get(root, "type"), " published ended fenced kick "))
            assert_true(obeys(root, k_event_rules));
        assert_true(json_is_string(json_object_get(root, "type")));
        json_decref(root);
        buf_writer_clear(&w);
    }
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heartbeat_of_the_release_before_is_read),
        cmocka_unit_test(test_heartbeat_reply_of_the_release_before_is_read),
        cmocka_unit_test(test_publish_of_the_release_before_is_read),
        cmocka_unit_test(test_publish_replies_of_the_release_before_are_read),
        cmocka_unit_test(test_routes_of_the_release_before_are_read),
        cmocka_unit_test(test_events_of_the_release_before_are_read),
        cmocka_unit_test(test_rules_of_the_release_before_take_its_own_messages),
        cmocka_unit_test(test_heartbeats_are_read_by_the_release_before),
        cmocka_unit_test(test_publishes_are_read_by_the_release_before),
        cmocka_unit_test(test_routes_are_read_by_the_release_before),
        cmocka_unit_test(test_events_are_read_by_the_release_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
