/* links: node/stream
 * The plan of a run as another node says it. What is taken can be written and read again, and gives
 * numbers that never go back. */
#include <stdlib.h>
#include <string.h>

#include "node/stream/plan.h"

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_plan(const struct stream_plan *plan)
{
    char text[STREAM_PLAN_TEXT_SIZE];
    struct stream_plan again;
    uint64_t last_msn = 0;

    check(plan->run == 0 && plan->segment_ms > 0);
    stream_plan_write(plan, text);
    check(stream_plan_read(buf_view_str(text), &again) == E_OK);
    check(again.first_gop == plan->first_gop && again.first_msn == plan->first_msn &&
          again.gops_per_segment == plan->gops_per_segment &&
          again.skipped_gops == plan->skipped_gops && again.segment_ms == plan->segment_ms &&
          again.part_ms == plan->part_ms && again.discontinuities == plan->discontinuities &&
          again.shift == plan->shift);
    for (uint64_t step = 0; step < 64; step++) {
        uint64_t gop = plan->first_gop / 2 + ((uint64_t)1 << step) / 2;
        uint64_t msn = stream_plan_msn(plan, gop);

        check(msn >= last_msn && msn >= plan->first_msn);
        last_msn = msn;
    }
}

/* A node that follows another one's runs and then takes the stream over itself. */
static void check_planner(const struct stream_plan *plan)
{
    static const struct stream_plan_conf k_conf = {.segment_us = 2000000, .part_us = 200000};
    struct stream_planner planner = {.plan = {.run = 0}};
    struct stream_plan said = *plan;
    uint64_t last_msn;

    said.run = 1;
    stream_planner_set(&planner, &said, said.first_gop + 1000);
    last_msn = planner.last_msn;
    said.run = 3;
    said.first_msn = 0;
    stream_planner_set(&planner, &said, said.first_gop);
    check(planner.plan.first_msn == last_msn + 1);
    check(planner.plan.discontinuities > plan->discontinuities);
    stream_planner_count(&planner, &k_conf, 2, 1, 0);
    last_msn++;
    check(planner.plan.run == 2 && planner.plan.first_msn == last_msn + 1);
    check(planner.plan.discontinuities > plan->discontinuities + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct stream_plan plan;

    check(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    if (stream_plan_read(buf_view_of(copy, size), &plan) == E_OK) {
        check_plan(&plan);
        check_planner(&plan);
    }
    free(copy);
    return 0;
}
