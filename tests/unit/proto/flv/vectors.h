/* Tag bodies with what flv_parse_body() has to say of them. */
#ifndef HW_TESTS_UNIT_PROTO_FLV_VECTORS_H
#define HW_TESTS_UNIT_PROTO_FLV_VECTORS_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/flv/flv.h"

struct body_vector {
    const char *name;
    uint8_t type_id;
    uint8_t size_bytes;
    uint8_t bytes[40];
    enum media_codec codec;
    uint16_t flags;
    uint8_t track_id;
    uint32_t es_offset;
    int64_t cts_us;
};

#define N_ELEMENTS(a) (sizeof(a) / sizeof(a)[0])

/* Parses a heap copy, so that a read past the end is seen by the sanitizer. */
static inline enum err parse_copy(uint8_t type_id, const uint8_t *bytes, size_t size_bytes,
                                  struct media_frame_info *info, const char **why)
{
    uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
    enum err e;

    assert_non_null(copy);
    memcpy(copy, bytes, size_bytes);
    e = flv_parse_body(type_id, buf_view_of(copy, size_bytes), info, why);
    free(copy);
    return e;
}

static inline void assert_vector(const struct body_vector *v)
{
    struct media_frame_info info = {
        .kind = MEDIA_N_KINDS, .dts_us = 11, .ingest_us = 22, .gop = 33, .flags = 0xffff};
    const char *why = NULL;
    enum err e = parse_copy(v->type_id, v->bytes, v->size_bytes, &info, &why);

    if (e != E_OK)
        fail_msg("%s: %s, %s", v->name, err_name(e), why);
    if (info.codec != v->codec || info.flags != v->flags || info.track_id != v->track_id ||
        info.es_offset != v->es_offset || info.cts_us != v->cts_us)
        fail_msg("%s: codec %d flags 0x%x track %u offset %u cts %lld", v->name, (int)info.codec,
                 info.flags, info.track_id, info.es_offset, (long long)info.cts_us);
    assert_int_equal(flv_tag_type_of(info.kind), v->type_id);
    assert_int_equal(info.dts_us, 11); /* not ours to fill */
    assert_int_equal(info.ingest_us, 22);
    assert_int_equal(info.gop, 33);
}

/* Every beginning that ends inside the header is refused and leaves the info alone. */
static inline void assert_truncations_fail(const struct body_vector *v, size_t header_bytes)
{
    for (size_t size_bytes = 0; size_bytes < header_bytes; size_bytes++) {
        struct media_frame_info info = {.kind = MEDIA_N_KINDS, .flags = 0xffff};
        const char *why = NULL;

        if (parse_copy(v->type_id, v->bytes, size_bytes, &info, &why) != E_PROTO)
            fail_msg("%s: %zu of %zu header bytes were enough", v->name, size_bytes, header_bytes);
        assert_non_null(why);
        assert_int_equal(info.kind, MEDIA_N_KINDS);
        assert_int_equal(info.flags, 0xffff);
    }
}

#endif
