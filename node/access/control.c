/* See control.h. */
#include "node/access/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/node.h"

#define LOOK_MS 5000
#define MAX_VERIFIED 4096
#define MAX_JOBS 64

/* --- reading again --- */

static void use(struct access *a, struct access_book *fresh)
{
    struct access_book *old = a->book;

    node_stand_still(a->node);
    if (fresh)
        a->book = fresh;
    access_grants_set(&a->grants, a->node->token, a->node->token_also);
    node_go_on(a->node);
    if (fresh)
        access_book_unref(&old);
}

void access_reload(struct access *access)
{
    struct conf_error error;
    struct access_book *fresh = access_book_read(&access->node->conf, access->n_books + 1, &error);

    access->stamp = access_book_stamp(&access->node->conf);
    if (fresh)
        access->n_books++;
    else
        log_error("access", "msg=\"rules and keys stay as they were\" reason=%s",
                  LOG_STR(error.text));
    use(access, fresh);
}

static void on_timer(struct timer *timer)
{
    struct access *a = list_entry(timer, struct access, timer);

    timer_start_ms(timer, LOOK_MS);
    if (a->node->drain.is_stopping || access_book_stamp(&a->node->conf) == a->stamp)
        return;
    log_info("access", "msg=\"a file has changed\"");
    access_reload(a);
}

/* --- life --- */

struct access *access_create(struct node *node, struct conf_error *error)
{
    struct access *a = calloc(1, sizeof *a);

    snprintf(error->text, sizeof error->text, "%s", err_text(E_NOMEM));
    if (!a)
        return NULL;
    a->node = node;
    a->cache = access_cache_create(MAX_VERIFIED);
    a->tokens = access_worker_create(MAX_JOBS);
    a->passwords = access_worker_create(MAX_JOBS);
    a->stream_keys = stream_keys_create();
    if (a->cache && a->tokens && a->passwords && a->stream_keys)
        a->book = access_book_read(&node->conf, ++a->n_books, error);
    if (!a->book) {
        access_destroy(&a);
        return NULL;
    }
    a->stamp = access_book_stamp(&node->conf);
    access_guesses_init(&a->guesses);
    access_grants_init(&a->grants);
    access_grants_set(&a->grants, node->token, node->token_also);
    timer_init(&a->timer, node->control, on_timer);
    timer_start_ms(&a->timer, LOOK_MS);
    return a;
}

void access_destroy(struct access **access)
{
    struct access *a = *access;

    *access = NULL;
    if (!a)
        return;
    timer_stop(&a->timer);
    access_worker_destroy(&a->tokens);
    access_worker_destroy(&a->passwords);
    access_book_unref(&a->book);
    access_cache_destroy(&a->cache);
    stream_keys_destroy(&a->stream_keys);
    explicit_bzero(&a->grants, sizeof a->grants);
    free(a);
}

/* --- what is open --- */

static void say_open(const char *app, const char *what)
{
    log_warn("access", "msg=\"open to everybody\" app=%s action=%s", LOG_STR(app), what);
}

/* Where no rule says anything, the keys do. */
void access_say_open(const struct access *access)
{
    const struct node_conf *conf = &access->node->conf;
    const struct access_rules *rules = &access->book->rules;
    const bool defaults[] = {
        [ACCESS_PUBLISH] = conf->publish_open, [ACCESS_PLAY] = conf->play_open};

    for (unsigned action = 0; action < ACCESS_N_ACTIONS; action++) {
        bool has_last = false;

        for (size_t i = 0; i < rules->n && !has_last; i++) {
            const struct access_rule *rule = &rules->rules[i];

            if (rule->is_said[action] ? (rule->methods[action] & 1u << METHOD_OPEN) != 0
                                      : defaults[action])
                say_open(rule->app, k_access_actions[action]);
            has_last = !strcmp(rule->app, "*");
        }
        if (!has_last && defaults[action])
            say_open(rules->n ? "others" : "all", k_access_actions[action]);
    }
}
