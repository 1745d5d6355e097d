/* Messages between node and scheduler: what goes in comes out, what is wrong is named with its
 * path. */
#include "tests/unit/proto/cluster/cluster_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define HEAD "{\"v\":1,\"instance\":\"7\",\"seq\":1,\"role\":\"edge\",\"state\":\"active\""

static void assert_text(const struct buf_writer *w, const char *expected)
{
    char text[2048];

    assert_true(buf_view_to_str(buf_writer_view(w), text, sizeof text));
    assert_string_equal(text, expected);
}

static struct cluster_heartbeat full_heartbeat(struct cluster_stream *streams)
{
    struct cluster_heartbeat m = {
        .instance = UINT64_MAX,
        .seq = 42,
        .full = true,
        .role = CLUSTER_BOTH,
        .state = CLUSTER_NODE_DRAINING,
        .zone = "eu \"west\"",
        .admin_url = "https://10.0.0.1:8081",
        .public_urls = {"rtmp://a.example:1935", "http://a.example:8080", "rtmps://a.example",
                        "https://a.example"},
        .internal_urls = {.rtmp = "rtmp://[::1]:1935", .http = "http://10.0.0.1:8080"},
        .capacity_egress_bps = 10000000000,
        .replaces = 12,
        .part = 3,
        .more = true,
        .weight = 250,
        .max_viewers = 5000,
        .highest_epoch = 1700000000000001,
        .load = {1, 2, 3, 4, 5000000000, 6000000000, 700},
        .streams = streams,
        .n_streams = 2,
    };

    memset(streams, 0, 2 * sizeof *streams);
    streams[0].name = name_of("/live/one");
    streams[0].epoch = 1700000000000000;
    streams[0].run = UINT64_MAX;
    streams[0].n_viewers = 9;
    streams[0].n_children = 2;
    streams[1].name = name_of("/live/sub/zw\xc3\xb6lf");
    streams[1].kind = CLUSTER_STREAM_CARRIED;
    streams[1].depth = 1;
    streams[1].removed = true;
    strcpy(streams[1].upstream, "origin-1");
    return m;
}

static void test_heartbeat_decode_gives_what_was_encoded(void **state)
{
    struct cluster_stream streams[2];
    struct cluster_heartbeat in = full_heartbeat(streams), out;
    struct buf_writer w = writer();
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_heartbeat_encode(&in, &w), E_OK);
    assert_int_equal(cluster_heartbeat_decode(buf_writer_view(&w), &out, &error), E_OK);
    assert_int_equal(out.n_streams, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(out.streams[i].name.text, streams[i].name.text);
        assert_int_equal(out.streams[i].name.app_bytes, streams[i].name.app_bytes);
        assert_int_equal(out.streams[i].kind, streams[i].kind);
        assert_true(out.streams[i].epoch == streams[i].epoch);
        assert_true(out.streams[i].run == streams[i].run);
        assert_int_equal(out.streams[i].n_viewers, streams[i].n_viewers);
        assert_int_equal(out.streams[i].n_children, streams[i].n_children);
        assert_int_equal(out.streams[i].depth, streams[i].depth);
        assert_int_equal(out.streams[i].removed, streams[i].removed);
        assert_string_equal(out.streams[i].upstream, streams[i].upstream);
    }
    assert_true(out.instance == in.instance && out.seq == in.seq && out.full == in.full);
    assert_true(out.role == in.role && out.state == in.state);
    assert_string_equal(out.zone, in.zone);
    assert_string_equal(out.admin_url, in.admin_url);
    assert_memory_equal(&out.public_urls, &in.public_urls, sizeof in.public_urls);
    assert_memory_equal(&out.internal_urls, &in.internal_urls, sizeof in.internal_urls);
    assert_memory_equal(&out.load, &in.load, sizeof in.load);
    assert_true(out.capacity_egress_bps == in.capacity_egress_bps);
    assert_true(out.highest_epoch == in.highest_epoch);
    assert_true(out.replaces == 12 && out.part == 3 && out.more);
    assert_true(out.weight == 250 && out.max_viewers == 5000);
    cluster_heartbeat_fini(&out);
    buf_writer_fini(&w);
}

