/* What becomes of a change: it is written to state.file and brought to the scheduler, and whoever
 * told it is answered when both are done. Many changes at a time are one file and one message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/settings_private.h"

#define FILE_MAX_BYTES ((size_t)1 << 30)
#define RETRY_MS 5000 /* after the file could not be written */

/* --- as messages --- */

/* Borrows the texts but item, which is the caller's; false when out of memory. */
static bool describe(const struct settings_kind *kind, const struct setting *setting,
                     struct cluster_setting *out)
{
    const json_t *item = setting->item ? setting->item : setting->expired;

    *out = (struct cluster_setting){.version = setting->version};
    memcpy(out->kind, kind->name, sizeof out->kind);
    snprintf(out->id, sizeof out->id, "%s", setting->id);
    memcpy(out->origin, setting->origin, sizeof out->origin);
    if (item)
        out->item = json_dumps(item, JSON_COMPACT);
    return !item || out->item;
}

static enum err encode(const struct settings *settings, struct buf_writer *out)
{
    struct cluster_settings head = {0};
    bool is_first = true, is_good = true;

    cluster_settings_begin(&head, out);
    for (size_t i = 0; i < settings->n_kinds; i++) {
        const struct settings_kind *kind = &settings->kinds[i];

        for (size_t k = 0; k < kind->n && is_good; k++) {
            struct cluster_setting setting;

            is_good = describe(kind, kind->at[k], &setting);
            cluster_settings_add(&setting, is_first, out);
            free(setting.item);
            is_first = false;
        }
    }
    cluster_settings_end(out);
    return is_good ? buf_writer_status(out) : E_NOMEM;
}

/* --- who waits --- */

static void answer(struct list *due)
{
    struct list *at;

    while ((at = list_pop_front(due))) { /* done() may put again */
        struct settings_wait *wait = list_entry(at, struct settings_wait, node);

        wait->done(wait->arg, wait->e, wait->why);
        free(wait);
    }
}

static void answer_kept(struct settings *settings)
{
    struct list due, *node, *tmp;

    list_init(&due);
    list_for_each_safe(node, tmp, &settings->waits) {
        const struct settings_wait *wait = list_entry(node, struct settings_wait, node);

        if (wait->needs_file || wait->needs_cluster)
            continue;
        list_remove(node);
        list_push_back(&due, node);
    }
    answer(&due);
}

void settings_keep_soon(struct settings *settings, struct settings_wait *wait)
{
    settings->is_dirty = true;
    if (wait) {
        wait->needs_file = settings->file != NULL;
        wait->needs_cluster = settings->wanted != NULL;
        list_push_back(&settings->waits, &wait->node);
    }
    if (!settings->file && !settings->wanted && !settings->said_not_kept) {
        settings->said_not_kept = true;
        log_warn("settings", "msg=\"what is told here is lost with this process: state.file is "
                             "empty, and there is no cluster\"");
    }
    timer_start_ms(&settings->work, 0);
}

/* --- the file --- */

static void write_now(struct settings *settings)
{
    struct buf_writer text;
    struct list *node, *tmp;

    buf_writer_init(&text, FILE_MAX_BYTES);
    if (encode(settings, &text) != E_OK) {
        buf_writer_fini(&text);
        log_error("settings", "msg=\"out of memory: state.file stays as it was\"");
        timer_start_ms(&settings->work, RETRY_MS);
        return;
    }
    settings->is_dirty = false;
    list_for_each_safe(node, tmp, &settings->waits) {
        list_entry(node, struct settings_wait, node)->in_file = true;
    }
    settings_file_write(settings->file, &text);
}

static void on_written(void *arg, enum err e, const char *why)
{
    struct settings *settings = arg;
    struct list *node, *tmp;

    if (e != E_OK && !settings->is_failing)
        log_error("settings", "msg=\"cannot write state.file\" reason=%s", LOG_STR(why));
    settings->is_failing = e != E_OK;
    settings->is_dirty |= e != E_OK;
    list_for_each_safe(node, tmp, &settings->waits) {
        struct settings_wait *wait = list_entry(node, struct settings_wait, node);

        if (!wait->in_file)
            continue;
        wait->needs_file = wait->in_file = false;
        wait->e = e;
        snprintf(wait->why, sizeof wait->why, "%s", why);
    }
    answer_kept(settings);
    if (settings->is_dirty)
        timer_start_ms(&settings->work, e == E_OK ? 0 : RETRY_MS);
}

