/* What of the configuration can be changed while the node runs: its reloadable rows, a group of
 * keys for each call. They hold until the configuration is loaded again. */
#include "node/control/admin_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS 64u
#define KEPT_UNTIL "the configuration is loaded again (SIGHUP), or the node restarts"

enum part_id { PART_LIMITS, PART_LOG };

struct part {
    struct conf_field fields[MAX_ROWS];
    struct conf_schema schema; /* keys without their group, no defaults */
};

struct admin_parts {
    struct part all[ADMIN_N_PARTS];
};

static const struct {
    const char *group, *name; /* of keys; of the schema in openapi.json */
} k_parts[ADMIN_N_PARTS] = {
    [PART_LIMITS] = {"limits.", "Limits"},
    [PART_LOG] = {"log.", "LogLevel"},
};

/* --- the tables --- */

static void fill(struct part *part, const char *group)
{
    size_t group_bytes = strlen(group), n = 0;

    for (size_t i = 0; i < k_node_schema.n_fields; i++) {
        const struct conf_field *row = &k_node_schema.fields[i];

        if (!row->reloadable || strncmp(row->key, group, group_bytes) != 0)
            continue;
        assert(n < MAX_ROWS);
        part->fields[n] = *row;
        part->fields[n++].key = row->key + group_bytes;
    }
    part->schema = (struct conf_schema){.program = k_node_schema.program,
                                        .fields = part->fields,
                                        .n_fields = n,
                                        .struct_bytes = k_node_schema.struct_bytes};
}

struct admin_parts *admin_parts_create(void)
{
    struct admin_parts *parts = calloc(1, sizeof *parts);

    for (size_t i = 0; parts && i < ADMIN_N_PARTS; i++)
        fill(&parts->all[i], k_parts[i].group);
    return parts;
}

void admin_parts_destroy(struct admin_parts **parts)
{
    free(*parts);
    *parts = NULL;
}

void admin_parts_schemas(const struct admin_parts *parts,
                         struct openapi_schema schemas[ADMIN_N_PARTS])
{
    for (size_t i = 0; i < ADMIN_N_PARTS; i++)
        schemas[i] = (struct openapi_schema){k_parts[i].name, &parts->all[i].schema};
}

/* --- the calls --- */

static void show(struct admin *admin, struct http_exchange *x, enum part_id id)
{
    json_t *values = conf_item_to_json(&admin->parts->all[id].schema, &admin->node->conf);

    admin_respond_json(
        x, values ? json_pack("{s:o, s:s}", "values", values, "kept_until", KEPT_UNTIL) : NULL);
}

/* What the body does not say stays as it is. */
static enum err read_part(const struct part *part, const struct node_conf *now, json_t *body,
                          struct node_conf *out, struct conf_error *error)
{
    json_t *whole =
        json_is_object(body) ? conf_item_to_json(&part->schema, now) : json_incref(body);
    enum err e = E_NOMEM;

    snprintf(error->text, sizeof error->text, "%s", err_text(e));
    if (whole && (whole == body || json_object_update(whole, body) == 0))
        e = conf_item_from_json(&part->schema, "body", whole, out, error);
    json_decref(whole);
    return e;
}

static void change(struct admin *admin, struct http_exchange *x, enum part_id id)
{
    const struct part *part = &admin->parts->all[id];
    struct conf_error error;
    struct node_conf fresh;
    json_t *body = admin_read_body(x);
    enum err e;

    if (!body)
        return;
    memset(&fresh, 0, sizeof fresh);
    e = read_part(part, &admin->node->conf, body, &fresh, &error);
    json_decref(body);
    if (e != E_OK) {
        http_respond_problem(x, e == E_INVAL ? 400 : 503, "%s", error.text);
        return;
    }
    node_tune(admin->node, &part->schema, &fresh);
    conf_free(&part->schema, &fresh);
    show(admin, x, id);
}

void admin_get_limits(struct http_exchange *x, void *arg)
{
    show(arg, x, PART_LIMITS);
}

void admin_put_limits(struct http_exchange *x, void *arg)
{
    change(arg, x, PART_LIMITS);
}

void admin_get_log_level(struct http_exchange *x, void *arg)
{
    show(arg, x, PART_LOG);
}

void admin_put_log_level(struct http_exchange *x, void *arg)
{
    change(arg, x, PART_LOG);
}
