/* The rules in force: those of the configuration, and those that operators tell. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/record/record_private.h"

void record_rules_fini(struct record_rules *rules)
{
    for (size_t i = 0; i < rules->n_items; i++)
        conf_free(&k_record_rule_schema, &rules->items[i].rule);
    free(rules->items);
    *rules = (struct record_rules){.items = NULL};
}

/* --- of the configuration --- */

static enum err parse_one(size_t i, const char *text, struct record_rule *out,
                          struct conf_error *error)
{
    const char *why = "";
    char source[48];
    enum err e;

    snprintf(source, sizeof source, "record.rules[%zu]", i);
    e = conf_item_from_text(&k_record_rule_schema, source, text, out, error);
    if (e != E_OK || record_rule_check(out, &why) == E_OK)
        return e;
    snprintf(error->text, sizeof error->text, "%s: %s", source, why);
    conf_free(&k_record_rule_schema, out);
    return E_INVAL;
}

enum err record_rules_parse(const struct conf_list *texts, struct record_rules *out,
                            struct conf_error *error)
{
    enum err e;

    *out = (struct record_rules){.items = calloc(texts->n_items + 1, sizeof *out->items)};
    e = out->items ? E_OK : E_NOMEM;
    for (size_t i = 0; i < texts->n_items && e == E_OK; i++) {
        e = parse_one(i, texts->items[i], &out->items[i].rule, error);
        out->n_items += e == E_OK;
    }
    if (e != E_OK)
        record_rules_fini(out);
    return e;
}

enum err record_rules_check(const struct conf_list *rules, struct conf_error *error)
{
    struct record_rules parsed;
    enum err e = record_rules_parse(rules, &parsed, error);

    record_rules_fini(&parsed);
    return e;
}

void record_reload(struct record *record, const struct conf_list *rules)
{
    struct record_rules fresh, old;
    struct conf_error error;

    if (!record || record_rules_parse(rules, &fresh, &error) != E_OK)
        return; /* checked before; without memory they stay */
    pthread_mutex_lock(&record->lock);
    old = record->conf_rules;
    record->conf_rules = fresh;
    pthread_mutex_unlock(&record->lock);
    record_rules_fini(&old);
    record_look_at_all(record);
}

/* --- which one --- */

static const struct record_rule *find_rule(const struct record_rules *rules,
                                           const struct stream_name *stream)
{
    for (size_t i = 0; i < rules->n_items; i++)
        if (record_rule_matches(&rules->items[i].rule, stream))
            return &rules->items[i].rule;
    return NULL;
}

static const struct record_rule *find_exact(const struct record_rules *rules,
                                            const struct stream_name *stream)
{
    for (size_t i = 0; i < rules->n_items; i++)
        if (!strcmp(rules->items[i].rule.streams, stream->text))
            return &rules->items[i].rule;
    return NULL;
}

/* Of a rule that says nothing more. */
static struct record_plan plain_plan(void)
{
    struct record_plan plan = {.formats = 0};
    struct record_rule rule = {.streams = NULL};
    struct conf_error error;

    if (conf_item_from_text(&k_record_rule_schema, "", "*", &rule, &error) != E_OK)
        return plan; /* out of memory */
    plan = record_rule_plan(&rule);
    conf_free(&k_record_rule_schema, &rule);
    return plan;
}

struct record_plan record_plan_for(struct record *record, const struct stream_name *stream,
                                   enum publish_record said)
{
    struct record_plan plan = {.formats = 0};
    const struct record_rule *rule;

    if (record_name_is_taken(stream) || said == PUBLISH_RECORD_OFF)
        return plan;
    pthread_mutex_lock(&record->lock);
    rule = find_exact(&record->told_rules, stream);
    if (!rule)
        rule = find_rule(&record->told_rules, stream);
    if (!rule)
        rule = find_rule(&record->conf_rules, stream);
    if (rule)
        plan = record_rule_plan(rule);
    pthread_mutex_unlock(&record->lock);
    return said == PUBLISH_RECORD_ON && !plan.formats ? plain_plan() : plan;
}

