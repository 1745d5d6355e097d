/* What only the disk has: the list of all segments, and segments that memory has no more. */
#include <stdio.h>
#include <stdlib.h>

#include "node/hls/disk.h"
#include "node/session/hls_ask.h"

struct stored { /* one request */
    struct hls_disk_read read;
    struct hls_ask ask; /* x NULL: the player has left. No channel */
    const char *type, *cache_control;
};

static void on_gone(struct http_exchange *x, void *arg)
{
    (void)x;
    ((struct stored *)arg)->ask.x = NULL;
}

static void stored_free(struct loop_msg *msg)
{
    struct stored *s = list_entry(msg, struct stored, read.msg);

    hls_data_unref(&s->read.data);
    free(s);
}

static const char *why_not(enum err result)
{
    if (result == E_NOT_FOUND)
        return "no such segment, or no longer";
    return result == E_LIMIT ? "too much is being sent from disk (hls.max_bytes)"
                             : err_text(result);
}

static void on_read(struct hls_disk_read *read)
{
    struct stored *s = list_entry(read, struct stored, read);

    if (s->ask.x && read->result == E_OK) {
        hls_respond_data(&s->ask, read->data, s->type, s->cache_control);
        read->data = NULL;
    } else if (s->ask.x) {
        hls_refuse(&s->ask, read->result == E_NOT_FOUND ? 404 : 503, why_not(read->result));
    }
    stored_free(&read->msg);
}

bool hls_respond_stored(struct hls_ask *a, const char *file, const char *type,
                        const char *cache_control)
{
    struct hls_disk *disk = a->nl->node->hls_conf.disk;
    struct stored *s = disk ? calloc(1, sizeof *s) : NULL;

    if (!s)
        return false;
    s->ask.x = a->x;
    s->ask.nl = a->nl;
    s->ask.kind = a->kind;
    s->ask.name = a->name;
    s->ask.is_personal = a->is_personal;
    snprintf(s->ask.session, sizeof s->ask.session, "%s", a->session);
    s->type = type;
    s->cache_control = cache_control;
    s->read.loop = a->nl->media.loop;
    s->read.stream = a->name;
    snprintf(s->read.file, sizeof s->read.file, "%s", file);
    s->read.done = on_read;
    s->read.msg.drop = stored_free;
    if (hls_disk_read(disk, &s->read)) {
        http_set_pending(a->x, on_gone, s);
        a->x = NULL;
    } else {
        stored_free(&s->read.msg);
        hls_refuse(a, 503, "too many wait for what is on disk");
    }
    return true;
}

static bool answer_record(struct hls_ask *a, const struct hls_snapshot *s)
{
    (void)s;
    if (!hls_respond_stored(a, HLS_RECORD_NAME, HLS_PLAYLIST_TYPE, "no-cache"))
        hls_refuse(a, 404, "nothing is recorded here (hls.disk.dir)");
    return true;
}

const struct hls_kind k_hls_record = {answer_record, true};
