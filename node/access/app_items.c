/* See app_items.h. */
#include "node/access/app_items.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *item_at(const struct app_items *set, size_t i)
{
    return set->items + i * set->schema->struct_bytes;
}

static const char *app_at(const struct app_items *set, size_t i)
{
    return *(char *const *)item_at(set, i);
}

/* The number of the item; n_items when there is none. */
static size_t find(const struct app_items *set, const char *app, size_t size)
{
    size_t i = 0;

    while (i < set->n_items &&
           (strncmp(app_at(set, i), app, size) != 0 || app_at(set, i)[size] != '\0'))
        i++;
    return i;
}

static enum err read_item(struct app_items *set, const char *key, size_t i, const char *text,
                          struct conf_error *error)
{
    char source[64];
    const char *app;
    enum err e;

    snprintf(source, sizeof source, "%.40s[%zu]", key, i);
    e = conf_item_from_text(set->schema, source, text, item_at(set, i), error);
    if (e != E_OK)
        return e;
    app = app_at(set, i);
    if (find(set, app, strlen(app)) < set->n_items) { /* those before it */
        snprintf(error->text, sizeof error->text, "%s: found app \"%.100s\" twice", source, app);
        conf_free(set->schema, item_at(set, i));
        return E_INVAL;
    }
    set->n_items++;
    return E_OK;
}

enum err app_items_init(struct app_items *set, const struct conf_schema *schema, const char *key,
                        const struct conf_list *list, struct conf_error *error)
{
    enum err e = E_OK;

    set->schema = schema;
    set->items = calloc(list->n_items + 1, schema->struct_bytes);
    if (!set->items)
        e = E_NOMEM;
    for (size_t i = 0; i < list->n_items && e == E_OK; i++)
        e = read_item(set, key, i, list->items[i], error);
    if (e == E_NOMEM)
        snprintf(error->text, sizeof error->text, "%s: %s", key, err_text(e));
    if (e != E_OK)
        app_items_fini(set);
    return e;
}

void app_items_fini(struct app_items *set)
{
    for (size_t i = 0; i < set->n_items; i++)
        conf_free(set->schema, item_at(set, i));
    free(set->items);
    *set = (struct app_items){.schema = set->schema};
}

const void *app_items_find(const struct app_items *set, const struct stream_name *name)
{
    size_t i = find(set, name->text, name->app_bytes);

    if (i == set->n_items)
        i = find(set, "*", 1);
    return i < set->n_items ? item_at(set, i) : NULL;
}