static void test_heartbeat_encode_gives_short_text_when_idle(void **state)
{
    struct cluster_heartbeat m = {.instance = 7, .seq = 1, .state = CLUSTER_NODE_ACTIVE};
    struct buf_writer w = writer();

    (void)state;
    assert_int_equal(cluster_heartbeat_encode(&m, &w), E_OK);
    assert_text(&w,
                "{\"v\":1,\"instance\":\"7\",\"seq\":1,\"role\":\"origin\",\"state\":\"active\","
                "\"public\":{},\"internal\":{},\"load\":{}}");
    buf_writer_fini(&w);
}

static void test_heartbeat_decode_gives_its_standbys(void **state)
{
    struct cluster_standby standbys[] = {{name_of("/live/one")}, {name_of("/live/two")}};
    struct cluster_heartbeat in = {.instance = 7, .standbys = standbys, .n_standbys = 2}, out;
    struct buf_writer w = writer();
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_heartbeat_encode(&in, &w), E_OK);
    assert_int_equal(cluster_heartbeat_decode(buf_writer_view(&w), &out, &error), E_OK);
    assert_int_equal(out.n_standbys, 2);
    assert_string_equal(out.standbys[1].name.text, "live/two");
    cluster_heartbeat_fini(&out);
    buf_writer_fini(&w);
}

static void test_heartbeat_encode_gives_too_big_when_writer_is_full(void **state)
{
    struct cluster_stream streams[2];
    struct cluster_heartbeat in = full_heartbeat(streams);
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 64);
    assert_int_equal(cluster_heartbeat_encode(&in, &w), E_TOO_BIG);
    buf_writer_fini(&w);
}

static const struct {
    const char *json, *error;
} k_bad_heartbeats[] = {
    {"[1]", "message: expected an object, found an array"},
    {"{\"seq\":1}", "v: expected a version of 1 or more, found nothing"},
    {"{\"v\":0}", "v: expected a version of 1 or more, found a number"},
    {"{\"v\":\"1\"}", "v: expected a version of 1 or more, found a string"},
    {"{\"v\":1}", "instance: expected a value, found nothing"},
    {"{\"v\":1,\"instance\":7}", "instance: expected a decimal string, found a number"},
    {"{\"v\":1,\"instance\":\"-7\"}",
     "instance: expected a decimal string of at most 64 bits, found another string"},
    {"{\"v\":1,\"instance\":\"\"}",
     "instance: expected a decimal string of at most 64 bits, found another string"},
    {"{\"v\":1,\"instance\":\"18446744073709551616\"}",
     "instance: expected a decimal string of at most 64 bits, found another string"},
    {"{\"v\":1,\"instance\":\"7\",\"seq\":-1}",
     "seq: expected a number from 0 to 2^53, found a negative one"},
    {"{\"v\":1,\"instance\":\"7\",\"seq\":1.5}", "seq: expected a number, found a fraction"},
    {"{\"v\":1,\"instance\":\"7\",\"seq\":1,\"role\":\"king\"}",
     "role: expected one of origin edge both, found another string"},
    {"{\"v\":1,\"instance\":\"7\",\"seq\":1,\"role\":\"edge\",\"state\":null}",
     "state: expected a value, found nothing"},
    {HEAD ",\"full\":1}", "full: expected a boolean, found a number"},
    {HEAD ",\"admin\":\"ftp://x:1\"}", "admin: expected scheme://host:port, found another string"},
    {HEAD ",\"zone\":\"a\\nb\"}", "zone: expected a string, found one with control characters"},
    {HEAD ",\"public\":[]}", "public: expected an object, found an array"},
    {HEAD ",\"public\":{\"http\":\"http://a/\"}}",
     "public.http: expected scheme://host:port, found another string"},
    {HEAD ",\"public\":{\"http\":\"http://a\\r\\nSet-Cookie:x\"}}",
     "public.http: expected scheme://host:port, found another string"},
    {HEAD ",\"public\":{\"http\":\"ftp://a\"}}",
     "public.http: expected scheme://host:port, found another string"},
    {HEAD ",\"internal\":{\"rtmp\":\"rtmp://u:p@a\"}}",
     "internal.rtmp: expected scheme://host:port, found another string"},
    {HEAD ",\"load\":{\"viewers\":4294967296}}",
     "load.viewers: expected a number from 0 to 4294967295, found a larger one"},
    {HEAD ",\"load\":{\"in_bps\":9007199254740993}}",
     "load.in_bps: expected a number from 0 to 2^53, found a larger one"},
    {HEAD ",\"streams\":{}}", "streams: expected an array, found an object"},
    {HEAD ",\"streams\":[{\"name\":\"a/b\"},7]}", "streams[1]: expected an object, found a number"},
    {HEAD ",\"streams\":[{\"name\":\"a/b\"},{}]}",
     "streams[1].name: expected a value, found nothing"},
    {HEAD ",\"streams\":[{\"name\":\"a/b\",\"epoch\":5}]}",
     "streams[0].epoch: expected a decimal string, found a number"},
    {HEAD ",\"standbys\":7}", "standbys: expected an array, found a number"},
    {HEAD ",\"standbys\":[{\"name\":\"a/b\"},{\"name\":\"a\"}]}",
     "standbys[1].name: expected a stream name, found no slash between app and name"},
    {HEAD ",\"part\":-1}", "part: expected a number from 0 to 4294967295, found a negative one"},
    {HEAD ",\"more\":1}", "more: expected a boolean, found a number"},
    {HEAD ",\"replaces\":1}", "replaces: expected a decimal string, found a number"},
    {HEAD ",\"weight\":\"1\"}", "weight: expected a number, found a string"},
    {HEAD ",\"streams\":[{\"name\":\"a/b\",\"run\":\"x\"}]}",
     "streams[0].run: expected a decimal string of at most 64 bits, found another string"},
    {HEAD ",\"streams\":[{\"name\":\"a/b\",\"upstream\":\"x y\"}]}",
     "streams[0].upstream: expected 1-64 bytes of [A-Za-z0-9._-], found another string"},
};

