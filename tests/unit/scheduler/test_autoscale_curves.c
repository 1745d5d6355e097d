/* Fleets under curves of viewers: who can be served is served, and nothing swings. */
#include "tests/unit/scheduler/autoscale_fleet.h"
#include "tests/unit/scheduler/recorded_crowd.h"

#define ASK_S 15
#define START_MIN_S 30
#define START_MAX_S 60
#define SEE_S 8 /* the window of a growth, a heartbeat, a tick and the asking's own second */
#define START_S (ASK_S + START_MAX_S)
#define REACT_S (START_S + SEE_S) /* nothing can have come of a growth before */
#define POD_VIEWERS 1000.0

static const struct fleet_conf k_conf = {
    .scale = {.min = 2,
              .max = 300,
              .target_percent = 60,
              .hysteresis_percent = 10,
              .start_us = START_S * SECOND,
              .scale_in_delay_us = 300 * SECOND},
    .pod_viewers = POD_VIEWERS,
    .ask_s = ASK_S,
    .start_min_s = START_MIN_S,
    .start_max_s = START_MAX_S,
    .drain_s = 300,
    .n_pods = 2,
    .noise = 0.05,
    .mean_view_s = 600,
    .seed = 1,
};

typedef double curve(double t_s, double arg);

/* 300 s of calm, then the curve from its second 0 on. Returns the fleet as it is after. */
static struct fleet *run(const struct fleet_conf *conf, curve *viewers, double arg, int64_t run_s)
{
    struct fleet *f = fleet_create(conf, viewers(0, arg));

    for (int64_t t = -300; t < run_s; t++)
        fleet_second(f, viewers(t < 0 ? 0 : (double)t, arg));
    return f;
}

/* --- flash crowd: times 20 in 60 s --- */

static double flash(double t_s, double n)
{
    return n * (1 + 19 * fmin(t_s, 60) / 60);
}

static double flash_geometric(double t_s, double n)
{
    return n * pow(20, fmin(t_s, 60) / 60);
}

static void test_flash_crowd_refuses_nobody_when_min_holds_what_comes_before_a_pod_can(void **state)
{
    static curve *const k_curves[] = {flash, flash_geometric};

    (void)state;
    for (unsigned seed = 0; seed < 20; seed++)
        for (size_t i = 0; i < 2; i++) {
            struct fleet_conf conf = k_conf;
            struct fleet *f;

            /* all of it comes before the first pod that it can have started: 20 times 300 viewers
             */
            conf.seed = seed;
            conf.scale.min = conf.n_pods = (unsigned)ceil(flash(REACT_S, 300) / POD_VIEWERS);
            f = run(&conf, k_curves[i], 300, 1200);
            assert_true(f->n_refused == 0);
            assert_true(f->n_reversals <= 1);
            free(f);
        }
}

/* The least that can be had: before, no pod can be there, whoever decides. */
static void test_flash_crowd_refuses_only_before_a_pod_can_be_there(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 20; seed++) {
        struct fleet_conf conf = k_conf;
        struct fleet *f;

        conf.seed = seed;
        f = run(&conf, flash, 900, 1800);
        assert_true(f->n_refused > 0); /* 2,000 fit, 18,000 come */
        assert_true(f->last_refused_s <= 300 + REACT_S);
        assert_true(f->n_reversals <= 1);
        free(f);
    }
}

/* All that a straight rise asks for is ordered as soon as it is seen, however steep it is. */
static double ramp(double t_s, double slope)
{
    return 100 + slope * t_s;
}

static void test_straight_rise_refuses_nobody_when_the_first_reaction_fits(void **state)
{
    static const double k_slopes[] = {0.2, 1, 3, 10, 30, 100};

    (void)state;
    for (size_t i = 0; i < sizeof k_slopes / sizeof k_slopes[0]; i++)
        for (unsigned seed = 0; seed < 10; seed++) {
            struct fleet_conf conf = k_conf;
            struct fleet *f;

            conf.seed = seed;
            conf.scale.min = conf.n_pods =
                (unsigned)ceil(ramp(REACT_S, k_slopes[i]) / POD_VIEWERS) + 1;
            f = run(&conf, ramp, k_slopes[i], (int64_t)fmin(1800, 150000 / k_slopes[i]));
            assert_true(f->n_refused == 0);
            assert_int_equal(f->n_reversals, 0);
            free(f);
        }
}

/* --- what was recorded --- */

