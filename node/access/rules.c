/* See rules.h. */
#include "node/access/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APP_BYTES (2 * NAME_PART_MAX + 1)

const char *const k_access_methods[N_METHODS] = {
    [METHOD_OPEN] = "open", [METHOD_SIGN] = "sign", [METHOD_LAL] = "lal",  [METHOD_KEY] = "key",
    [METHOD_JWT] = "jwt",   [METHOD_USER] = "user", [METHOD_HOOK] = "hook"};

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_STRING(struct access_rule, app,     "app",     NULL, APP_BYTES, "The app; * is any.", true),
    CONF_FIELD_LIST  (struct access_rule, publish, "publish", "",   N_METHODS, "Who may publish: open, closed, or ways in.", true),
    CONF_FIELD_LIST  (struct access_rule, play,    "play",    "",   N_METHODS, "Who may play.", true),
};
/* clang-format on */
const struct conf_schema k_access_rule_schema = {
    "access.rules", k_fields, sizeof k_fields / sizeof k_fields[0], sizeof(struct access_rule)};

static bool find_method(const char *text, unsigned *methods)
{
    for (unsigned i = 0; i < N_METHODS; i++)
        if (!strcmp(text, k_access_methods[i])) {
            *methods |= 1u << i;
            return true;
        }
    return false;
}

/* "closed" stands alone. */
static enum err read_methods(const char *source, const char *key, const struct conf_list *texts,
                             unsigned *methods, struct conf_error *error)
{
    bool is_closed = texts->n_items == 1 && !strcmp(texts->items[0], "closed");

    *methods = 0;
    for (size_t i = 0; i < texts->n_items && !is_closed; i++) {
        if (find_method(texts->items[i], methods))
            continue;
        snprintf(error->text, sizeof error->text,
                 "%s: %s: found \"%.60s\", expected closed, or some of open, sign, lal, key, jwt, "
                 "user, hook with | between",
                 source, key, texts->items[i]);
        return E_INVAL;
    }
    return E_OK;
}

static enum err check_app(const char *source, const char *app, struct conf_error *error)
{
    struct stream_name name;
    const char *why = "";

    if (!strcmp(app, "*"))
        return E_OK;
    if (stream_name_make(&name, buf_view_str(app), buf_view_str("x"), &why) == E_OK &&
        name.app_bytes == strlen(app))
        return E_OK;
    snprintf(error->text, sizeof error->text, "%s: app: found \"%.200s\", expected an app or *",
             source, app);
    return E_INVAL;
}

static enum err make_rule(const char *source, const char *text, struct access_rule *rule,
                          struct conf_error *error)
{
    enum err e = conf_item_from_text(&k_access_rule_schema, source, text, rule, error);

    if (e == E_OK)
        e = check_app(source, rule->app, error);
    if (e == E_OK)
        e = read_methods(source, "publish", &rule->publish, &rule->methods[ACCESS_PUBLISH], error);
    if (e == E_OK)
        e = read_methods(source, "play", &rule->play, &rule->methods[ACCESS_PLAY], error);
    rule->is_said[ACCESS_PUBLISH] = rule->publish.n_items > 0;
    rule->is_said[ACCESS_PLAY] = rule->play.n_items > 0;
    return e;
}

enum err access_rules_make(const struct conf_list *texts, struct access_rules *out,
                           struct conf_error *error)
{
    struct access_rules rules = {NULL, 0};
    enum err e = E_OK;

    if (texts->n_items)
        rules.rules = calloc(texts->n_items, sizeof rules.rules[0]);
    if (texts->n_items && !rules.rules) {
        snprintf(error->text, sizeof error->text, "%s", err_text(E_NOMEM));
        return E_NOMEM;
    }
    for (size_t i = 0; i < texts->n_items && e == E_OK; i++) {
        char source[40];

        snprintf(source, sizeof source, "access.rules[%zu]", i);
        rules.n++;
        e = make_rule(source, texts->items[i], &rules.rules[i], error);
    }
    if (e == E_OK)
        *out = rules;
    else
        access_rules_free(&rules);
    return e;
}

void access_rules_free(struct access_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++)
        conf_free(&k_access_rule_schema, &rules->rules[i]);
    free(rules->rules);
    *rules = (struct access_rules){NULL, 0};
}

static bool is_of_app(const struct access_rule *rule, const struct stream_name *name)
{
    return !strcmp(rule->app, "*") || (strlen(rule->app) == name->app_bytes &&
                                       !memcmp(rule->app, name->text, name->app_bytes));
}

bool access_rules_find(const struct access_rules *rules, enum access_action action,
                       const struct stream_name *name, unsigned *methods)
{
    for (size_t i = 0; i < rules->n; i++) {
        if (!is_of_app(&rules->rules[i], name))
            continue;
        if (rules->rules[i].is_said[action])
            *methods = rules->rules[i].methods[action];
        return rules->rules[i].is_said[action];
    }
    return false;
}
