/* What HLS tells. */
#ifndef HW_NODE_CONTROL_EVENTS_HLS_H
#define HW_NODE_CONTROL_EVENTS_HLS_H

#include "node/hls/hls.h"

/* hls_conf.on_segment; arg is the struct node. On the stream's home loop. */
void events_on_hls_segment(void *arg, const struct hls_told *told);

#endif