static void test_heartbeat_decode_gives_path_when_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_bad_heartbeats / sizeof k_bad_heartbeats[0]; i++) {
        struct cluster_heartbeat m;
        struct cluster_error error = {""};
        struct buf_view json = buf_view_str(k_bad_heartbeats[i].json);

        assert_int_equal(cluster_heartbeat_decode(json, &m, &error), E_INVAL);
        assert_string_equal(error.text, k_bad_heartbeats[i].error);
    }
}

static void test_heartbeat_decode_gives_invalid_when_cut_anywhere(void **state)
{
    struct cluster_stream streams[2];
    struct cluster_heartbeat in = full_heartbeat(streams), out;
    struct buf_writer w = writer();
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_heartbeat_encode(&in, &w), E_OK);
    for (size_t size = 0; size < w.used_bytes; size++) {
        uint8_t *copy = malloc(size ? size : 1); /* its own block: ASan sees a read behind it */

        memcpy(copy, w.data, size);
        assert_int_equal(cluster_heartbeat_decode(buf_view_of(copy, size), &out, &error), E_INVAL);
        free(copy);
    }
    buf_writer_fini(&w);
}

static void test_heartbeat_decode_ignores_unknown_fields_of_a_later_version(void **state)
{
    struct cluster_heartbeat m;
    struct cluster_error error;

    (void)state;
    assert_int_equal(
        cluster_heartbeat_decode(
            buf_view_str("{\"v\":2,\"instance\":\"7\",\"seq\":1,\"role\":\"edge\",\"state\":"
                         "\"active\",\"mood\":{\"deep\":[1]},\"load\":{\"gpu\":\"x\"}}"),
            &m, &error),
        E_OK);
    assert_true(m.instance == 7);
    cluster_heartbeat_fini(&m);
}

