/* See index.h. */
#include "node/record/index.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/record/finish.h"
#include "node/record/folder.h"

#define MAX_INDEX_BYTES (256u << 20)
#define NEW_NAME RECORD_INDEX_NAME ".new"
#define US_PER_MS 1000

void record_entries_fini(struct record_entries *list)
{
    free(list->items);
    *list = (struct record_entries){.items = NULL};
}

bool record_entries_add(struct record_entries *list, const struct record_entry *entry)
{
    if (list->n_items == list->max_items) {
        size_t more = list->max_items * 2 + 64;
        struct record_entry *items = realloc(list->items, more * sizeof *items);

        if (!items)
            return false;
        list->items = items;
        list->max_items = more;
    }
    list->items[list->n_items++] = *entry;
    return true;
}

static int by_seq(const void *a, const void *b)
{
    uint32_t x = ((const struct record_entry *)a)->name.seq;
    uint32_t y = ((const struct record_entry *)b)->name.seq;

    return x < y ? -1 : x > y;
}

const struct record_entry *record_entries_find(const struct record_entries *list, uint32_t seq)
{
    struct record_entry key = {.name = {.seq = seq}};

    return list->n_items ? bsearch(&key, list->items, list->n_items, sizeof key, by_seq) : NULL;
}

/* --- one line --- */

static void set_codec(json_t *json, const char *key, enum media_codec codec)
{
    if (codec != CODEC_NONE)
        json_object_set_new(json, key, json_string(media_codec_name(codec)));
}

json_t *record_entry_json(const struct record_entry *entry)
{
    char file[RECORD_NAME_SIZE], run[24];
    json_t *json;

    record_name_format(&entry->name, file);
    snprintf(run, sizeof run, "%" PRIu64, entry->run);
    json = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s}", "file", file, "format",
                     k_record_formats[entry->name.format], "start_ms",
                     (json_int_t)(entry->start_us / US_PER_MS), "duration_ms",
                     (json_int_t)(entry->duration_us / US_PER_MS), "bytes",
                     (json_int_t)entry->bytes, "run", run, "reason", k_record_cuts[entry->cut]);
    set_codec(json, "video", entry->codecs[MEDIA_VIDEO]);
    set_codec(json, "audio", entry->codecs[MEDIA_AUDIO]);
    if (json && entry->n_segments)
        json_object_set_new(json, "segments", json_integer((json_int_t)entry->n_segments));
    return json;
}

static enum media_codec codec_of(json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    for (int codec = 0; text && codec < CODEC_COUNT; codec++)
        if (!strcmp(text, media_codec_name((enum media_codec)codec)))
            return (enum media_codec)codec;
    return CODEC_NONE;
}

static enum record_cut cut_of(const char *text)
{
    for (unsigned cut = 0; text && cut < RECORD_N_CUTS; cut++)
        if (!strcmp(text, k_record_cuts[cut]))
            return (enum record_cut)cut;
    return RECORD_CUT_RECOVERED;
}

bool record_entry_from_json(json_t *json, struct record_entry *out)
{
    const char *file, *run = "", *reason = "";
    json_int_t start_ms, duration_ms, bytes, segments = 0;
    struct record_entry entry = {.start_us = 0};

    if (json_unpack(json, "{s:s, s:I, s:I, s:I, s?s, s?s, s?I}", "file", &file, "start_ms",
                    &start_ms, "duration_ms", &duration_ms, "bytes", &bytes, "run", &run, "reason",
                    &reason, "segments", &segments) != 0 ||
        record_name_parse(file, &entry.name) != E_OK || entry.name.is_part || entry.name.segment)
        return false;
    if (start_ms < 0 || duration_ms < 0 || bytes < 0 || segments < 0 || segments > UINT32_MAX ||
        start_ms > INT64_MAX / US_PER_MS || duration_ms > INT64_MAX / US_PER_MS)
        return false;
    entry.start_us = start_ms * US_PER_MS;
    entry.duration_us = duration_ms * US_PER_MS;
    entry.bytes = (uint64_t)bytes;
    entry.n_segments = (uint32_t)segments;
    entry.run = strtoull(run, NULL, 10);
    entry.cut = cut_of(reason);
    entry.codecs[MEDIA_VIDEO] = codec_of(json, "video");
    entry.codecs[MEDIA_AUDIO] = codec_of(json, "audio");
    *out = entry;
    return true;
}

