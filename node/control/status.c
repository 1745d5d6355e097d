/* What the console asks beside the rest of the API: whose page it is, and the last hour. */
#include "node/control/status.h"

#include <stdlib.h>

#include "common/base/history.h"
#include "common/console/console.h"
#include "node/control/admin_private.h"
#include "node/control/load.h"

enum series { VIEWERS, STREAMS, RELAYS, IN_BPS, OUT_BPS, CPU_PERMILLE, N_SERIES };

static const char *const k_series[] = {
    [VIEWERS] = "viewers", [STREAMS] = "streams", [RELAYS] = "relays",
    [IN_BPS] = "in_bps",   [OUT_BPS] = "out_bps", [CPU_PERMILLE] = "cpu_permille",
    [N_SERIES] = NULL,
};

struct status {
    struct node *node;
    struct timer timer;
    struct history history;
    struct node_load load;
    struct node_totals totals; /* of the walk under way */
    bool is_walking;
};

static void collect_stream(struct stream *stream, void *arg)
{
    struct stream_info info;

    stream_get_info(stream, &info);
    node_totals_add_stream(arg, &info);
}

static void collect(struct media_loop *ml, void *arg)
{
    struct status *status = arg;

    gather_each_stream(ml, collect_stream, &status->totals);
    node_totals_add_loop(&status->totals, ml);
}

static void on_collected(void *arg)
{
    struct status *status = arg;
    const struct node_totals *t = &status->totals;
    int64_t values[N_SERIES];

    status->is_walking = false;
    node_load_take(&status->load, t);
    values[VIEWERS] = t->n_people;
    values[STREAMS] = t->n_published + t->n_pulled;
    values[RELAYS] = t->n_relays;
    values[IN_BPS] = (int64_t)status->load.in_bps;
    values[OUT_BPS] = (int64_t)status->load.out_bps;
    values[CPU_PERMILLE] = status->load.cpu_permille;
    history_add(&status->history, values);
}

static void on_timer(struct timer *timer)
{
    struct status *status = list_entry(timer, struct status, timer);

    timer_start_ms(timer, HISTORY_STEP_MS);
    if (status->is_walking)
        return;
    node_totals_begin(&status->totals);
    status->is_walking = gather(status->node, collect, on_collected, status) == E_OK;
}

struct status *status_create(struct node *node)
{
    struct status *status = calloc(1, sizeof *status);

    if (!status || history_init(&status->history, k_series) != E_OK) {
        free(status);
        return NULL;
    }
    status->node = node;
    timer_init(&status->timer, node->control, on_timer);
    timer_start_ms(&status->timer, HISTORY_STEP_MS);
    return status;
}

void status_destroy(struct status **status)
{
    struct status *s = *status;

    *status = NULL;
    if (!s)
        return;
    timer_stop(&s->timer);
    history_fini(&s->history);
    free(s);
}

void status_get_history(struct http_exchange *x, void *arg)
{
    const struct admin *admin = arg;

    http_add_header(x, "Cache-Control", "no-store");
    admin_respond_json(x, history_json(&admin->status->history));
}

void status_get_door(struct http_exchange *x, void *arg)
{
    console_say_door(x, ((const struct admin *)arg)->access);
}

void status_get_me(struct http_exchange *x, void *arg)
{
    const struct admin *admin = arg;
    struct console_who who = {"node", admin->node->id, api_access_scope(admin->access, x)};

    console_say_who(x, &who);
}
