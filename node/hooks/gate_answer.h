/* What a receiver answered a question. Pure. */
#ifndef HW_NODE_HOOKS_GATE_ANSWER_H
#define HW_NODE_HOOKS_GATE_ANSWER_H

#include "common/base/conf_item.h"
#include "node/hooks/gate.h"

/* An answer of HTTP: 2xx with {"allow", "status", "reason", "redirect", "rename", "source",
 * "cache_s"} or nothing at all, which allows; 401, 403 and 404 deny. *cache_s is how long it may be
 * kept. E_INVAL, E_NOMEM: it is none, *error says why, and nothing is written. */
enum err gate_answer_read(enum gate_action action, unsigned status, struct buf_view body,
                          struct gate_answer *out, uint64_t *cache_s, struct conf_error *error);

#endif
