/* Write-through: complete segments of a channel to disk, and the list of all of them. */
#include "node/hls/channel_private.h"
#include "node/hls/disk.h"

#define TEXT_MAX_BYTES 65536
#define TARGETS 2 /* a list that only grows must promise more than any segment of it will have */

static struct hls_disk *disk_of(const struct hls_channel *c)
{
    const struct hls_conf *conf = hls_conf_of(c->hls);

    return c->form.container == conf->container && c->form.only == HLS_ALL_TRACKS ? conf->disk
                                                                                  : NULL;
}

static void name_of(const struct hls_channel *c, const struct hls_segment *s,
                    enum hls_name_kind kind, char out[HLS_NAME_SIZE])
{
    struct hls_name name = {.kind = kind,
                            .container = kind == HLS_INIT ? HLS_FMP4 : c->form.container,
                            .only = c->form.only,
                            .run = s->run,
                            .number = kind == HLS_INIT ? s->map : s->msn};

    hls_format_name(&name, out);
}

/* Returns a reference, or NULL. */
static struct hls_data *data_of(const struct buf_writer *text)
{
    struct hls_data *data = buf_writer_status(text) == E_OK ? hls_data_create() : NULL;

    if (data)
        hls_data_put(data, buf_writer_view(text));
    return data;
}

/* The list goes on at its end; a new channel begins a new one. */
static struct hls_data *write_entry(const struct hls_channel *c, const struct hls_segment *s)
{
    struct hls_playlist list = {.container = c->form.container,
                                .type = HLS_EVENT,
                                .target_us = TARGETS * (int64_t)c->plan.segment_ms * 1000,
                                .segments = s,
                                .n_segments = 1};
    struct hls_data *data;
    struct buf_writer text;

    buf_writer_init(&text, TEXT_MAX_BYTES);
    if (!c->is_recorded)
        hls_write_head(&text, &list);
    hls_write_next(&text, &list, s, c->is_recorded ? &c->recorded : NULL);
    data = data_of(&text);
    buf_writer_fini(&text);
    return data;
}

/* What the disk does not take, as it is full, is in the list as a gap. */
static void list_segment(struct hls_channel *c, struct hls_disk *disk, const struct hls_segment *s,
                         const char *file)
{
    struct hls_segment gap = *s;
    struct hls_disk_entry entry = {.fresh = !c->is_recorded, .needs = file};
    bool is_listed;

    gap.gap = true;
    entry.data = write_entry(c, s);
    entry.missing = write_entry(c, &gap);
    is_listed =
        entry.data && entry.missing && hls_disk_append(disk, &c->name, HLS_RECORD_NAME, &entry);
    hls_data_unref(&entry.data);
    hls_data_unref(&entry.missing);
    if (!is_listed)
        return;
    c->is_recorded = true;
    c->recorded = *s;
    c->recorded.parts = NULL;
    c->recorded.n_parts = 0;
}

static bool is_new_init(const struct hls_channel *c, const struct hls_segment *s)
{
    return c->form.container == HLS_FMP4 && c->mux.init &&
           (!c->is_recorded || c->recorded.run != s->run || c->recorded.map != s->map);
}

static void tell(const struct hls_channel *c, const struct hls_segment *s, bool is_on_disk)
{
    const struct hls_conf *conf = hls_conf_of(c->hls);
    struct hls_told told = {.stream = &c->name,
                            .form = c->form,
                            .is_on_disk = is_on_disk,
                            .msn = s->msn,
                            .duration_us = s->duration_us,
                            .size_bytes = s->size_bytes};
    char name[HLS_NAME_SIZE];

    if (!conf->on_segment)
        return;
    name_of(c, s, HLS_SEGMENT, name);
    told.file = name;
    conf->on_segment(conf->arg, &told);
}

/* False: it is not there, and not in the list then. */
static bool record(struct hls_channel *c, struct hls_disk *disk, const struct hls_segment *segment,
                   struct hls_data *data)
{
    char name[HLS_NAME_SIZE];

    if (is_new_init(c, segment) && segment->map == c->mux.map) {
        name_of(c, segment, HLS_INIT, name);
        (void)hls_disk_write(disk, &c->name, name, c->mux.init);
    }
    name_of(c, segment, HLS_SEGMENT, name);
    if (!hls_disk_write(disk, &c->name, name, data))
        return false;
    if (hls_conf_of(c->hls)->cleanup != HLS_CLEAN_WINDOW)
        list_segment(c, disk, segment, name);
    return true;
}

void hls_record_segment(struct hls_channel *c, const struct hls_segment *segment,
                        struct hls_data *data)
{
    struct hls_disk *disk = disk_of(c);

    if (data)
        tell(c, segment, disk && record(c, disk, segment, data));
}

void hls_record_dropped(struct hls_channel *c, const struct hls_segment *segment)
{
    struct hls_disk *disk = disk_of(c);
    char name[HLS_NAME_SIZE];

    if (!disk || hls_conf_of(c->hls)->cleanup != HLS_CLEAN_WINDOW || segment->gap)
        return;
    name_of(c, segment, HLS_SEGMENT, name);
    hls_disk_remove(disk, &c->name, name);
}

void hls_record_end(struct hls_channel *c)
{
    struct hls_disk *disk = disk_of(c);
    struct hls_disk_entry entry = {.fresh = false};

    if (!disk || !c->is_recorded || c->is_record_ended)
        return;
    c->is_record_ended = true;
    entry.data = hls_data_create();
    if (!entry.data)
        return;
    hls_data_put(entry.data, buf_view_str("#EXT-X-ENDLIST\n"));
    (void)hls_disk_append(disk, &c->name, HLS_RECORD_NAME, &entry);
    hls_data_unref(&entry.data);
}

void hls_record_close(struct hls_channel *c)
{
    struct hls_disk *disk = disk_of(c);

    hls_record_end(c);
    if (disk && hls_conf_of(c->hls)->cleanup != HLS_KEEP && !hls_is_replaced(c))
        hls_disk_remove_all(disk, &c->name);
}