static void on_work(struct timer *timer)
{
    struct settings *settings = list_entry(timer, struct settings, work);

    if (settings->file && settings->is_dirty && !settings_file_is_busy(settings->file))
        write_now(settings);
    if (settings->wanted && settings->has_untold)
        settings->wanted(settings->wanted_arg);
    answer_kept(settings);
}

static enum err read_file(struct settings *settings, const char *path, struct conf_error *error)
{
    struct cluster_settings m = {0};
    struct cluster_error why = {""};
    struct buf_writer text;
    char aside[4200];
    enum err e;

    buf_writer_init(&text, FILE_MAX_BYTES);
    e = settings_file_read(path, &text, error);
    if (e == E_OK && cluster_settings_decode(buf_writer_view(&text), &m, &why) != E_OK) {
        if (settings_file_put_aside(path, aside, sizeof aside)) {
            log_error("settings",
                      "msg=\"state.file is broken: put aside, nothing of it is in force\" file=%s "
                      "reason=%s aside=%s",
                      LOG_STR(path), LOG_STR(why.text), LOG_STR(aside));
        } else {
            snprintf(error->text, sizeof error->text,
                     "state.file: %.200s: %.150s; and it cannot be put aside", path, why.text);
            e = E_IO;
        }
    }
    if (e == E_OK) {
        settings_merge(settings, &m);
        settings_forget_told(settings);
    }
    cluster_settings_fini(&m);
    buf_writer_fini(&text);
    return e == E_NOT_FOUND ? E_OK : e;
}

enum err settings_keep(struct settings *settings, const char *path, struct conf_error *error)
{
    enum err e = read_file(settings, path, error);

    if (e != E_OK)
        return e;
    settings->is_dirty = false;
    settings->file = settings_file_open(path, settings->loop, on_written, settings, error);
    return settings->file ? E_OK : E_INVAL;
}

void settings_keep_also(struct settings *settings, const char *path)
{
    struct conf_error error = {""};

    if (read_file(settings, path, &error) != E_OK)
        log_error("settings", "msg=\"%s\"", error.text);
    settings_keep_soon(settings, NULL);
}

void settings_keep_no_more(struct settings *settings)
{
    struct list *node, *tmp;
    struct buf_writer text;

    if (!settings->file)
        return;
    buf_writer_init(&text, FILE_MAX_BYTES);
    if (settings->is_dirty && encode(settings, &text) != E_OK) {
        log_error("settings", "msg=\"out of memory: state.file stays as it was\"");
        buf_writer_clear(&text); /* half of it would be all there is at the next start */
        settings->is_dirty = false;
    }
    settings_file_close(&settings->file,
                        settings->is_dirty ? buf_writer_view(&text) : buf_view_of(NULL, 0));
    buf_writer_fini(&text);
    list_for_each_safe(node, tmp, &settings->waits) {
        list_entry(node, struct settings_wait, node)->needs_file = false;
    }
    timer_start_ms(&settings->work, 0);
}

/* --- the cluster --- */

void settings_set_cluster(struct settings *settings, void (*wanted)(void *arg), void *arg)
{
    settings->wanted = wanted;
    settings->wanted_arg = arg;
}

void settings_round_begin(struct settings *settings)
{
    struct list *node, *tmp;

    settings->has_untold = false;
    list_for_each_safe(node, tmp, &settings->waits) {
        list_entry(node, struct settings_wait, node)->in_cluster = true;
    }
}

void settings_round_end(struct settings *settings)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &settings->waits) {
        struct settings_wait *wait = list_entry(node, struct settings_wait, node);

        wait->needs_cluster = wait->needs_cluster && !wait->in_cluster;
        wait->in_cluster = false;
    }
    if (settings->has_untold)
        timer_start_ms(&settings->work, 0);
    answer_kept(settings);
}

