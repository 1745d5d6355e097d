/* The document runs out of memory: the file under test is built in here with failing allocation, so
 * that the library's copy of it is not linked. */
#include "tests/unit/proto/amf/amf_test.h"

static unsigned n_allowed; /* allocations that still succeed */

static void *scarce_malloc(size_t size)
{
    return n_allowed ? (n_allowed--, malloc(size)) : NULL;
}

static void *scarce_calloc(size_t n, size_t size)
{
    return n_allowed ? (n_allowed--, calloc(n, size)) : NULL;
}

static void *scarce_realloc(void *old, size_t size)
{
    return n_allowed ? (n_allowed--, realloc(old, size)) : NULL;
}

#define malloc scarce_malloc
#define calloc scarce_calloc
#define realloc scarce_realloc
#include "proto/amf/amf_doc.c"

/* Uses every table: AMF0 object, AMF3 object with traits and strings. */
/* clang-format off */
static const uint8_t k_bytes[] = {
    0x03, 0,    0,    9,                               /* {} */
    0x11, 0x0a, 0x13, 0x03, 'C', 0x03, 'a', 0x06, 0x03, 'v', /* C {a: "v"} */
};
/* clang-format on */

static void test_read_all_gives_nomem_when_memory_ends_anywhere(void **state)
{
    enum err e = E_NOMEM;
    unsigned n;

    (void)state;
    for (n = 0; e == E_NOMEM; n++) {
        const struct amf_value *v;
        struct amf_doc *doc;

        n_allowed = n;
        doc = amf_doc_create(&k_amf_limits_default);
        if (!doc)
            continue;
        e = amf0_read_all(doc, VIEW(k_bytes), &v);
        amf_doc_destroy(&doc);
    }
    assert_int_equal(e, E_OK);
    assert_int_equal(n, 8); /* document, block and five tables; and the run that succeeded */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_all_gives_nomem_when_memory_ends_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
