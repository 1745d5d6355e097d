/* The form of each codec's frames in PES packets, byte by byte. */
#include "tests/unit/proto/ts/ts_test.h"

static const uint8_t k_avcc[] = {
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x04, 0x67, 0x64, 0x00, 0x1f, /* SPS of 4 bytes */
    0x01, 0x00, 0x02, 0x68, 0xee,                                           /* PPS of 2 */
};
static const uint8_t k_hvcc[] = {
    0x01, 0x01, 0x60, 0,    0,    0,    0x90, 0,    0, 0,    0,    0,
    0x5d, 0xf0, 0,    0xfc, 0xfd, 0xf8, 0xf8, 0,    0, 0x03, 0x03, /* NAL unit lengths of 4 bytes;
                                                                      arrays */
    0x22, 0,    1,    0,    3,    0x44, 0x01, 0xc1,                /* PPS */
    0x20, 0,    1,    0,    3,    0x40, 0x01, 0x0c,                /* VPS */
    0x21, 0,    1,    0,    3,    0x42, 0x01, 0x01,                /* SPS */
};
static const uint8_t k_av1c[] = {
    0x81, 0x00, 0x0c, 0x00,                                                       /* 8 bit 4:2:0 */
    0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe, 0xcc, 0xda, 0xf9, 0x00, 0x40, /* sequence */
};
static const uint8_t k_asc[] = {0x11, 0x90}; /* LC, 48 kHz, stereo */
static const uint8_t k_opus[] = {'O',  'p', 'u',  's',  'H', 'e', 'a', 'd', 1, 2,
                                 0x38, 1,   0x80, 0xbb, 0,   0,   0,   0,   0};