static double recorded_mean(size_t what)
{
    double sum = 0;

    for (int i = 0; i < RECORDED_S; i++)
        sum += (double)(what ? k_recorded[i].cpu_permille : k_recorded[i].egress_kbps) /
               k_recorded[i].n_viewers;
    return sum / RECORDED_S;
}

/* The same crowd at ten times its size, with bursts of egress and CPU as they were measured. */
static void play_recorded(struct fleet *f, double times)
{
    double egress = recorded_mean(0), cpu = recorded_mean(1);

    for (int t = -600; t < RECORDED_S; t++) {
        int at = t < 0 ? (t + 600) % RECORDED_CALM_S : t;

        f->egress_factor = k_recorded[at].egress_kbps / egress / k_recorded[at].n_viewers;
        f->cpu_factor = k_recorded[at].cpu_permille / cpu / k_recorded[at].n_viewers;
        fleet_second(f, times * k_recorded[at].n_viewers);
        if (t < 0)
            assert_true(f->autoscale.advice.wanted <= f->conf.n_pods);
    }
}

static void test_recorded_crowd_refuses_nobody_when_min_holds_it(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 10; seed++) {
        struct fleet_conf conf = k_conf;
        struct fleet *f;

        conf.seed = seed;
        conf.scale.min = conf.n_pods = 13; /* 12,000 come before a pod can be there */
        f = fleet_create(&conf, 600);
        play_recorded(f, 10);
        assert_true(f->n_refused == 0);
        assert_true(f->n_reversals <= 1);
        free(f);
    }
}

/* Bursts alone, ten times as many viewers of calm: nobody comes, and nothing changes. */
static void test_recorded_bursts_are_no_reason_for_more(void **state)
{
    struct fleet_conf conf = k_conf;
    double egress = recorded_mean(0);
    struct fleet *f;

    (void)state;
    conf.n_pods = 8;
    conf.scale.min = 1;
    f = fleet_create(&conf, 4000);
    for (int t = 0; t < 3600; t++) {
        int at = 100 + t % (RECORDED_S - 100); /* all of them are there */

        f->egress_factor = k_recorded[at].egress_kbps / egress / k_recorded[at].n_viewers;
        fleet_second(f, 4000);
        assert_true(f->autoscale.advice.wanted >= 6 && f->autoscale.advice.wanted <= 9);
    }
    assert_true(f->n_reversals <= 2);
    free(f);
}

/* --- any curve that does not outrun the target --- */

/* Growth of at most 1/target within a reaction, of any shape, and falls of any depth. */
static void test_no_curve_that_stays_below_the_target_in_a_reaction_is_refused(void **state)
{
    double most = log(1 / 0.6) / REACT_S;

    (void)state;
    for (unsigned seed = 0; seed < 200; seed++) {
        struct fleet_conf conf = k_conf;
        struct fleet *f;
        double n = 1000, rate = 0;

        conf.seed = seed;
        f = fleet_create(&conf, 1000);
        for (int t = 0; t < 3000; t++) {
            if (t % 20 == 0)
                rate = fleet_random(f) < 0.15 ? -0.05 * fleet_random(f)
                                              : most * (1.6 * fleet_random(f) - 0.6);
            n = fmin(fmax(n * exp(t < 60 ? 0 : rate), 100), 150000);
            fleet_second(f, n);
        }
        assert_true(f->n_refused == 0);
        assert_true(f->n_reversals <= 2 * (3000 / 300));
        free(f);
    }
}

/* --- a day --- */

static double evening(double t_s, double peak)
{
    double hour = fmod(t_s / 3600 + 12, 24);
    double from_peak = fabs(hour - 21) < 12 ? fabs(hour - 21) : 24 - fabs(hour - 21);

    return peak * (0.04 + 0.96 * exp(-from_peak * from_peak / 5));
}

static void test_evening_peak_refuses_nobody_turns_once_and_costs_little(void **state)
{
    struct fleet *f = run(&k_conf, evening, 20000, 86400 - 300);
    double viewer_seconds = 0;

    (void)state;
    for (int64_t t = 0; t < 86400; t++)
        viewer_seconds += evening((double)t, 20000);
    assert_true(f->n_refused == 0);
    assert_true(f->n_reversals <= 2);
    assert_true(f->pod_seconds < 1.35 * viewer_seconds / POD_VIEWERS / 0.6 + 2 * 86400);
    free(f);
}

/* --- swinging load --- */

static double square(double t_s, double period_s)
{
    return fmod(t_s, period_s) < period_s / 2 ? 6000 : 3000;
}

