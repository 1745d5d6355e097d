/* A recorder from the frames of a stream to its files; the loops are turned by the test, so that
 * the disk is as slow as the test wants. */
#include "tests/unit/node/stream/stream_test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/record/record_private.h"

/* 320x180, as FLV has it; AAC is left out: one track is enough here. */
static const uint8_t k_config[] = {0x17, 0,    0,    0,    0,    0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1,
                                   0x00, 0x1b, 0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0x9f,
                                   0x9f, 0x01, 0x6a, 0x02, 0x02, 0x02, 0x80, 0x00, 0x01, 0xf4, 0x80,
                                   0x00, 0x75, 0x30, 0x07, 0x8a, 0x14, 0xcb, 0x01, 0x00, 0x06, 0x68,
                                   0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00};

#define NAL_BYTES 1000

struct record_rig {
    struct rig r;
    char path[64];
    struct record record;
    struct recorder *recorder;
    int64_t at_ms;
    uint64_t n_files, bytes;
    unsigned n_keys;
    enum record_cut last_cut;
    bool keeps; /* the upkeep does not come to it */
    struct record_done kept[64];
    unsigned n_kept;
};

static void take_done(void *arg, struct record_done *done)
{
    struct record_rig *rr = arg;

    rr->n_files++;
    rr->bytes += done->bytes;
    rr->n_keys += (unsigned)done->flv.n_keys;
    rr->last_cut = done->cut;
    if (rr->keeps) {
        assert_in_range(rr->n_kept, 0, 63);
        rr->kept[rr->n_kept++] = *done;
        return;
    }
    record_done_free(done);
}

static void send_body(struct record_rig *rr, const uint8_t *body, size_t size)
{
    const char *why = "";

    assert_int_equal(
        stream_push(&rr->r.source, FLV_TAG_VIDEO, rr->at_ms * 1000, buf_view_of(body, size), &why),
        E_OK);
}

static void push_gops(struct record_rig *rr, unsigned n_gops)
{
    for (unsigned i = 0; i < n_gops * 10; i++) {
        uint8_t body[5 + 4 + NAL_BYTES] = {i % 10 ? 0x27 : 0x17, 1};

        body[7] = NAL_BYTES >> 8;
        body[8] = NAL_BYTES & 0xff;
        body[9] = i % 10 ? 0x41 : 0x65;
        send_body(rr, body, sizeof body);
        rr->at_ms += 40;
    }
}