/* clang-format off */
static const struct form {
    const char *name;
    enum media_codec codec;
    bool key;
    const uint8_t *config;
    uint8_t config_bytes, frame_bytes, want_bytes;
    uint8_t frame[40], want[64]; /* in as FLV has it, out as it is behind the PES header */
} k_forms[] = {
    {"H.264: a delimiter comes first", CODEC_H264, false, k_avcc, sizeof k_avcc, 7, 13,
     {0, 0, 0, 3, 0x41, 0x9a, 0x01},
     {0, 0, 0, 1, 0x09, 0xf0, 0, 0, 0, 1, 0x41, 0x9a, 0x01}},
    {"H.264: those of the frame are left out, wherever they are", CODEC_H264, false,
     k_avcc, sizeof k_avcc, 16, 11,
     {0, 0, 0, 2, 0x09, 0x30, 0, 0, 0, 1, 0x41, 0, 0, 0, 1, 0x09},
     {0, 0, 0, 1, 0x09, 0xf0, 0, 0, 0, 1, 0x41}},
    {"H.264: parameter sets before a key frame", CODEC_H264, true, k_avcc, sizeof k_avcc, 6, 26,
     {0, 0, 0, 2, 0x65, 0x88},
     {0, 0, 0, 1, 0x09, 0xf0, 0, 0, 0, 1, 0x67, 0x64, 0, 0x1f, 0, 0, 0, 1, 0x68, 0xee,
      0, 0, 0, 1, 0x65, 0x88}},
    {"H.264: also before an IDR picture that nobody marked", CODEC_H264, false,
     k_avcc, sizeof k_avcc, 5, 25,
     {0, 0, 0, 1, 0x65},
     {0, 0, 0, 1, 0x09, 0xf0, 0, 0, 0, 1, 0x67, 0x64, 0, 0x1f, 0, 0, 0, 1, 0x68, 0xee,
      0, 0, 0, 1, 0x65}},
    {"H.264: not when they are in band", CODEC_H264, true, k_avcc, sizeof k_avcc, 17, 23,
     {0, 0, 0, 2, 0x67, 0x42, 0, 0, 0, 2, 0x68, 0xce, 0, 0, 0, 1, 0x65},
     {0, 0, 0, 1, 0x09, 0xf0, 0, 0, 0, 1, 0x67, 0x42, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65}},
    {"H.264: before those in band that are not all", CODEC_H264, true, k_avcc, sizeof k_avcc,
     11, 31,
     {0, 0, 0, 2, 0x67, 0x42, 0, 0, 0, 1, 0x65},
     {0, 0, 0, 1, 0x09, 0xf0, 0, 0, 0, 1, 0x67, 0x64, 0, 0x1f, 0, 0, 0, 1, 0x68, 0xee,
      0, 0, 0, 1, 0x67, 0x42, 0, 0, 0, 1, 0x65}},
    {"HEVC: delimiter, then VPS, SPS, PPS", CODEC_HEVC, true, k_hvcc, sizeof k_hvcc, 7, 35,
     {0, 0, 0, 3, 0x26, 0x01, 0xaf},
     {0, 0, 0, 1, 0x46, 0x01, 0x50, 0, 0, 0, 1, 0x40, 0x01, 0x0c, 0, 0, 0, 1, 0x42, 0x01, 0x01,
      0, 0, 0, 1, 0x44, 0x01, 0xc1, 0, 0, 0, 1, 0x26, 0x01, 0xaf}},
    {"HEVC: nothing but the delimiter between key frames", CODEC_HEVC, false, k_hvcc, sizeof k_hvcc,
     7, 14,
     {0, 0, 0, 3, 0x02, 0x01, 0xd0},
     {0, 0, 0, 1, 0x46, 0x01, 0x50, 0, 0, 0, 1, 0x02, 0x01, 0xd0}},
    {"AV1: start codes and prevention; no temporal delimiter", CODEC_AV1, false,
     k_av1c, sizeof k_av1c, 20, 27,
     {0x12, 0x00,                                  /* temporal delimiter */
      0x32, 0x09, 0, 0, 0, 0, 0, 1, 0, 0, 3,       /* frame of 9 bytes */
      0x7a, 0x05, 0, 0, 4, 0xff, 0},               /* padding of 5 bytes */
     {0, 0, 1, 0x32, 0x09, 0, 0, 3, 0, 0, 3, 0, 1, 0, 0, 3, 3,
      0, 0, 1, 0x7a, 0x05, 0, 0, 4, 0xff, 0}},
    {"AV1: sequence header before a key frame", CODEC_AV1, true, k_av1c, sizeof k_av1c, 3, 23,
     {0x32, 0x01, 0x10},
     {0, 0, 1, 0x0a, 0x0b, 0, 0, 3, 0, 4, 0x3c, 0xfe, 0xcc, 0xda, 0xf9, 0, 0x40,
      0, 0, 1, 0x32, 0x01, 0x10}},
    {"AV1: not when it is in band", CODEC_AV1, true, k_av1c, sizeof k_av1c, 6, 12,
     {0x0a, 0x01, 0x55, 0x32, 0x01, 0x10},
     {0, 0, 1, 0x0a, 0x01, 0x55, 0, 0, 1, 0x32, 0x01, 0x10}},
    {"AAC: ADTS", CODEC_AAC, false, k_asc, sizeof k_asc, 3, 10,
     {0x21, 0x10, 0x05},
     {0xff, 0xf1, 0x4c, 0x80, 0x01, 0x5f, 0xfc, 0x21, 0x10, 0x05}},
    {"AAC: ADTS once, when the sender has it too", CODEC_AAC, false, k_asc, sizeof k_asc, 10, 10,
     {0xff, 0xf9, 0x50, 0x80, 0x01, 0x5f, 0xfc, 0x21, 0x10, 0x05},
     {0xff, 0xf1, 0x4c, 0x80, 0x01, 0x5f, 0xfc, 0x21, 0x10, 0x05}},
    {"Opus: control header", CODEC_OPUS, false, k_opus, sizeof k_opus, 3, 6,
     {0xfc, 0xff, 0xfe},
     {0x7f, 0xe0, 0x03, 0xfc, 0xff, 0xfe}},
};
/* clang-format on */

