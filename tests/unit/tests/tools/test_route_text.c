/* A scheduler's answer as a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/tools/route_text.h"

static void assert_text(const char *json, const char *want)
{
    json_t *answer = json_loads(json, 0, NULL);
    struct buf_writer w;

    assert_non_null(answer);
    buf_writer_init(&w, 65536);
    route_write_text(&w, answer);
    buf_write_u8(&w, 0);
    assert_int_equal(buf_writer_status(&w), E_OK);
    assert_string_equal((const char *)w.data, want);
    buf_writer_fini(&w);
    json_decref(answer);
}

static void test_text_has_a_row_for_each_candidate(void **state)
{
    (void)state;
    assert_text("{\"v\":1,\"decision\":\"pull\",\"ttl_ms\":500,"
                "\"upstreams\":[{\"node\":\"o1\",\"url\":\"http://o1\"}],"
                "\"candidates\":[{\"order\":1,\"node\":\"o1\",\"why\":\"taken\",\"carries\":true},"
                "{\"order\":2,\"node\":\"edge-2\",\"why\":\"no\\u001b[31m\",\"depth\":3}]}",
                "decision: pull\n"
                "ttl_ms: 500\n"
                "pull from: o1 http://o1\n"
                "\n"
                "#  node    why      role  zone  state  carries  viewers  publishers  weight  "
                "children  depth  epoch\n"
                "1  o1      taken    -     -     -      yes      -        -           -       -    "
                "     -      -\n"
                "2  edge-2  no?[31m  -     -     -      -        -        -           -       -    "
                "     3      -\n");
}

static void test_text_says_so_when_there_is_nobody(void **state)
{
    (void)state;
    assert_text("{\"decision\":\"deny\",\"reason\":\"no edge\"}",
                "decision: deny\nreason: no edge\nno node to choose from\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_has_a_row_for_each_candidate),
        cmocka_unit_test(test_text_says_so_when_there_is_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