void settings_forget_told(struct settings *settings)
{
    for (size_t i = 0; i < settings->n_kinds; i++)
        for (size_t k = 0; k < settings->kinds[i].n; k++)
            settings->kinds[i].at[k]->is_told = false;
    settings->has_untold = true;
}

enum err settings_untold(const struct settings *settings, size_t max, struct cluster_settings *out)
{
    *out = (struct cluster_settings){.settings = calloc(max, sizeof out->settings[0])};
    if (!out->settings)
        return E_NOMEM;
    for (size_t i = 0; i < settings->n_kinds; i++) {
        const struct settings_kind *kind = &settings->kinds[i];

        for (size_t k = 0; k < kind->n && out->n_settings < max; k++)
            if (!kind->at[k]->is_told &&
                !describe(kind, kind->at[k], &out->settings[out->n_settings++])) {
                cluster_settings_fini(out);
                return E_NOMEM;
            }
    }
    return E_OK;
}

void settings_told(struct settings *settings, const struct cluster_settings *m)
{
    for (size_t i = 0; i < m->n_settings; i++) {
        const struct cluster_setting *said = &m->settings[i];
        struct settings_kind *kind = settings_need_kind(settings, said->kind);
        struct setting *setting = kind ? settings_get(kind, said->id) : NULL;

        if (setting && setting->version == said->version && !strcmp(setting->origin, said->origin))
            setting->is_told = true;
    }
}

/* NULL: it is not newer than what is here, or there is no room. */
static struct setting *find_older(struct settings_kind *kind, const struct cluster_setting *said)
{
    struct setting *setting = settings_get(kind, said->id);
    int64_t grave_us = clock_wall_us() - SETTINGS_GRAVE_US;

    if (setting)
        return cluster_setting_is_newer(said->version, said->origin, setting->version,
                                        setting->origin)
                   ? setting
                   : NULL;
    if (!said->item && (int64_t)said->version < grave_us)
        return NULL; /* forgotten here already */
    if (kind->n < 2 * kind->max_items)
        return settings_need(kind, said->id);
    log_error("settings", "msg=\"no room\" kind=%s id=%s most=%zu", kind->name, LOG_STR(said->id),
              kind->max_items);
    return NULL;
}

static bool merge_one(struct settings *settings, const struct cluster_setting *said)
{
    struct settings_kind *kind = settings_need_kind(settings, said->kind);
    struct setting *setting = kind ? find_older(kind, said) : NULL;
    json_t *item = setting && said->item ? json_loads(said->item, 0, NULL) : NULL;
    bool was_there;

    settings_note_version(settings, said->version);
    if (!setting || (said->item && !item))
        return false;
    was_there = setting->item != NULL;
    settings_set_item(kind, setting, item);
    if (setting->expires_s && setting->expires_s <= clock_wall_us() / 1000000)
        settings_end_item(kind, setting);
    setting->version = said->version;
    memcpy(setting->origin, said->origin, sizeof setting->origin);
    if (setting->item || was_there)
        settings_tell(settings, kind, setting);
    else if (setting->expired) /* by a clock that is not set yet, maybe */
        timer_start_ms(&settings->expiry, 0);
    return true;
}

void settings_merge(struct settings *settings, const struct cluster_settings *m)
{
    bool is_news = false;

    for (size_t i = 0; i < m->n_settings; i++)
        is_news |= merge_one(settings, &m->settings[i]);
    settings_told(settings, m);
    if (is_news)
        settings->is_dirty = true;
    if (is_news && settings->file)
        timer_start_ms(&settings->work, 0);
}

/* --- life --- */

void settings_keep_init(struct settings *settings)
{
    list_init(&settings->waits);
    timer_init(&settings->work, settings->loop, on_work);
}

void settings_keep_fini(struct settings *settings)
{
    struct list due, *node, *tmp;

    settings_keep_no_more(settings);
    timer_stop(&settings->work);
    list_init(&due);
    list_for_each_safe(node, tmp, &settings->waits) {
        struct settings_wait *wait = list_entry(node, struct settings_wait, node);

        wait->e = E_CLOSED;
        snprintf(wait->why, sizeof wait->why, "this node ends");
        list_remove(node);
        list_push_back(&due, node);
    }
    answer(&due);
}