static void set_track(struct ts_mux *mux, enum media_codec codec, struct buf_view bytes)
{
    struct codec_params params;
    const char *why = NULL;
    enum err e = codec_has_config(codec) ? codec_params_from_config(codec, bytes, &params, &why)
                                         : codec_params_from_frame(codec, bytes, &params, &why);

    if (e != E_OK)
        fail_msg("%s", why);
    assert_int_equal(ts_mux_set_track(mux, 0, &params, &why), E_OK);
}

/* Muxes one frame and gives what a reader made of it. */
static struct ts_reading *pass(enum media_codec codec, bool key, struct buf_view config,
                               struct buf_view es)
{
    struct ts_reading *r = malloc(sizeof *r);
    struct ts_frame frame = {.codec = codec, .key = key, .es = es};
    struct ts_capture out;
    struct ts_mux mux;
    const char *why = NULL;

    assert_non_null(r);
    capture_init(&out);
    reading_init(r);
    ts_mux_init(&mux);
    set_track(&mux, codec, config);
    frame.kind = mux.tracks[0].kind;
    if (ts_mux_write(&mux, &out.sink, &frame, &why) != E_OK)
        fail_msg("%s", why);
    read_ts(r, buf_writer_view(&out.bytes));
    read_end(r);
    assert_int_equal(r->n_pes, 1);
    ts_mux_fini(&mux);
    buf_writer_fini(&out.bytes);
    return r;
}

static void reading_free(struct ts_reading *r)
{
    reading_fini(r);
    free(r);
}

static void test_write_gives_the_form_of_each_codec(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_forms); i++) {
        const struct form *f = &k_forms[i];
        struct ts_reading *r;
        struct buf_view got;

        print_message("%s\n", f->name);
        r = pass(f->codec, f->key, buf_view_of(f->config, f->config_bytes),
                 buf_view_of(f->frame, f->frame_bytes));
        got = pes_payload(r, 0);
        assert_int_equal(got.size_bytes, f->want_bytes);
        assert_memory_equal(got.data, f->want, f->want_bytes);
        reading_free(r);
    }
}

static void test_write_gives_an_opus_size_as_a_sum_of_bytes(void **state)
{
    static const struct {
        size_t size_bytes;
        uint8_t header_bytes, last;
    } k_rows[] = {{1, 3, 1},   {254, 3, 254}, {255, 4, 0},    {256, 4, 1},
                  {510, 5, 0}, {1275, 8, 0},  {9689, 40, 254}};
    uint8_t packet[9690] = {0xfc};

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_rows); i++) {
        struct ts_reading *r =
            pass(CODEC_OPUS, false, VIEW(k_opus), buf_view_of(packet, k_rows[i].size_bytes));
        struct buf_view got = pes_payload(r, 0);

        assert_int_equal(got.size_bytes, k_rows[i].header_bytes + k_rows[i].size_bytes);
        for (size_t at = 2; at + 1 < k_rows[i].header_bytes; at++)
            assert_int_equal(got.data[at], 255);
        assert_int_equal(got.data[k_rows[i].header_bytes - 1], k_rows[i].last);
        reading_free(r);
    }
}

