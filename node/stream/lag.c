/* See lag.h. */
#include "node/stream/lag.h"

#include <stdio.h>
#include <string.h>

#include "node/stream/stream.h"

void stream_lag_begin(struct stream_lag *lag, bool is_ingest)
{
    *lag = (struct stream_lag){
        .node_id = lag->node_id, .has_clock = is_ingest, .is_measured = is_ingest};
}

static bool is_within(int64_t value_us)
{
    return value_us >= -FLV_HW_MAX_US && value_us <= FLV_HW_MAX_US;
}

static void take_trail(struct stream_lag *lag, struct buf_view trail)
{
    struct flv_hop hops[FLV_MAX_HOPS];
    unsigned n_hops;

    lag->trail[0] = '\0';
    if (trail.data && flv_parse_trail(trail, hops, &n_hops) == E_OK)
        (void)buf_view_to_str(trail, lag->trail, sizeof lag->trail);
}

void stream_lag_hear(struct stream_lag *lag, const struct stream_upstream *said)
{
    lag->has_clock =
        said->clock.is_known && is_within(said->clock.us) && is_within(said->clock.unc_us);
    lag->clock_us = said->clock.us;
    lag->unc_us = said->clock.unc_us;
    lag->is_measured &= lag->has_clock;
    take_trail(lag, said->trail);
}

void stream_lag_measure(struct stream_lag *lag, int64_t now_us, int64_t ingest_us)
{
    lag->is_measured = lag->has_clock && !__builtin_sub_overflow(now_us, ingest_us, &lag->lag_us) &&
                       !__builtin_sub_overflow(lag->lag_us, lag->clock_us, &lag->lag_us) &&
                       is_within(lag->lag_us);
}

bool stream_lag_get(const struct stream_lag *lag, int64_t *lag_us, int64_t *unc_us)
{
    if (!lag->is_measured)
        return false;
    *lag_us = lag->lag_us;
    *unc_us = lag->unc_us;
    return true;
}

/* A trail with room for no further node is said as it is: what is below knows its own part. */
void stream_lag_say(const struct stream_lag *lag, struct flv_hw *hw, char trail[FLV_TRAIL_SIZE])
{
    struct flv_hop here = {.epoch = hw->epoch, .unc_us = -1};

    hw->has_clock = true;
    hw->clock_us = lag->has_clock ? lag->clock_us : 0;
    hw->unc_us = lag->has_clock ? lag->unc_us : -1;
    if (!lag->node_id)
        return;
    snprintf(here.id, sizeof here.id, "%s", lag->node_id);
    (void)stream_lag_get(lag, &here.lag_us, &here.unc_us);
    memcpy(trail, lag->trail, FLV_TRAIL_SIZE);
    (void)flv_append_hop(trail, &here);
    hw->trail = buf_view_str(trail);
}
