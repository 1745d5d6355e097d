/* One item of hooks.targets: who is told, or asked, of what. */
#ifndef HW_NODE_HOOKS_ITEM_H
#define HW_NODE_HOOKS_ITEM_H

#include "common/base/conf_item.h"
#include "node/control/events.h"
#include "node/hooks/gate.h"

#define HOOKS_MAX_TARGETS 16u
#define HOOK_URL_BYTES 1000u

enum hook_mode { HOOK_NOTIFY, HOOK_GATE };
enum hook_format { HOOK_HEADWATER, HOOK_LAL };
enum hook_fail { HOOK_FAIL_OPEN, HOOK_FAIL_CLOSED };

struct hook_item {
    char *url;
    struct conf_list events; /* names; empty = all that its mode has */
    int mode;                /* enum hook_mode */
    int format;              /* enum hook_format */
    uint64_t timeout_ms;
    uint64_t retries, max_age_s;
    int fail; /* enum hook_fail */
    char *secret_file;
    uint64_t batch, queue;
};
extern const struct conf_schema k_hook_schema;

/* The i-th of hooks.targets, into any item, to be paired with conf_free(). E_INVAL, E_NOMEM: it is
 * zero, and *error says why without what may be secret in the URL. */
enum err hook_item_read(const struct conf_list *targets, size_t i, struct hook_item *out,
                        struct conf_error *error);
/* All of them, for node_conf_check(). */
enum err hook_items_check(const struct conf_list *targets, struct conf_error *error);
/* Is any of them told in lal's words? Those that are wrong do not count. */
bool hook_items_want_lal(const struct conf_list *targets);
/* The events that it is for, as bits. */
uint32_t hook_item_events(const struct hook_item *item);
/* What an URL is shown as: scheme, host and port. */
#define HOOK_SHOWN_SIZE 320
const char *hook_url_shown(const char *url, char out[HOOK_SHOWN_SIZE]);
/* In an URL of format=lal: the name of the event, as lal has an URL for each. */
#define HOOK_EVENT_MARK "{event}"
/* Where its path begins; at the end when it has none. */
const char *hook_url_path(const char *url);

#endif