/* clang-format off */
static const struct {
    enum media_codec codec;
    uint8_t type, stream_id;
    uint8_t n_config, n_frame, n_descriptors;
    uint8_t config[64], frame[140], descriptors[16];
} k_entries[] = {
    {CODEC_AV1, 0x06, 0xbd, 4, 3, 12, {0x81, 0x0d, 0x4c, 0x20}, {0x32, 0x01, 0x10},
     {0x05, 4, 'A', 'V', '0', '1', 0x80, 4, 0x81, 0x0d, 0x4c, 0xc0}}, /* HDR: not said */
    {CODEC_AV1, 0x06, 0xbd, 20, 3, 12,
     {0x81, 0x00, 0x4c, 0x00, 0x0a, 0x0e, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe, 0xcc, 0x02, 0xf8, 0x50,
      0x91, 0x00, 0x90, 0x40}, {0x32, 0x01, 0x10},
     {0x05, 4, 'A', 'V', '0', '1', 0x80, 4, 0x81, 0x00, 0x4c, 0x80}}, /* HDR and wide gamut */
    {CODEC_OPUS, 0x06, 0xbd, 19, 2, 10,
     {'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, 2, 0x38, 1, 0x80, 0xbb}, {0xfc, 0xff},
     {0x05, 4, 'O', 'p', 'u', 's', 0x7f, 2, 0x80, 2}},
    {CODEC_OPUS, 0x06, 0xbd, 27, 2, 10,
     {'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, 6, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, 1, 4, 2,
      0, 4, 1, 2, 3, 5}, {0xfc, 0xff},
     {0x05, 4, 'O', 'p', 'u', 's', 0x7f, 2, 0x80, 6}},
    {CODEC_AC3, 0x81, 0xbd, 0, 128, 6, {0}, {0x0b, 0x77, 0, 0, 0x00, 0x40, 0x40},
     {0x05, 4, 'A', 'C', '-', '3'}},
    {CODEC_EAC3, 0x87, 0xbd, 0, 32, 6, {0}, {0x0b, 0x77, 0x00, 0x0f, 0x3f, 0x87, 0xc0},
     {0x05, 4, 'E', 'A', 'C', '3'}},
    {CODEC_MP3, 0x03, 0xc0, 0, 4, 0, {0}, {0xff, 0xfb, 0x92, 0x64}, {0}},
    {CODEC_MP3, 0x04, 0xc0, 0, 4, 0, {0}, {0xff, 0xf3, 0x84, 0x00}, {0}},
    {CODEC_AAC, 0x0f, 0xc0, 2, 3, 0, {0x11, 0x90}, {0x21, 0x10, 0x05}, {0}},
};
/* clang-format on */

static void test_write_gives_the_pmt_entry_of_each_codec(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_entries); i++) {
        struct buf_view frame = buf_view_of(k_entries[i].frame, k_entries[i].n_frame);
        struct buf_view config = buf_view_of(k_entries[i].config, k_entries[i].n_config);
        struct ts_reading *r =
            pass(k_entries[i].codec, false, config.size_bytes ? config : frame, frame);

        assert_int_equal(r->n_streams, 1);
        assert_int_equal(r->streams[0].type, k_entries[i].type);
        assert_int_equal(r->pes[0].stream_id, k_entries[i].stream_id);
        assert_int_equal(r->streams[0].descriptor_bytes, k_entries[i].n_descriptors);
        assert_memory_equal(r->streams[0].descriptors, k_entries[i].descriptors,
                            k_entries[i].n_descriptors);
        reading_free(r);
    }
}

/* clang-format off */
static const struct {
    const char *why;
    enum media_codec codec;
    uint8_t n_config;
    uint8_t config[64];
} k_left_out[] = {
    {"TS has no mapping for this codec", CODEC_FLAC, 42,
     {'f', 'L', 'a', 'C', 0x80, 0, 0, 34, 0x12, 0, 0x12, 0, 0, 0, 0, 0, 0, 0, 0x0b, 0xb8, 2, 0xf0}},
    {"TS has no mapping for this codec", CODEC_VP8, 8, {0, 10, 0x82, 2, 2, 2}},
    {"Opus channel mapping that TS has no code for", CODEC_OPUS, 23,
     {'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 255, 2, 0, 0, 1}},
    {"AAC object type, sampling rate or channels that ADTS cannot say", CODEC_AAC, 3,
     {0xf8, 0xe6, 0x20}}, /* ELD */
};
/* clang-format on */

static void test_set_track_gives_unsupported_with_the_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_left_out); i++) {
        struct buf_view config = buf_view_of(k_left_out[i].config, k_left_out[i].n_config);
        struct codec_params params;
        struct ts_mux mux;
        const char *why = NULL;

        ts_mux_init(&mux);
        if (codec_params_from_config(k_left_out[i].codec, config, &params, &why) != E_OK)
            fail_msg("%s", why);
        assert_int_equal(ts_mux_set_track(&mux, 0, &params, &why), E_UNSUPPORTED);
        assert_string_equal(why, k_left_out[i].why);
        assert_int_equal(mux.n_tracks, 0);
        ts_mux_fini(&mux);
    }
}