/* --- of operators --- */

/* Where it is, or belongs. */
static size_t place_of(const struct record_rules *rules, const char *id, bool *found)
{
    size_t i = 0;

    while (i < rules->n_items && strcmp(rules->items[i].id, id) < 0)
        i++;
    *found = i < rules->n_items && !strcmp(rules->items[i].id, id);
    return i;
}

static void remove_rule(struct record_rules *rules, const char *id)
{
    bool found;
    size_t i = place_of(rules, id, &found);

    if (!found)
        return;
    conf_free(&k_record_rule_schema, &rules->items[i].rule);
    rules->n_items--;
    memmove(&rules->items[i], &rules->items[i + 1], (rules->n_items - i) * sizeof rules->items[0]);
}

/* Takes *rule. */
static enum err add_rule(struct record_rules *rules, const char *id, struct record_rule *rule)
{
    struct record_ruled *items =
        realloc(rules->items, (rules->n_items + 1) * sizeof rules->items[0]);
    bool found;
    size_t i;

    if (!items) {
        conf_free(&k_record_rule_schema, rule);
        return E_NOMEM;
    }
    rules->items = items;
    i = place_of(rules, id, &found);
    memmove(&items[i + 1], &items[i], (rules->n_items - i) * sizeof items[0]);
    snprintf(items[i].id, sizeof items[i].id, "%s", id);
    items[i].rule = *rule;
    rules->n_items++;
    return E_OK;
}

static enum err check(void *arg, const char *id, const void *item, struct conf_error *error)
{
    const char *why = "";
    enum err e = record_rule_check(item, &why);

    (void)arg, (void)id;
    if (e != E_OK)
        snprintf(error->text, sizeof error->text, "body: %s", why);
    return e;
}

static void on_change(void *arg, const char *id, const void *item, const json_t *json)
{
    struct record_rule copy = {.streams = NULL};
    struct record *record = arg;
    enum err e = item ? conf_item_copy(&k_record_rule_schema, item, &copy) : E_OK;

    (void)json;
    pthread_mutex_lock(&record->lock);
    if (e == E_OK) {
        remove_rule(&record->told_rules, id);
        e = item ? add_rule(&record->told_rules, id, &copy) : E_OK;
    }
    pthread_mutex_unlock(&record->lock);
    if (e != E_OK)
        log_error("record", "msg=\"rule not in force\" rule=%s reason=\"%s\"", LOG_STR(id),
                  err_text(e));
    record_look_at_all(record);
}

struct counted {
    const struct record_rule *rule;
    json_int_t n_running, n_failed;
    char error[160];
};

static void count(const struct record_status *status, void *arg)
{
    struct counted *counted = arg;

    if (!record_rule_matches(counted->rule, &status->stream))
        return;
    counted->n_running++;
    if (status->state != RECORD_NO_ROOM && status->state != RECORD_FAILED)
        return;
    counted->n_failed++;
    snprintf(counted->error, sizeof counted->error, "%s", status->error);
}

static void describe(void *arg, const char *id, json_t *json)
{
    const char *streams = json_string_value(json_object_get(json, "streams"));
    char pattern[STREAM_NAME_SIZE];
    struct record_rule rule = {.streams = pattern};
    struct counted counted = {.rule = &rule};

    (void)id;
    snprintf(pattern, sizeof pattern, "%s", streams ? streams : "");
    record_each_status(arg, count, &counted);
    json_object_set_new(json, "state",
                        json_string(counted.n_failed    ? "error"
                                    : counted.n_running ? "recording"
                                                        : "idle"));
    json_object_set_new(json, "running", json_integer(counted.n_running));
    json_object_set_new(json, "last_error",
                        counted.error[0] ? json_string(counted.error) : json_null());
}

void record_own_settings(struct record *record, struct settings *settings)
{
    struct setting_owner owner = {.schema = &k_record_rule_schema,
                                  .check = check,
                                  .on_change = on_change,
                                  .describe = describe,
                                  .arg = record};

    settings_own(settings, SETTING_RECORD, &owner);
}