static void test_load_that_swings_within_the_delay_changes_nothing(void **state)
{
    static const double k_periods_s[] = {4, 10, 30, 60, 150, 280};

    (void)state;
    for (size_t i = 0; i < sizeof k_periods_s / sizeof k_periods_s[0]; i++) {
        struct fleet_conf conf = k_conf;
        struct fleet *f;

        conf.n_pods = 10;
        f = run(&conf, square, k_periods_s[i], 3600);
        assert_true(f->n_refused == 0);
        assert_true(f->n_reversals <= 1); /* the first fall of a too large beginning */
        assert_true(f->n_changes <= 4);
        free(f);
    }
}

static void test_load_that_swings_slower_turns_at_most_twice_a_period(void **state)
{
    struct fleet_conf conf = k_conf;
    struct fleet *f;

    (void)state;
    conf.n_pods = 10;
    f = run(&conf, square, 1200, 12000);
    assert_true(f->n_reversals <= 2 * 10 + 1);
    free(f);
}

static double calm(double t_s, double n)
{
    (void)t_s;
    return n;
}

/* Near a limit between two numbers of nodes: noise of 5% is no reason to go to and fro. */
static void test_noise_at_the_edge_of_a_node_changes_once_at_most(void **state)
{
    (void)state;
    for (double n = 2900; n < 3100; n += 10) {
        struct fleet_conf conf = k_conf;
        struct fleet *f;

        conf.n_pods = 6;
        f = run(&conf, calm, n, 7200);
        assert_true(f->n_refused == 0);
        assert_true(f->n_changes <= 3);
        assert_true(f->n_reversals <= 1);
        free(f);
    }
}

/* Viewers come and go each by itself, for two minutes each: as many more or fewer as chance has it.
 */
static void test_viewers_that_come_and_go_by_chance_are_no_growth(void **state)
{
    static const double k_sizes[] = {30, 100, 1000, 10000};

    (void)state;
    for (size_t i = 0; i < sizeof k_sizes / sizeof k_sizes[0]; i++) {
        struct fleet_conf conf = k_conf;
        struct fleet *f;
        double mean = k_sizes[i], n = mean;

        conf.pod_viewers = mean / 5;
        conf.n_pods = 10;
        conf.noise = 0;
        f = fleet_create(&conf, mean);
        for (int t = 0; t < 7200; t++) {
            double chance = -6;

            for (int j = 0; j < 12; j++) /* nearly normal */
                chance += fleet_random(f);
            n = floor(n + (mean - n) / 120 + sqrt(2 * n / 120) * chance + 0.5);
            fleet_second(f, n);
            assert_true(f->autoscale.advice.wanted <=
                        ceil((mean + 4 * sqrt(mean)) / conf.pod_viewers / 0.6) + 1);
        }
        assert_true(f->n_refused == 0);
        free(f);
    }
}

/* A pod dies: its viewers come back within seconds. That is no crowd. */
static void test_viewers_that_come_back_after_a_death_are_no_growth(void **state)
{
    struct fleet_conf conf = k_conf;
    struct fleet *f;
    uint32_t before;

    (void)state;
    conf.n_pods = conf.scale.min = 5;
    f = run(&conf, calm, 2400, 0);
    before = f->autoscale.advice.wanted;
    f->pods[0] = (struct pod){0};
    fleet_second(f, fleet_viewers(f));
    for (int t = 0; t < 120; t++) {
        fleet_second(f, 2400);
        assert_int_equal(f->autoscale.advice.wanted, before);
    }
    assert_true(f->n_refused == 0);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_flash_crowd_refuses_nobody_when_min_holds_what_comes_before_a_pod_can),
        cmocka_unit_test(test_flash_crowd_refuses_only_before_a_pod_can_be_there),
        cmocka_unit_test(test_straight_rise_refuses_nobody_when_the_first_reaction_fits),
        cmocka_unit_test(test_recorded_crowd_refuses_nobody_when_min_holds_it),
        cmocka_unit_test(test_recorded_bursts_are_no_reason_for_more),
        cmocka_unit_test(test_no_curve_that_stays_below_the_target_in_a_reaction_is_refused),
        cmocka_unit_test(test_evening_peak_refuses_nobody_turns_once_and_costs_little),
        cmocka_unit_test(test_load_that_swings_within_the_delay_changes_nothing),
        cmocka_unit_test(test_load_that_swings_slower_turns_at_most_twice_a_period),
        cmocka_unit_test(test_noise_at_the_edge_of_a_node_changes_once_at_most),
        cmocka_unit_test(test_viewers_that_come_and_go_by_chance_are_no_growth),
        cmocka_unit_test(test_viewers_that_come_back_after_a_death_are_no_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