static void test_heartbeat_decode_gives_too_big_when_streams_exceed_the_limit(void **state)
{
    struct cluster_heartbeat m;
    struct cluster_error error;
    struct buf_writer w = {.max_bytes = 1 << 20};

    (void)state;
    buf_write_str(&w, HEAD ",\"streams\":[{}");
    for (int i = 0; i < CLUSTER_MAX_STREAMS; i++)
        buf_write_str(&w, ",{}");
    buf_write_str(&w, "]}");
    assert_int_equal(buf_writer_status(&w), E_OK);
    assert_int_equal(cluster_heartbeat_decode(buf_writer_view(&w), &m, &error), E_TOO_BIG);
    assert_string_equal(error.text, "streams: 100001 items, the limit is 100000");
    buf_writer_fini(&w);
}

/* HEAD, an unknown list of n times item, and its end. */
static enum err decode_many(const char *item, int n)
{
    struct cluster_heartbeat m;
    struct cluster_error error;
    struct buf_writer w = {.max_bytes = 8u << 20};
    enum err e;

    buf_write_str(&w, HEAD ",\"unknown\":[");
    for (int i = 0; i < n; i++)
        buf_write_str(&w, item);
    buf_write_str(&w, "0]}");
    assert_int_equal(buf_writer_status(&w), E_OK);
    e = cluster_heartbeat_decode(buf_writer_view(&w), &m, &error);
    if (e == E_OK)
        cluster_heartbeat_fini(&m);
    else
        assert_string_equal(error.text, "too many values");
    buf_writer_fini(&w);
    return e;
}

static void test_heartbeat_decode_gives_too_big_when_unknown_fields_hold_too_much(void **state)
{
    (void)state;
    assert_int_equal(decode_many("{},", 2 * CLUSTER_MAX_STREAMS), E_OK);
    assert_int_equal(decode_many("{},", 3 * CLUSTER_MAX_STREAMS + 1), E_TOO_BIG);
    assert_int_equal(decode_many("[],", 3 * CLUSTER_MAX_STREAMS + 1), E_TOO_BIG);
    assert_int_equal(decode_many("0,", 16 * CLUSTER_MAX_STREAMS + 1), E_TOO_BIG);
}

static long g_allocations_left;

static void *limited_malloc(size_t size)
{
    return g_allocations_left-- > 0 ? malloc(size) : NULL;
}

static void test_heartbeat_decode_gives_an_error_and_no_leak_when_malloc_fails(void **state)
{
    struct cluster_stream streams[2];
    struct cluster_heartbeat in = full_heartbeat(streams), out;
    struct buf_writer w = writer();
    enum err e = E_NOMEM;
    long budget = 0;

    (void)state;
    assert_int_equal(cluster_heartbeat_encode(&in, &w), E_OK);
    json_set_alloc_funcs(limited_malloc, free);
    for (; e != E_OK && budget < 10000; budget++) {
        struct cluster_error error;

        g_allocations_left = budget;
        e = cluster_heartbeat_decode(buf_writer_view(&w), &out, &error);
        /* Jansson tells some of its failed allocations as a syntax error */
        assert_true(e == E_OK || e == E_NOMEM || e == E_INVAL);
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(budget > 10 && e == E_OK);
    cluster_heartbeat_fini(&out);
    buf_writer_fini(&w);
}

static void test_heartbeat_reply_decode_gives_what_was_encoded(void **state)
{
    struct cluster_fenced fenced[1] = {{.name = name_of("/live/x"), .epoch = 12, .owner = "o2"}};
    struct cluster_fenced moved[2] = {{.name = name_of("/live/y"), .epoch = 13, .owner = "o3"},
                                      {.name = name_of("/live/z"), .epoch = 14, .owner = "o1"}};
    struct cluster_heartbeat_reply in = {.lease_ms = 5000,
                                         .interval_ms = 1000,
                                         .want_full = true,
                                         .highest_epoch = 99,
                                         .fenced = fenced,
                                         .n_fenced = 1};
    struct cluster_heartbeat_reply out;
    struct buf_writer w = writer();
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_heartbeat_reply_encode(&in, &w), E_OK);
    assert_text(&w, "{\"v\":1,\"lease_ms\":5000,\"interval_ms\":1000,\"want_full\":true,"
                    "\"highest_epoch\":\"99\",\"fenced\":[{\"name\":\"live/x\",\"epoch\":\"12\","
                    "\"owner\":\"o2\"}]}");
    assert_int_equal(cluster_heartbeat_reply_decode(buf_writer_view(&w), &out, &error), E_OK);
    assert_int_equal(out.lease_ms, 5000);
    assert_true(out.want_full && out.highest_epoch == 99 && out.n_fenced == 1);
    assert_string_equal(out.fenced[0].owner, "o2");
    cluster_heartbeat_reply_fini(&out);
    buf_writer_clear(&w);
    in.moved = moved;
    in.n_moved = 2;
    in.drain = in.parts = true;
    assert_int_equal(cluster_heartbeat_reply_encode(&in, &w), E_OK);
    assert_int_equal(cluster_heartbeat_reply_decode(buf_writer_view(&w), &out, &error), E_OK);
    assert_true(out.n_fenced == 1 && out.n_moved == 2 && out.drain && out.parts);
    assert_string_equal(out.moved[1].name.text, "live/z");
    assert_true(out.moved[1].epoch == 14);
    assert_string_equal(out.moved[1].owner, "o1");
    cluster_heartbeat_reply_fini(&out);
    buf_writer_fini(&w);
}

