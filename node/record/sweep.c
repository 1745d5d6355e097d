/* Retention, and what operators ask of finished records. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/record/folder.h"
#include "node/record/record_private.h"

#define CLOCK_JUMP_US 60000000
#define AFTER_JUMP_US 600000000

static enum err remove_locked(int folder_fd, const struct record_name *name)
{
    struct record_entries list;
    size_t n = 0;
    enum err e = record_unlink(folder_fd, name);

    if (e == E_IO || record_index_read(folder_fd, &list) != E_OK)
        return e == E_OK ? E_IO : e;
    for (size_t i = 0; i < list.n_items; i++)
        if (list.items[i].name.seq != name->seq)
            list.items[n++] = list.items[i];
    if (n != list.n_items) {
        list.n_items = n;
        if (record_index_write(folder_fd, &list) != E_OK && e == E_OK)
            e = E_IO;
    }
    record_entries_fini(&list);
    return e;
}

enum err record_remove(int folder_fd, const struct record_name *name)
{
    enum err e;

    record_folder_lock(folder_fd);
    e = remove_locked(folder_fd, name);
    record_folder_unlock(folder_fd);
    return e;
}

/* --- all records --- */

struct all {
    struct record_found *items; /* owned */
    size_t n_items, max_items;
    uint64_t bytes;
    enum err failed;
    const struct record_ask *ask; /* only what is on its page; NULL = all of them */
};

static int by_name(const void *a, const void *b)
{
    const struct record_found *x = a, *y = b;
    int order = strcmp(x->stream.text, y->stream.text);

    if (order)
        return order;
    return x->entry.name.seq < y->entry.name.seq ? -1 : x->entry.name.seq > y->entry.name.seq;
}

/* Is it on a later page than what ends with ask->after? */
static bool is_after(const struct record_ask *ask, const struct record_found *found)
{
    struct record_found last = {.entry = {.start_us = 0}};
    const char *why;

    if (!ask->after[0] ||
        record_path_split(ask->after, &last.stream, &last.entry.name, &why) != E_OK)
        return true;
    return by_name(found, &last) > 0;
}

/* The page, and one more. */
static void cut_to_page(struct all *all)
{
    if (all->n_items)
        qsort(all->items, all->n_items, sizeof all->items[0], by_name);
    if (all->n_items > all->ask->limit + 1)
        all->n_items = all->ask->limit + 1;
}

static bool add(struct all *all, const struct stream_name *stream, const struct record_entry *entry)
{
    struct record_found found = {*stream, *entry};

    if (all->ask && !is_after(all->ask, &found))
        return true;
    if (all->ask && all->n_items >= 2 * all->ask->limit + 256)
        cut_to_page(all); /* memory is bounded by the page, not by the list */
    if (all->n_items == all->max_items) {
        size_t more = all->max_items * 2 + 64;
        struct record_found *items = realloc(all->items, more * sizeof *items);

        if (!items) {
            all->failed = E_NOMEM;
            return false;
        }
        all->items = items;
        all->max_items = more;
    }
    all->items[all->n_items++] = found;
    all->bytes += entry->bytes;
    return true;
}

static void add_folder(void *arg, const struct stream_name *stream, int folder_fd)
{
    struct record_entries list;
    struct all *all = arg;

    if (record_index_read(folder_fd, &list) != E_OK)
        return;
    for (size_t i = 0; i < list.n_items && add(all, stream, &list.items[i]); i++)
        continue;
    record_entries_fini(&list);
}

/* --- retention --- */

static int64_t end_of(const struct record_found *found)
{
    return found->entry.start_us + found->entry.duration_us;
}

static int by_age(const void *a, const void *b)
{
    const struct record_found *x = a, *y = b;
    int order = strcmp(x->stream.text, y->stream.text);

    if (order == 0) /* of one stream: by number, whatever the clock said */
        return x->entry.name.seq < y->entry.name.seq ? -1 : 1;
    if (end_of(x) != end_of(y))
        return end_of(x) < end_of(y) ? -1 : 1;
    return order;
}

static void drop(struct record *record, const struct record_found *found, struct metric *metric,
                 const char *why)
{
    int folder_fd = record_folder_open(record->dir_fd, &found->stream, false);
    char file[RECORD_NAME_SIZE];

    if (folder_fd < 0)
        return;
    record_name_format(&found->entry.name, file);
    if (record_remove(folder_fd, &found->entry.name) == E_OK) {
        metric_add(metric, 1);
        log_info("record", "msg=removed stream=%s file=%s reason=%s", found->stream.text, file,
                 why);
    }
    (void)close(folder_fd);
}

