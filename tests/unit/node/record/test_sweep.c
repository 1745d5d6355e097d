/* Retention, and clocks that are set. */
#include "node/record/record_private.h"
#include "tests/unit/node/record/record_test.h"

#include "common/base/log.h"

#define HOUR_US INT64_C(3600000000)

struct sweep_rig {
    struct folder_rig r;
    struct record record;
};

/* A finished file of 100 bytes that ended so long ago. */
static void add_file(struct sweep_rig *rig, uint32_t seq, int64_t age_us)
{
    struct record_entry entry = {
        .name = {.format = RECORD_TS, .seq = seq, .time = "20260101T000000Z"},
        .start_us = clock_wall_us() - age_us,
        .bytes = 100};
    int folder_fd = rig_folder(&rig->r), fd;
    char file[RECORD_NAME_SIZE];

    record_name_format(&entry.name, file);
    fd = record_file_open(folder_fd, file, O_WRONLY | O_CREAT);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(record_index_append(folder_fd, &entry), E_OK);
    close(folder_fd);
}

static size_t count_left(const struct sweep_rig *rig)
{
    struct record_entries list;
    int folder_fd = rig_folder(&rig->r);
    size_t n;

    assert_int_equal(record_index_read(folder_fd, &list), E_OK);
    n = list.n_items;
    record_entries_fini(&list);
    close(folder_fd);
    return n;
}

static void open_rig(struct sweep_rig *rig)
{
    memset(rig, 0, sizeof *rig);
    log_set_level(LOG_ERROR);
    rig_open(&rig->r, RECORD_TS);
    rig->record.dir_fd = rig->r.dir_fd;
    add_file(rig, 1, 3 * HOUR_US);
    add_file(rig, 2, 2 * HOUR_US);
    add_file(rig, 3, 0);
}

static void test_sweep_removes_what_is_too_old(void **state)
{
    struct sweep_rig rig;

    (void)state;
    open_rig(&rig);
    rig.record.limits.max_age_us = HOUR_US;
    record_sweep(&rig.record);
    assert_int_equal(count_left(&rig), 1);
    rig_close(&rig.r);
}

static void test_sweep_removes_the_first_numbers_of_what_is_too_much(void **state)
{
    struct sweep_rig rig;

    (void)state;
    open_rig(&rig);
    add_file(&rig, 4, 5 * HOUR_US); /* the clock had been set back */
    rig.record.limits.max_bytes = 200;
    record_sweep(&rig.record);
    assert_int_equal(count_left(&rig), 2);
    add_file(&rig, 5, 0);
    record_sweep(&rig.record);
    assert_int_equal(count_left(&rig), 2);
    rig_close(&rig.r);
}

static void test_sweep_removes_nothing_for_its_age_after_the_clock_was_set(void **state)
{
    static const int64_t k_jumps_us[] = {24 * HOUR_US, -24 * HOUR_US, HOUR_US / 30};

    (void)state;
    for (size_t i = 0; i < sizeof k_jumps_us / sizeof k_jumps_us[0]; i++) {
        struct sweep_rig rig;

        open_rig(&rig);
        rig.record.limits.max_age_us = HOUR_US;
        rig.record.wall_offset_us = clock_wall_us() - clock_mono_us() - k_jumps_us[i];
        record_sweep(&rig.record);
        record_sweep(&rig.record); /* nor a moment later */
        assert_int_equal(count_left(&rig), 3);
        rig.record.no_age_until_us = clock_mono_us();
        record_sweep(&rig.record);
        assert_int_equal(count_left(&rig), 1);
        rig_close(&rig.r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweep_removes_what_is_too_old),
        cmocka_unit_test(test_sweep_removes_the_first_numbers_of_what_is_too_much),
        cmocka_unit_test(test_sweep_removes_nothing_for_its_age_after_the_clock_was_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