static void test_publish_decode_gives_what_was_encoded(void **state)
{
    struct cluster_publish in = {.node = "o1",
                                 .instance = 1ull << 60,
                                 .highest_epoch = 3,
                                 .duplicate = CLUSTER_DUPLICATE_TAKEOVER,
                                 .epoch = 5,
                                 .client = "10.0.0.9:4000"};
    struct cluster_publish out;
    struct buf_writer w = writer();
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_publish_encode(&in, &w), E_OK);
    assert_int_equal(cluster_publish_decode(buf_writer_view(&w), &out, &error), E_OK);
    assert_string_equal(out.node, "o1");
    assert_string_equal(out.client, in.client);
    assert_true(out.instance == in.instance && out.duplicate == in.duplicate && out.epoch == 5);
    assert_true(out.highest_epoch == 3);
    buf_writer_fini(&w);
}

static void test_publish_decode_gives_policy_run_and_avoid(void **state)
{
    struct cluster_publish in = {.node = "e1",
                                 .instance = 1,
                                 .duplicate = CLUSTER_DUPLICATE_STANDBY,
                                 .run = UINT64_MAX,
                                 .avoid = {{"o1", "o2", "o3", "o4"}, 4}};
    struct cluster_publish out;
    struct buf_writer w = writer();
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_publish_encode(&in, &w), E_OK);
    assert_int_equal(cluster_publish_decode(buf_writer_view(&w), &out, &error), E_OK);
    assert_int_equal(out.duplicate, CLUSTER_DUPLICATE_STANDBY);
    assert_true(out.run == UINT64_MAX && out.avoid.n == 4);
    assert_string_equal(out.avoid.id[3], "o4");
    assert_true(cluster_ids_hold(&out.avoid, "o2") && !cluster_ids_hold(&out.avoid, "o5"));
    buf_writer_fini(&w);
}

static void test_publish_decode_gives_path_when_avoid_is_wrong(void **state)
{
    static const struct {
        const char *avoid, *error;
    } k_cases[] = {
        {"7", "avoid: expected an array of node ids, found a number"},
        {"[\"o1\",7]", "avoid: expected an array of node ids, found something else in it"},
        {"[\"a b\"]", "avoid: expected an array of node ids, found something else in it"},
        {"[\"a\",\"b\",\"c\",\"d\",\"e\"]", "avoid: expected at most 4 node ids, found more"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct cluster_publish out;
        struct cluster_error error;
        char json[128];

        snprintf(json, sizeof json, "{\"v\":1,\"node\":\"e1\",\"instance\":\"1\",\"avoid\":%s}",
                 k_cases[i].avoid);
        assert_int_equal(cluster_publish_decode(buf_view_str(json), &out, &error), E_INVAL);
        assert_string_equal(error.text, k_cases[i].error);
    }
}

static void test_publish_decode_gives_path_when_node_is_empty(void **state)
{
    struct cluster_publish out;
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_publish_decode(
                         buf_view_str("{\"v\":1,\"node\":\"\",\"instance\":\"1\"}"), &out, &error),
                     E_INVAL);
    assert_string_equal(error.text, "node: expected 1-64 bytes of [A-Za-z0-9._-], found \"\"");
}