/* A clock that was set leaps ahead of what was recorded: that is not older for it. */
static bool may_use_age(struct record *record)
{
    int64_t now_us = clock_mono_us(), offset_us = clock_wall_us() - now_us;
    int64_t jump_us = offset_us - record->wall_offset_us;

    if (record->wall_offset_us && (jump_us > CLOCK_JUMP_US || jump_us < -CLOCK_JUMP_US)) {
        log_warn("record",
                 "msg=\"the clock was set; records are not removed for their age for now\" "
                 "jump_s=%lld",
                 (long long)(jump_us / 1000000));
        record->no_age_until_us = now_us + AFTER_JUMP_US;
    }
    record->wall_offset_us = offset_us;
    return record->limits.max_age_us && now_us >= record->no_age_until_us;
}

void record_sweep(struct record *record)
{
    const struct record_limits *limits = &record->limits;
    int64_t begin_us = clock_mono_us(), wall_us = clock_wall_us();
    bool uses_age = may_use_age(record);
    struct all all = {.items = NULL};

    record_folder_walk(record->dir_fd, add_folder, &all);
    if (all.n_items)
        qsort(all.items, all.n_items, sizeof all.items[0], by_age);
    for (size_t i = 0; i < all.n_items; i++) {
        const struct record_found *found = &all.items[i];

        if (uses_age && end_of(found) < wall_us - limits->max_age_us)
            drop(record, found, &m_record_removed_age, "age");
        else if (limits->max_bytes && all.bytes > limits->max_bytes)
            drop(record, found, &m_record_removed_size, "size");
        else
            continue;
        all.bytes -= found->entry.bytes;
    }
    free(all.items);
    record->sweep_us = clock_mono_us() - begin_us;
}

/* --- questions --- */

static void answer_list(struct record_ask *ask)
{
    struct all all = {.ask = ask};

    if (ask->stream[0]) {
        int folder_fd = record_folder_open(ask->record->dir_fd, &ask->of, false);

        if (folder_fd >= 0) {
            add_folder(&all, &ask->of, folder_fd);
            (void)close(folder_fd);
        }
    } else {
        record_folder_walk(ask->record->dir_fd, add_folder, &all);
    }
    cut_to_page(&all);
    ask->has_more = all.n_items > ask->limit;
    ask->found = all.items;
    ask->n_found = ask->has_more ? ask->limit : all.n_items;
    ask->result = all.failed;
}

static void answer_get(struct record_ask *ask, int folder_fd)
{
    struct record_entries list;
    const struct record_entry *entry;

    ask->result = record_index_read(folder_fd, &list);
    if (ask->result != E_OK)
        return;
    entry = record_entries_find(&list, ask->name.seq);
    ask->result = E_NOT_FOUND;
    if (entry && entry->name.format == ask->name.format && !ask->name.segment &&
        !strcmp(entry->name.time, ask->name.time)) {
        ask->found = malloc(sizeof *ask->found);
        ask->result = ask->found ? E_OK : E_NOMEM;
    }
    if (ask->result == E_OK) {
        ask->found[0] = (struct record_found){ask->of, *entry};
        ask->n_found = 1;
    }
    record_entries_fini(&list);
}

static void on_answered(struct loop_msg *msg)
{
    struct record_ask *ask = list_entry(msg, struct record_ask, msg);

    ask->done(ask);
}

static void on_ask(struct loop_msg *msg)
{
    struct record_ask *ask = list_entry(msg, struct record_ask, msg);
    int folder_fd = -1;

    ask->result = E_NOT_FOUND;
    if (ask->kind == RECORD_LIST)
        answer_list(ask);
    else
        folder_fd = record_folder_open(ask->record->dir_fd, &ask->of, false);
    if (folder_fd >= 0)
        answer_get(ask, folder_fd);
    if (folder_fd >= 0 && ask->kind == RECORD_REMOVE && ask->result == E_OK)
        ask->result = record_remove(folder_fd, &ask->name);
    if (folder_fd >= 0)
        (void)close(folder_fd);
    ask->msg.run = on_answered;
    loop_post(ask->loop, msg);
}

void record_ask(struct record *record, struct record_ask *ask)
{
    ask->record = record;
    ask->msg.run = on_ask;
    loop_post(record->upkeep, &ask->msg);
}
