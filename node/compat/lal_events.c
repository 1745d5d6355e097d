/* lal's words for events. Apart from what it says of them, for whoever only names them. */
#include "node/compat/lal_notify.h"

static const char *const k_names[N_EVENTS] = {
    [EVENT_SERVER_START] = "on_server_start", [EVENT_UPDATE] = "on_update",
    [EVENT_RTMP_CONNECT] = "on_rtmp_connect", [EVENT_PUBLISH] = "on_pub_start",
    [EVENT_PUBLISH_DONE] = "on_pub_stop",     [EVENT_PLAY] = "on_sub_start",
    [EVENT_PLAY_DONE] = "on_sub_stop",        [EVENT_PULL_START] = "on_relay_pull_start",
    [EVENT_PULL_STOP] = "on_relay_pull_stop", [EVENT_HLS_SEGMENT] = "on_hls_make_ts",
};

#define BIT(id) (UINT32_C(1) << (id))
const uint32_t k_lal_events = BIT(EVENT_SERVER_START) | BIT(EVENT_UPDATE) |
                              BIT(EVENT_RTMP_CONNECT) | BIT(EVENT_PUBLISH) |
                              BIT(EVENT_PUBLISH_DONE) | BIT(EVENT_PLAY) | BIT(EVENT_PLAY_DONE) |
                              BIT(EVENT_PULL_START) | BIT(EVENT_PULL_STOP) | BIT(EVENT_HLS_SEGMENT);

const char *lal_event_name(enum event_id id)
{
    return k_names[id];
}