static void test_publish_reply_decode_gives_what_was_encoded(void **state)
{
    struct cluster_publish_reply in = {.decision = CLUSTER_PUBLISH_FORWARD,
                                       .origin = "o1",
                                       .origin_rtmp = "rtmp://10.0.0.1:1935",
                                       .origin_http = "http://10.0.0.1:8080",
                                       .reason = "an edge"};
    struct cluster_publish_reply out;
    struct buf_writer w = writer();
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_publish_reply_encode(&in, &w), E_OK);
    assert_int_equal(cluster_publish_reply_decode(buf_writer_view(&w), &out, &error), E_OK);
    assert_int_equal(out.decision, CLUSTER_PUBLISH_FORWARD);
    assert_string_equal(out.origin, "o1");
    assert_string_equal(out.origin_rtmp, "rtmp://10.0.0.1:1935");
    assert_string_equal(out.origin_http, "http://10.0.0.1:8080");
    assert_string_equal(out.reason, "an edge");
    buf_writer_fini(&w);
}

static void test_publish_reply_encode_stays_json_when_text_is_not_utf8(void **state)
{
    struct cluster_publish_reply in = {.decision = CLUSTER_PUBLISH_REFUSED,
                                       .reason = "\xff\xc3\xed\xa0\x80 \x01 ok \xe2\x82\xac"};
    struct buf_writer w = writer();
    json_t *root;

    (void)state;
    assert_int_equal(cluster_publish_reply_encode(&in, &w), E_OK);
    root = json_loadb((char *)w.data, w.used_bytes, 0, NULL);
    assert_non_null(root);
    json_decref(root);
    buf_writer_fini(&w);
}

static void test_route_query_decode_gives_what_was_encoded(void **state)
{
    struct cluster_route_query in = {.name = name_of("/live/a~b"),
                                     .protocol = "flv",
                                     .intent = CLUSTER_INTENT_SOURCE,
                                     .node = "e1",
                                     .client_ip = "2001:db8::1",
                                     .avoid = {{"o1", "e2"}, 2},
                                     .have_epoch = UINT64_MAX,
                                     .tls = true,
                                     .explain = true};
    struct cluster_route_query out;
    struct buf_writer w = writer();
    struct cluster_error error;
    struct buf_view query;

    (void)state;
    assert_int_equal(cluster_route_query_encode(&in, &w), E_OK);
    assert_memory_equal(w.data, "/v1/route?", 10);
    query = buf_view_of(w.data + 10, w.used_bytes - 10);
    assert_int_equal(cluster_route_query_decode(query, &out, &error), E_OK);
    assert_string_equal(out.name.text, "live/a~b");
    assert_string_equal(out.protocol, "flv");
    assert_string_equal(out.client_ip, "2001:db8::1");
    assert_int_equal(out.intent, CLUSTER_INTENT_SOURCE);
    assert_int_equal(out.avoid.n, 2);
    assert_string_equal(out.avoid.id[1], "e2");
    assert_true(out.have_epoch == UINT64_MAX && out.explain && out.tls);
    buf_writer_fini(&w);
}

static const struct {
    const char *query, *error;
} k_bad_queries[] = {
    {"", "stream: no slash between app and name"},
    {"stream=x", "stream: no slash between app and name"},
    {"stream=a/b&intent=steal", "intent: expected play, source or publish"},
    {"stream=a/b&intent=%zz", "intent: a bad escape, or too long"},
    {"stream=a/b&node=a%20b", "node: expected 1-64 bytes of [A-Za-z0-9._-]"},
    {"stream=a/b&avoid=a,b,c,d,e", "avoid: more than 4 node ids"},
    {"stream=a/b&avoid=a%20", "avoid: expected node ids"},
    {"stream=a/b&have_epoch=-1", "have_epoch: expected a decimal number of at most 64 bits"},
    {"stream=a/b&protocol=0123456789abcdef", "protocol: a bad escape, or too long"},
    {"stream=a/b&explain=yes", "explain: expected 0 or 1"},
    {"stream=a/b&tls=yes", "tls: expected 0 or 1"},
};

