/* What livego says of publishers and players. Pure. Private to node/compat. */
#ifndef HW_NODE_COMPAT_LIVEGO_JSON_H
#define HW_NODE_COMPAT_LIVEGO_JSON_H

#include <jansson.h>

#include "node/compat/rates.h"
#include "node/compat/view.h"

/* {"publishers": [...], "players": [...]}: new references, NULL when out of memory. rates may be
 * NULL. base is the address of our RTMP port, for "url". */
json_t *livego_stat_json(const struct compat_view *view, const struct compat_rates *rates,
                         const char *base);
/* The shorter one of /streams: key and id alone. */
json_t *livego_streams_json(const struct compat_view *view);

#endif
