/* Groups as operators tell them: the settings of /api/v1/hls/groups. */
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/settings.h"
#include "node/hls/channel_private.h"

struct told {
    char *name;
    struct conf_list renditions;
};

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_STRING(struct told, name, "name", NULL, STREAM_NAME_SIZE - 1,
        "The group: app/name, as people ask for it.", false),
    CONF_FIELD_LIST(struct told, renditions, "renditions", NULL, HLS_MAX_RENDITIONS,
        "The streams that are its renditions.", false),
};
/* clang-format on */
static const struct conf_schema k_schema = {
    "hls group", k_fields, sizeof k_fields / sizeof k_fields[0], sizeof(struct told)};

static enum err read_name(const char *text, struct stream_name *out, struct conf_error *error)
{
    char path[STREAM_NAME_SIZE + 1];
    const char *why = "longer than a name can be";
    int size = snprintf(path, sizeof path, "/%s", text);

    if (size < (int)sizeof path && stream_name_from_path(out, buf_view_str(path), &why) == E_OK)
        return E_OK;
    snprintf(error->text, sizeof error->text, "body: found \"%.64s\": %s", text, why);
    return E_INVAL;
}

static enum err read_group(const struct told *told, struct hls_group *out, struct conf_error *error)
{
    enum err e;

    memset(out, 0, sizeof *out);
    e = read_name(told->name, &out->base, error);
    for (; e == E_OK && out->n_members < told->renditions.n_items; out->n_members++)
        e = read_name(told->renditions.items[out->n_members], &out->members[out->n_members], error);
    if (e == E_OK && !out->n_members) {
        snprintf(error->text, sizeof error->text, "body: renditions: expected 1 to 8 names");
        e = E_INVAL;
    }
    return e;
}
_Static_assert(HLS_MAX_RENDITIONS == 8, "read_group() says so");

static const struct {
    enum err e;
    const char *why;
} k_refusals[] = {
    {E_INVAL, "body: renditions: one is there twice, is the group itself, or is of another app"},
    {E_BUSY, "a stream belongs to one group, and none to a group of a group"},
    {E_LIMIT, "too many groups (4096)"},
};
_Static_assert(HLS_MAX_GROUPS == 4096, "k_refusals says so");

static enum err say_why(enum err e, struct conf_error *error)
{
    for (size_t i = 0; i < sizeof k_refusals / sizeof k_refusals[0]; i++)
        if (k_refusals[i].e == e)
            snprintf(error->text, sizeof error->text, "%s", k_refusals[i].why);
    return e;
}

static enum err check(void *arg, const char *id, const void *item, struct conf_error *error)
{
    struct hls_group group;
    enum err e = read_group(item, &group, error);

    (void)id;
    return e == E_OK ? say_why(hls_group_check(arg, &group), error) : e;
}

static void on_change(void *arg, const char *id, const void *item, const json_t *json)
{
    struct conf_error error = {"out of memory"};
    struct hls_group group;
    enum err e;

    (void)json;
    if (!item) {
        (void)hls_group_remove(arg, id);
        return;
    }
    e = read_group(item, &group, &error);
    if (e == E_OK)
        e = say_why(hls_group_set(arg, &group), &error);
    if (e != E_OK) /* told at two nodes at a time */
        log_warn("hls", "msg=\"group not in force\" group=%s reason=%s", LOG_STR(id),
                 LOG_STR(error.text));
}

void hls_own_settings(struct hls *hls, struct settings *settings)
{
    struct setting_owner owner = {.schema = &k_schema,
                                  .id_field = "name",
                                  .check = check,
                                  .on_change = on_change,
                                  .arg = hls};

    settings_own(settings, SETTING_HLS_GROUP, &owner);
}
