/* TLS as a configuration has it: entries, what is read again, and what stays when that is broken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/net/tls_setup.h"
#include "tls_test.h"

static struct loop *loop;
static struct issued first, second;

static struct tls_setup_conf conf_of(struct conf_list *list, const char *ca_file)
{
    return (struct tls_setup_conf){list, ca_file, false, 1000};
}

static struct tls_setup *make(const char *entry, const char *ca_file, struct tls_error *error)
{
    char text[256];
    char *items[] = {text};
    struct conf_list list = {items, entry ? 1 : 0};
    struct tls_setup_conf conf = conf_of(&list, ca_file);

    snprintf(text, sizeof text, "%s", entry ? entry : "");
    return tls_setup_create(loop, &conf, error);
}

static void reload(struct tls_setup *setup, const char *entry, const char *ca_file)
{
    char text[256];
    char *items[] = {text};
    struct conf_list list = {items, entry ? 1 : 0};
    struct tls_setup_conf conf = conf_of(&list, ca_file);

    snprintf(text, sizeof text, "%s", entry ? entry : "");
    tls_setup_reload(setup, &conf);
}

static const char *pair_of(const struct issued *issued)
{
    static char text[256];

    snprintf(text, sizeof text, "%s=%s", issued->cert_file, issued->key_file);
    return text;
}

static long counted(const char *series)
{
    struct buf_writer out;
    const char *found;
    long value = -1;

    buf_writer_init(&out, 1 << 20);
    metrics_render(&out);
    buf_write_u8(&out, 0);
    found = strstr((const char *)out.data, series);
    if (found)
        value = strtol(found + strlen(series), NULL, 10);
    buf_writer_fini(&out);
    return value;
}

static void test_check_refuses_entries_that_are_no_files(void **state)
{
    char good[] = "a.pem=a.key", both[] = "both.pem", no_cert[] = "=a.key",
         no_key[] = "a.pem=", none[] = "";
    const struct {
        char *entry;
        enum err e;
    } rows[] = {{good, E_OK}, {both, E_OK}, {no_cert, E_INVAL}, {no_key, E_INVAL}, {none, E_INVAL}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *items[] = {good, rows[i].entry};
        struct conf_list list = {items, 2};
        struct tls_error error = {""};

        assert_int_equal(tls_setup_check(&list, &error), rows[i].e);
        assert_true(rows[i].e == E_OK || strstr(error.text, "[1]: found"));
    }
}

static void test_create_gives_a_client_alone_without_certificates(void **state)
{
    struct tls_error error;
    struct tls_setup *setup = make(NULL, "", &error);

    (void)state;
    assert_non_null(setup);
    assert_null(tls_setup_server(setup, TLS_FOR_HTTP));
    assert_null(tls_setup_server(setup, TLS_FOR_RTMP));
    assert_non_null(tls_setup_client(setup));
    assert_int_equal(counted("\nheadwater_tls_certificate_expiry_seconds "), -1); /* not 0 */
    reload(setup, pair_of(&first), ""); /* needs a restart */
    assert_null(tls_setup_server(setup, TLS_FOR_HTTP));
    tls_setup_destroy(&setup);
    assert_null(tls_setup_server(NULL, TLS_FOR_HTTP));
    assert_null(tls_setup_client(NULL));
}

static void test_create_tells_which_file_is_wrong(void **state)
{
    struct tls_error error;

    (void)state;
    assert_null(make("/nowhere/a.pem=/nowhere/a.key", "", &error));
    assert_string_equal(error.text, "/nowhere/a.pem: No such file or directory");
    assert_null(make(NULL, "/nowhere/ca.pem", &error));
    assert_string_equal(error.text, "/nowhere/ca.pem: No such file or directory");
}

static void test_create_takes_one_file_with_certificate_and_key(void **state)
{
    char path[160];
    struct tls_error error;
    struct tls_setup *setup;
    FILE *file;

    (void)state;
    snprintf(path, sizeof path, "%s/both.pem", tls_dir);
    file = fopen(path, "w");
    assert_non_null(file);
    PEM_write_PrivateKey(file, first.key, NULL, NULL, 0, NULL, NULL);
    PEM_write_X509(file, first.cert);
    fclose(file);
    setup = make(path, "", &error);
    assert_non_null(setup);
    tls_setup_destroy(&setup);
    unlink(path);
}

static void test_reload_takes_others_and_keeps_what_was_there_when_broken(void **state)
{
    static const char k_ok[] = "reloads_total{what=\"certificates\",result=\"ok\"} ",
                      k_failed[] = "reloads_total{what=\"certificates\",result=\"failed\"} ",
                      k_no_ca[] = "reloads_total{what=\"authorities\",result=\"failed\"} ";
    struct tls_error error;
    struct tls_setup *setup = make(pair_of(&first), tls_ca.cert_file, &error);
    struct tls_server *server;
    int64_t expiry_s;
    long ok, failed, no_ca;

    (void)state;
    assert_non_null(setup);
    ok = counted(k_ok), failed = counted(k_failed), no_ca = counted(k_no_ca);
    server = tls_setup_server(setup, TLS_FOR_RTMP);
    expiry_s = tls_server_expiry_s(server);
    reload(setup, pair_of(&second), tls_ca.cert_file);
    assert_ptr_equal(tls_setup_server(setup, TLS_FOR_RTMP), server);
    assert_true(tls_server_expiry_s(server) > expiry_s + 3000);
    assert_int_equal(counted(k_ok), ok + 1);
    expiry_s = tls_server_expiry_s(server);
    reload(setup, "/nowhere/a.pem", "/nowhere/ca.pem");
    assert_true(tls_server_expiry_s(server) == expiry_s);
    assert_int_equal(counted(k_ok), ok + 1);
    assert_int_equal(counted(k_failed), failed + 1);
    assert_int_equal(counted(k_no_ca), no_ca + 1);
    tls_setup_destroy(&setup);
}

static void test_expiry_is_shown_in_seconds_that_are_left(void **state)
{
    struct tls_error error;
    struct tls_setup *setup = make(pair_of(&first), "", &error);
    long left_s = counted("\nheadwater_tls_certificate_expiry_seconds ");

    (void)state;
    assert_true(left_s > 7100 && left_s <= 7200);
    tls_setup_destroy(&setup);
}

static int setup_all(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    tls_dir_make();
    issue(&first, (struct issue){"first", "DNS:a.test", .ends_s = 7200});
    issue(&second, (struct issue){"second", "DNS:a.test", .ends_s = 14400});
    loop = loop_create("test", 0);
    return loop ? 0 : -1;
}

static int teardown_all(void **state)
{
    (void)state;
    loop_destroy(&loop);
    issued_free(&first);
    issued_free(&second);
    tls_dir_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_refuses_entries_that_are_no_files),
        cmocka_unit_test(test_create_gives_a_client_alone_without_certificates),
        cmocka_unit_test(test_create_tells_which_file_is_wrong),
        cmocka_unit_test(test_create_takes_one_file_with_certificate_and_key),
        cmocka_unit_test(test_reload_takes_others_and_keeps_what_was_there_when_broken),
        cmocka_unit_test(test_expiry_is_shown_in_seconds_that_are_left),
    };

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