/* --- the list --- */

static enum err take_line(struct record_entries *out, struct buf_view line)
{
    json_t *json = json_loadb((const char *)line.data, line.size_bytes, 0, NULL);
    struct record_entry entry;
    enum err e = E_OK;

    if (json && record_entry_from_json(json, &entry))
        e = record_entries_add(out, &entry) ? E_OK : E_NOMEM;
    else
        out->is_broken = true;
    json_decref(json);
    return e;
}

void record_entries_sort(struct record_entries *list)
{
    size_t n = 0;

    if (list->n_items)
        qsort(list->items, list->n_items, sizeof list->items[0], by_seq);
    for (size_t i = 0; i < list->n_items; i++) {
        if (n && list->items[n - 1].name.seq == list->items[i].name.seq)
            list->is_broken = true;
        else
            list->items[n++] = list->items[i];
    }
    list->n_items = n;
}

enum err record_index_parse(struct buf_view text, struct record_entries *out)
{
    struct buf_reader r = buf_reader_from(text);
    enum err e = E_OK;

    while (e == E_OK && r.left_bytes) {
        const uint8_t *end = memchr(r.at, '\n', r.left_bytes);
        struct buf_view line = buf_take(&r, end ? (size_t)(end - r.at) : r.left_bytes);

        out->is_broken |= !end; /* cut off */
        (void)(end && buf_read_u8(&r));
        e = take_line(out, line);
    }
    record_entries_sort(out);
    return e;
}

/* What cannot be read to its end is not taken for all there is: it would be written back so. */
enum err record_index_read(int folder_fd, struct record_entries *out)
{
    int fd = record_file_open(folder_fd, RECORD_INDEX_NAME, O_RDONLY);
    struct record_fd_source file;
    uint8_t *text = NULL;
    size_t size = 0;
    enum err e = E_IO;

    *out = (struct record_entries){.items = NULL};
    if (fd < 0)
        return errno == ENOENT ? E_OK : E_IO;
    if (record_source_open(&file, fd) && file.source.size_bytes <= MAX_INDEX_BYTES) {
        size = (size_t)file.source.size_bytes;
        text = malloc(size + 1);
    }
    if (text && file.source.read(&file.source, 0, text, size))
        e = record_index_parse(buf_view_of(text, size), out);
    (void)close(fd);
    free(text);
    if (e != E_OK)
        record_entries_fini(out);
    return e;
}

static void write_line(struct buf_writer *out, const struct record_entry *entry)
{
    json_t *json = record_entry_json(entry);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    if (text) {
        buf_write_str(out, text);
        buf_write_u8(out, '\n');
    } else {
        out->failed = E_NOMEM;
    }
    free(text);
    json_decref(json);
}

enum err record_index_append(int folder_fd, const struct record_entry *entry)
{
    int fd = record_file_open(folder_fd, RECORD_INDEX_NAME, O_WRONLY | O_CREAT);
    struct buf_writer line;
    struct stat about;
    enum err e = E_IO;

    if (fd < 0)
        return E_IO;
    buf_writer_init(&line, 4096);
    write_line(&line, entry);
    if (buf_writer_status(&line) == E_OK && fstat(fd, &about) == 0 &&
        record_write_all(fd, buf_writer_view(&line), (uint64_t)about.st_size) == 0)
        e = E_OK;
    buf_writer_fini(&line);
    (void)close(fd);
    return e;
}

enum err record_index_write(int folder_fd, const struct record_entries *list)
{
    struct buf_writer text;
    enum err e = E_IO;
    int fd;

    (void)unlinkat(folder_fd, NEW_NAME, 0);
    fd = record_file_open(folder_fd, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0)
        return E_IO;
    buf_writer_init(&text, MAX_INDEX_BYTES);
    for (size_t i = 0; i < list->n_items; i++)
        write_line(&text, &list->items[i]);
    if (buf_writer_status(&text) == E_OK && record_write_all(fd, buf_writer_view(&text), 0) == 0 &&
        fsync(fd) == 0 && renameat(folder_fd, NEW_NAME, folder_fd, RECORD_INDEX_NAME) == 0)
        e = E_OK;
    else
        (void)unlinkat(folder_fd, NEW_NAME, 0);
    buf_writer_fini(&text);
    (void)close(fd);
    return e;
}
