/* Answers that may be given again, bounded in number and bytes; those used longest ago give way.
 * Control loop. */
#ifndef HW_NODE_HOOKS_GATE_CACHE_H
#define HW_NODE_HOOKS_GATE_CACHE_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "node/hooks/gate.h"

#define GATE_CACHE_MAX 20000u
#define GATE_CACHE_MAX_BYTES (16u << 20)

struct gate_cache {
    struct map map;
    struct list used; /* struct entry, the latest last */
    size_t bytes;
};

void gate_cache_init(struct gate_cache *c);
void gate_cache_fini(struct gate_cache *c);
/* False: not known, or too old by now. */
bool gate_cache_get(struct gate_cache *c, const char *key, int64_t now_us, struct gate_answer *out);
/* Without memory it is not kept. */
void gate_cache_put(struct gate_cache *c, const char *key, const struct gate_answer *answer,
                    int64_t until_us);

#endif