static void test_route_query_decode_gives_key_when_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_bad_queries / sizeof k_bad_queries[0]; i++) {
        struct cluster_route_query q;
        struct cluster_error error = {""};

        assert_int_equal(
            cluster_route_query_decode(buf_view_str(k_bad_queries[i].query), &q, &error), E_INVAL);
        assert_string_equal(error.text, k_bad_queries[i].error);
    }
}

static void test_route_decode_gives_what_was_encoded(void **state)
{
    struct cluster_route in = {
        .decision = CLUSTER_PULL,
        .upstreams = {{"o1", "http://10.0.0.1:8080", 77, 0}, {"e2", "http://10.0.0.2:8080", 77, 1}},
        .n_upstreams = 2,
        .ttl_ms = 2000,
        .reason = "carrier"};
    struct cluster_route out;
    struct buf_writer w = writer();
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_route_encode(&in, &w), E_OK);
    assert_int_equal(cluster_route_decode(buf_writer_view(&w), &out, &error), E_OK);
    assert_int_equal(out.decision, CLUSTER_PULL);
    assert_int_equal(out.n_upstreams, 2);
    assert_string_equal(out.upstreams[1].url, "http://10.0.0.2:8080");
    assert_true(out.upstreams[0].epoch == 77);
    assert_int_equal(out.ttl_ms, 2000);
    buf_writer_fini(&w);
}

static void test_route_encode_passes_candidates_on(void **state)
{
    struct cluster_route in = {.decision = CLUSTER_WAIT,
                               .candidates_json = buf_view_str("[{\"node\":\"o1\"}]")};
    struct buf_writer w = writer();

    (void)state;
    assert_int_equal(cluster_route_encode(&in, &w), E_OK);
    assert_text(&w, "{\"v\":1,\"decision\":\"wait\",\"candidates\":[{\"node\":\"o1\"}]}");
    buf_writer_fini(&w);
}

static void test_event_of_a_node_has_no_stream(void **state)
{
    static const struct {
        enum cluster_event_type type;
        const char *line;
    } k_cases[] = {
        {CLUSTER_EVENT_LEAVING, "{\"v\":1,\"type\":\"leaving\",\"node\":\"o2\"}\n"},
        {CLUSTER_EVENT_DRAIN, "{\"v\":1,\"type\":\"drain\",\"node\":\"o2\"}\n"},
        {CLUSTER_EVENT_RESUME, "{\"v\":1,\"type\":\"resume\",\"node\":\"o2\"}\n"},
        {CLUSTER_EVENT_SUSPECT, "{\"v\":1,\"type\":\"suspect\",\"node\":\"o2\"}\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct cluster_event in = {.type = k_cases[i].type, .node = "o2"}, out;
        struct buf_writer w = writer();
        struct cluster_error error;

        assert_int_equal(cluster_event_encode(&in, &w), E_OK);
        assert_text(&w, k_cases[i].line);
        assert_int_equal(cluster_event_decode(buf_writer_view(&w), &out, &error), E_OK);
        assert_int_equal(out.type, k_cases[i].type);
        assert_string_equal(out.node, "o2");
        buf_writer_fini(&w);
    }
}

static void test_event_decode_gives_what_was_encoded(void **state)
{
    struct cluster_event in = {CLUSTER_EVENT_FENCED, name_of("/live/x"), 9, "o2"};
    struct cluster_event out;
    struct buf_writer w = writer();
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_event_encode(&in, &w), E_OK);
    assert_text(&w, "{\"v\":1,\"type\":\"fenced\",\"name\":\"live/x\",\"epoch\":\"9\","
                    "\"node\":\"o2\"}\n");
    assert_int_equal(cluster_event_decode(buf_writer_view(&w), &out, &error), E_OK);
    assert_int_equal(out.type, CLUSTER_EVENT_FENCED);
    assert_string_equal(out.name.text, "live/x");
    assert_true(out.epoch == 9);
    buf_writer_clear(&w);
    in.type = CLUSTER_EVENT_PING;
    assert_int_equal(cluster_event_encode(&in, &w), E_OK);
    assert_text(&w, "{\"v\":1,\"type\":\"ping\"}\n");
    in.type = CLUSTER_EVENT_UNKNOWN;
    assert_int_equal(cluster_event_encode(&in, &w), E_INVAL);
    buf_writer_fini(&w);
}