static void open_rig_split(struct record_rig *rr, size_t queue_bytes, int64_t split_us)
{
    const struct record_plan plan = {.formats = 1u << RECORD_FLV, .split_us = split_us};
    struct source_offer offer = {.numbers_gops = true, .run = 5};
    struct stream_conf conf = small_conf();
    struct record *record = &rr->record;

    memset(rr, 0, sizeof *rr);
    log_set_level(LOG_ERROR);
    conf.tracks_wait_ms = 0;
    rig_init(&rr->r, 1, &conf);
    strcpy(rr->path, "/tmp/headwater_recorder_XXXXXX");
    assert_non_null(mkdtemp(rr->path));
    pthread_mutex_init(&record->lock, NULL);
    map_init(&record->by_stream);
    list_init(&record->recorders);
    record->dir_fd = open(rr->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    record->limits.queue_bytes = queue_bytes;
    record->limits.queue_us = 10000000;
    record->n_threads = 1;
    record->threads[0].loop = loop_create("write", 9);
    buf_writer_init(&record->threads[0].out, 1 << 24);
    record->threads[0].place = (struct record_place){
        .dir_fd = record->dir_fd, .out = &record->threads[0].out, .finish = take_done, .arg = rr};
    rr->r.stream = registry_get(rr->r.registry, &rr->r.name);
    rig_settle(&rr->r);
    rr->r.source = (struct source){.kind = SOURCE_PUBLISHER,
                                   .protocol = "test",
                                   .session_id = "t-1",
                                   .upstream = "",
                                   .on_evict = rig_on_evict};
    assert_int_equal(stream_attach(rr->r.stream, &rr->r.source, &offer), E_OK);
    send_body(rr, k_config, sizeof k_config);
    rr->recorder = recorder_open(record, rr->r.stream, &plan);
    assert_non_null(rr->recorder);
}

static void open_rig(struct record_rig *rr, size_t queue_bytes)
{
    open_rig_split(rr, queue_bytes, 3600000000);
}

static void turn_disk(struct record_rig *rr)
{
    for (unsigned i = 0; i < 4; i++)
        loop_turn(rr->record.threads[0].loop, false);
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *ftw)
{
    (void)about, (void)kind, (void)ftw;
    return remove(path);
}

static void close_rig(struct record_rig *rr)
{
    struct record *record = &rr->record;

    assert_int_equal(atomic_load(&record->queued_bytes), 0);
    stream_detach(&rr->r.source);
    rig_fini(&rr->r);
    loop_destroy(&record->threads[0].loop);
    buf_writer_fini(&record->threads[0].out);
    map_fini(&record->by_stream);
    pthread_mutex_destroy(&record->lock);
    close(record->dir_fd);
    nftw(rr->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_recorder_gives_every_gop_to_the_disk(void **state)
{
    struct record_rig rr;

    (void)state;
    open_rig(&rr, 1 << 20);
    push_gops(&rr, 20);
    turn_disk(&rr);
    push_gops(&rr, 20);
    recorder_close(rr.recorder, RECORD_CUT_STOP);
    turn_disk(&rr);
    assert_int_equal(rr.n_files, 1);
    assert_int_equal(rr.n_keys, 40);
    assert_int_equal(rr.last_cut, RECORD_CUT_STOP);
    close_rig(&rr);
}

static void test_recorder_leaves_out_whole_gops_while_the_queue_is_full(void **state)
{
    int64_t before = atomic_load(&m_record_dropped_gops.value);
    struct record_rig rr;

    (void)state;
    open_rig(&rr, 50000); /* five GOPs or so */
    push_gops(&rr, 30);
    assert_true(atomic_load(&rr.record.queued_bytes) < 80000);
    turn_disk(&rr);
    push_gops(&rr, 3);
    recorder_close(rr.recorder, RECORD_CUT_STOP);
    turn_disk(&rr);
    assert_int_equal(rr.n_files, 1); /* with a gap in it */
    assert_in_range(rr.n_keys, 5, 12);
    assert_int_equal(rr.n_keys + (atomic_load(&m_record_dropped_gops.value) - before),
                     33 + 1); /* one of them was begun */
    close_rig(&rr);
}

/* A publisher that sends nothing but headers, each another one, to a disk that hangs. */
static void test_recorder_keeps_the_last_headers_alone_while_the_queue_is_full(void **state)
{
    uint8_t config[sizeof k_config];
    struct record_rig rr;

    (void)state;
    memcpy(config, k_config, sizeof config);
    open_rig(&rr, 50000);
    push_gops(&rr, 2);
    for (unsigned i = 0; i < 4000; i++) {
        config[7] ^= 1; /* the profile's constraints */
        send_body(&rr, config, sizeof config);
    }
    push_gops(&rr, 2);
    assert_true(atomic_load(&rr.record.queued_bytes) < 80000);
    turn_disk(&rr);
    config[7] ^= 1;
    send_body(&rr, config, sizeof config);
    config[7] ^= 1;
    send_body(&rr, config, sizeof config);
    push_gops(&rr, 30); /* full again */
    config[7] ^= 1;
    send_body(&rr, config, sizeof config);
    push_gops(&rr, 1);
    turn_disk(&rr);
    push_gops(&rr, 3);
    recorder_close(rr.recorder, RECORD_CUT_STOP);
    turn_disk(&rr);
    assert_int_equal(rr.n_files, 3); /* of the headers that were left out the last counts */
    assert_int_equal(rr.last_cut, RECORD_CUT_STOP);
    close_rig(&rr);
}

static void test_the_same_run_goes_on_in_another_file_when_its_source_was_away(void **state)
{
    struct record_rig rr;

    (void)state;
    open_rig(&rr, 1 << 20);
    push_gops(&rr, 3);
    recorder_end_files(rr.recorder); /* no header comes again */
    push_gops(&rr, 3);
    recorder_close(rr.recorder, RECORD_CUT_STOP);
    turn_disk(&rr);
    assert_int_equal(rr.n_files, 2);
    assert_int_equal(rr.n_keys, 6);
    close_rig(&rr);
}

static void test_another_run_begins_another_file(void **state)
{
    struct source_offer offer = {.numbers_gops = true, .run = 6, .takes_over = true};
    struct record_rig rr;

    (void)state;
    open_rig(&rr, 1 << 20);
    push_gops(&rr, 3);
    stream_detach(&rr.r.source);
    assert_int_equal(stream_attach(rr.r.stream, &rr.r.source, &offer), E_OK);
    send_body(&rr, k_config, sizeof k_config);
    push_gops(&rr, 3);
    turn_disk(&rr);
    assert_int_equal(rr.n_files, 1);
    assert_int_equal(rr.last_cut, RECORD_CUT_PUBLISHER);
    recorder_close(rr.recorder, RECORD_CUT_STOP);
    turn_disk(&rr);
    assert_int_equal(rr.n_files, 2);
    assert_int_equal(rr.n_keys, 6);
    close_rig(&rr);
}

/* As of a source that is faster than the disk: nothing is lost, and there is an end to it. */
static void test_files_grow_while_too_many_are_not_finished(void **state)
{
    struct record_rig rr;

    (void)state;
    open_rig_split(&rr, 1 << 24, 400000); /* a file a GOP */
    rr.keeps = true;
    for (unsigned i = 0; i < 100; i++) {
        push_gops(&rr, 1);
        turn_disk(&rr);
    }
    assert_int_equal(rr.n_kept, 16);
    rr.keeps = false;
    while (rr.n_kept)
        record_done_free(&rr.kept[--rr.n_kept]);
    push_gops(&rr, 3);
    turn_disk(&rr);
    assert_in_range(rr.n_files, 18, 20);
    recorder_close(rr.recorder, RECORD_CUT_STOP);
    turn_disk(&rr);
    assert_int_equal(rr.n_keys, 103);
    close_rig(&rr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorder_gives_every_gop_to_the_disk),
        cmocka_unit_test(test_recorder_leaves_out_whole_gops_while_the_queue_is_full),
        cmocka_unit_test(test_recorder_keeps_the_last_headers_alone_while_the_queue_is_full),
        cmocka_unit_test(test_the_same_run_goes_on_in_another_file_when_its_source_was_away),
        cmocka_unit_test(test_another_run_begins_another_file),
        cmocka_unit_test(test_files_grow_while_too_many_are_not_finished),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
