/* The way to a peer whose name has several addresses, on loopback: nobody listens at most of them.
 */
#include "tests/unit/node/relay/relay_test.h"

#include <event2/dns.h>
#include <unistd.h>

#include "node/relay/dial.h"
#include "node/relay/guard.h"

static struct {
    struct dial dial;
    struct conn *conn;
    unsigned n_conns, n_connected, n_failed;
    enum err e;
    const char *why;
} to;

static void on_connected(struct conn *conn, void *arg, enum err e)
{
    (void)arg;
    if (e != E_OK && dial_next(&to.dial, conn))
        return;
    assert_ptr_equal(conn, to.conn);
    to.n_connected++;
    to.e = e;
}

static void on_conn(void *arg, struct conn *conn)
{
    (void)arg;
    to.conn = conn;
    to.n_conns++;
}

static void on_failed(void *arg, enum err e, const char *why)
{
    (void)arg;
    to.n_failed++;
    to.e = e;
    to.why = why;
}

static const struct conn_ops k_ops = {.on_connected = on_connected};
static const struct dial_conf k_conf = {.connect_timeout_ms = 5000,
                                        .max_queue_bytes = 65536,
                                        .ops = &k_ops,
                                        .on_conn = on_conn,
                                        .on_failed = on_failed};

/* As /etc/hosts has them: whatever their order, one that refuses comes before 127.0.0.1. */
static void name_is_at(const char *hosts)
{
    char path[] = "/tmp/hw-hosts-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, hosts, strlen(hosts)), (ssize_t)strlen(hosts));
    close(fd);
    assert_int_equal(evdns_base_load_hosts(loop_dns(rig.loop), path), 0);
    unlink(path);
}

static void dial(const char *host, unsigned port, bool is_guarded)
{
    char text[128];
    struct url url;

    memset(&to, 0, sizeof to);
    snprintf(text, sizeof text, "rtmp://%s:%u/live/a", host, port);
    assert_int_equal(url_parse(buf_view_str(text), &url), E_OK);
    dial_begin(&to.dial, &rig.nl, &k_conf, NULL, &url, 1935, false, is_guarded);
    TURN_UNTIL(to.n_connected || to.n_failed);
}

static void end(struct upstream *up)
{
    dial_stop(&to.dial);
    conn_close(&to.conn);
    up_die(up);
}

static void test_dial_tries_the_next_address_when_one_refuses(void **state)
{
    struct upstream up;

    (void)state;
    up_open(&up, "o1", 0);
    name_is_at("127.0.0.2 many.test\n127.0.0.1 many.test\n127.0.0.3 many.test\n");
    dial("many.test", up.port, false);
    assert_int_equal(to.e, E_OK);
    assert_int_equal(to.n_connected, 1);
    assert_true(to.n_conns > 1);
    assert_non_null(strstr(conn_peer(to.conn), "127.0.0.1:"));
    end(&up);
}

static void test_dial_tells_the_last_refusal_when_all_refuse(void **state)
{
    struct upstream up;

    (void)state;
    up_open(&up, "o1", 0);
    name_is_at("127.0.0.2 none.test\n127.0.0.3 none.test\n");
    dial("none.test", up.port, false);
    assert_int_equal(to.n_connected, 1);
    assert_int_equal(to.n_conns, 2);
    assert_int_not_equal(to.e, E_OK);
    end(&up);
}

/* Which addresses of a name are allowed is looked at for each of them. */
static void test_dial_leaves_out_addresses_that_the_guard_refuses(void **state)
{
    char allowed[] = "127.0.0.1/32", *list[] = {allowed};
    struct conf_list networks = {.items = list, .n_items = 1}, none = {.items = NULL};
    struct upstream up;

    (void)state;
    up_open(&up, "o1", 0);
    name_is_at("127.0.0.2 some.test\n127.0.0.1 some.test\n127.0.0.3 some.test\n");
    rig.node.relay_guard = relay_guard_create(&networks, false);
    dial("some.test", up.port, true);
    assert_int_equal(to.e, E_OK);
    assert_int_equal(to.n_conns, 1);
    conn_close(&to.conn);
    relay_guard_destroy(&rig.node.relay_guard);
    rig.node.relay_guard = relay_guard_create(&none, false);
    dial("some.test", up.port, true);
    assert_int_equal(to.n_failed, 1);
    assert_int_equal(to.n_conns, 0);
    assert_int_equal(to.e, E_DENIED);
    assert_string_equal(to.why, RELAY_GUARD_WHY);
    relay_guard_destroy(&rig.node.relay_guard);
    end(&up);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dial_tries_the_next_address_when_one_refuses,
                                        rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_dial_tells_the_last_refusal_when_all_refuse, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(test_dial_leaves_out_addresses_that_the_guard_refuses,
                                        rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