static void test_event_decode_gives_unknown_when_type_is_newer(void **state)
{
    struct cluster_event out;
    struct cluster_error error;

    (void)state;
    assert_int_equal(
        cluster_event_decode(buf_view_str("{\"v\":1,\"type\":\"dance\",\"name\":7}"), &out, &error),
        E_OK);
    assert_int_equal(out.type, CLUSTER_EVENT_UNKNOWN);
    assert_int_equal(cluster_event_decode(buf_view_str("{\"v\":1}"), &out, &error), E_INVAL);
    assert_int_equal(
        cluster_event_decode(buf_view_str("{\"v\":1,\"type\":\"ended\"}"), &out, &error), E_INVAL);
    assert_string_equal(error.text, "name: expected a value, found nothing");
    assert_int_equal(
        cluster_event_decode(buf_view_str("{\"v\":1,\"type\":\"drain\"}"), &out, &error), E_INVAL);
    assert_string_equal(error.text, "node: expected a value, found nothing");
}

static void test_id_is_valid_gives_false_when_outside_the_alphabet(void **state)
{
    char longest[CLUSTER_ID_SIZE + 1];

    (void)state;
    memset(longest, 'a', sizeof longest);
    longest[CLUSTER_ID_SIZE] = '\0';
    assert_false(cluster_id_is_valid(longest));
    longest[CLUSTER_ID_SIZE - 1] = '\0';
    assert_true(cluster_id_is_valid(longest));
    assert_true(cluster_id_is_valid("a.B-9_"));
    assert_false(cluster_id_is_valid(""));
    assert_false(cluster_id_is_valid("a/b"));
    assert_false(cluster_id_is_valid("a\xc3\xb6"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heartbeat_decode_gives_what_was_encoded),
        cmocka_unit_test(test_heartbeat_encode_gives_short_text_when_idle),
        cmocka_unit_test(test_heartbeat_decode_gives_its_standbys),
        cmocka_unit_test(test_heartbeat_encode_gives_too_big_when_writer_is_full),
        cmocka_unit_test(test_heartbeat_decode_gives_path_when_wrong),
        cmocka_unit_test(test_heartbeat_decode_gives_invalid_when_cut_anywhere),
        cmocka_unit_test(test_heartbeat_decode_ignores_unknown_fields_of_a_later_version),
        cmocka_unit_test(test_heartbeat_decode_gives_too_big_when_streams_exceed_the_limit),
        cmocka_unit_test(test_heartbeat_decode_gives_too_big_when_unknown_fields_hold_too_much),
        cmocka_unit_test(test_heartbeat_decode_gives_an_error_and_no_leak_when_malloc_fails),
        cmocka_unit_test(test_heartbeat_reply_decode_gives_what_was_encoded),
        cmocka_unit_test(test_publish_decode_gives_what_was_encoded),
        cmocka_unit_test(test_publish_decode_gives_policy_run_and_avoid),
        cmocka_unit_test(test_publish_decode_gives_path_when_avoid_is_wrong),
        cmocka_unit_test(test_publish_decode_gives_path_when_node_is_empty),
        cmocka_unit_test(test_publish_reply_decode_gives_what_was_encoded),
        cmocka_unit_test(test_publish_reply_encode_stays_json_when_text_is_not_utf8),
        cmocka_unit_test(test_route_query_decode_gives_what_was_encoded),
        cmocka_unit_test(test_route_query_decode_gives_key_when_wrong),
        cmocka_unit_test(test_route_decode_gives_what_was_encoded),
        cmocka_unit_test(test_route_encode_passes_candidates_on),
        cmocka_unit_test(test_event_of_a_node_has_no_stream),
        cmocka_unit_test(test_event_decode_gives_what_was_encoded),
        cmocka_unit_test(test_event_decode_gives_unknown_when_type_is_newer),
        cmocka_unit_test(test_id_is_valid_gives_false_when_outside_the_alphabet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
