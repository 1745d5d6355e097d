/* Lists of items (common/base/conf_item.h) that are rules of one app each, "*" for all that have
 * none of their own: read once, looked up by name. Changed only while nobody looks. */
#ifndef HW_NODE_ACCESS_APP_ITEMS_H
#define HW_NODE_ACCESS_APP_ITEMS_H

#include "common/base/conf_item.h"
#include "common/media/name.h"

struct app_items {
    const struct conf_schema *schema;
    char *items; /* owned: n_items structs of the schema, whose first member is "char *app" */
    size_t n_items;
};

/* Into a zeroed struct. E_INVAL (an app twice is one, too), E_NOMEM: it is back to zero, and *error
 * says where and why. key names the list in it. */
enum err app_items_init(struct app_items *set, const struct conf_schema *schema, const char *key,
                        const struct conf_list *list, struct conf_error *error);
void app_items_fini(struct app_items *set);
/* Lends the item of the stream's app; NULL: there is none. */
const void *app_items_find(const struct app_items *set, const struct stream_name *name);

#endif