/* clang-format off */
static const struct {
    const char *why;
    enum media_codec codec;
    const uint8_t *config;
    uint8_t n_config, n_frame;
    uint8_t frame[8];
} k_broken[] = {
    {"frame without a NAL unit", CODEC_H264, k_avcc, sizeof k_avcc, 0, {0}},
    {"frame without a NAL unit", CODEC_H264, k_avcc, sizeof k_avcc, 4, {0}},
    {"NAL unit length reaches over the end of the frame", CODEC_HEVC, k_hvcc, sizeof k_hvcc, 8,
     {0, 0, 0, 1, 0x26, 0, 0, 0}},
    {"OBU size reaches over the end", CODEC_AV1, k_av1c, sizeof k_av1c, 3, {0x32, 0x02, 0x10}},
    {"AV1 frame without an OBU", CODEC_AV1, k_av1c, sizeof k_av1c, 2, {0x12, 0x00}},
    {"empty audio frame", CODEC_OPUS, k_opus, sizeof k_opus, 0, {0}},
    {"empty audio frame", CODEC_AAC, k_asc, sizeof k_asc, 7,
     {0xff, 0xf1, 0x4c, 0x80, 0x00, 0xff, 0xfc}}, /* ADTS without a frame */
};
/* clang-format on */

static void test_write_gives_proto_with_the_reason_for_a_broken_frame(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_broken); i++) {
        struct ts_frame frame = {.codec = k_broken[i].codec,
                                 .es = buf_view_of(k_broken[i].frame, k_broken[i].n_frame)};
        struct ts_capture out;
        struct ts_mux mux;
        const char *why = NULL;

        capture_init(&out);
        ts_mux_init(&mux);
        set_track(&mux, frame.codec, buf_view_of(k_broken[i].config, k_broken[i].n_config));
        frame.kind = mux.tracks[0].kind;
        assert_int_equal(ts_mux_write(&mux, &out.sink, &frame, &why), E_PROTO);
        assert_string_equal(why, k_broken[i].why);
        assert_int_equal(out.n_puts, 0);
        ts_mux_fini(&mux);
        buf_writer_fini(&out.bytes);
    }
}

static void test_write_gives_too_big_for_an_endless_opus_packet(void **state)
{
    static const uint8_t k_packet[9690] = {0xfc};
    struct ts_frame frame = {.kind = MEDIA_AUDIO, .codec = CODEC_OPUS, .es = VIEW(k_packet)};
    struct ts_capture out;
    struct ts_mux mux;
    const char *why = NULL;

    (void)state;
    capture_init(&out);
    ts_mux_init(&mux);
    set_track(&mux, CODEC_OPUS, VIEW(k_opus));
    assert_int_equal(ts_mux_write(&mux, &out.sink, &frame, &why), E_TOO_BIG);
    assert_non_null(why);
    assert_int_equal(out.n_puts, 0);
    ts_mux_fini(&mux);
    buf_writer_fini(&out.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_gives_the_form_of_each_codec),
        cmocka_unit_test(test_write_gives_an_opus_size_as_a_sum_of_bytes),
        cmocka_unit_test(test_write_gives_the_pmt_entry_of_each_codec),
        cmocka_unit_test(test_set_track_gives_unsupported_with_the_reason),
        cmocka_unit_test(test_write_gives_proto_with_the_reason_for_a_broken_frame),
        cmocka_unit_test(test_write_gives_too_big_for_an_endless_opus_packet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
