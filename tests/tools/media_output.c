/* One row a form: how it begins, and what a frame becomes. */
#include "tests/tools/media_output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/codec/aac.h"
#include "proto/codec/nal.h"
#include "proto/flv/flv.h"
#include "tests/tools/flv_output.h"
#include "tests/tools/mp4_output.h"
#include "tests/tools/ts_output.h"

#define MAX_OUT_BYTES ((size_t)512 << 20) /* the tables of a long MP4 file */

struct media_output {
    const struct media_output_form *form;
    const char *path; /* borrowed */
    FILE *file;
    struct buf_writer out; /* of one frame */
    bool can_seek;         /* a file, not a pipe */
    struct flv_output flv; /* can_seek */
    struct mp4_output mp4;
    struct ts_mux ts;
    struct codec_params es; /* of the elementary stream; its views are into config */
    struct buf_writer config;
    bool has_config;
    bool has_base;
    int64_t base_us; /* the first frame is at 0 */
    uint64_t n_written, n_left_out;
    char why[256];
};

struct media_output_form {
    const char *ending;
    enum media_codec codec;                    /* of an elementary stream; else CODEC_NONE */
    enum err (*begin)(struct media_output *o); /* NULL = nothing */
    /* Writes into o->out. E_UNSUPPORTED: no place for it. *why is static. */
    enum err (*write)(struct media_output *o, const struct media_tag *tag, const char **why);
    /* What comes last, and what goes in front once it is known. NULL = nothing. */
    enum err (*end)(struct media_output *o);
};

static enum err fail(struct media_output *o, enum err e, const char *what)
{
    snprintf(o->why, sizeof o->why, "%s: %s", o->path, what);
    return e;
}

static enum err flush(struct media_output *o)
{
    struct buf_view bytes = buf_writer_view(&o->out);

    if (buf_writer_status(&o->out) != E_OK)
        return fail(o, buf_writer_status(&o->out), err_text(buf_writer_status(&o->out)));
    if (bytes.size_bytes && fwrite(bytes.data, 1, bytes.size_bytes, o->file) != bytes.size_bytes)
        return fail(o, E_IO, strerror(errno));
    buf_writer_clear(&o->out);
    return E_OK;
}

/* Over what is there, behind all else. */
static enum err put_at(struct media_output *o, uint64_t at, struct buf_view bytes)
{
    enum err e = flush(o);

    if (e != E_OK || !o->can_seek)
        return e;
    if (fseeko(o->file, (off_t)at, SEEK_SET) != 0 ||
        fwrite(bytes.data, 1, bytes.size_bytes, o->file) != bytes.size_bytes)
        return fail(o, E_IO, strerror(errno));
    return E_OK;
}

static struct buf_view es_of(const struct media_tag *tag)
{
    return buf_view_of(tag->body.data + tag->info.es_offset,
                       tag->body.size_bytes - tag->info.es_offset);
}

static int64_t time_of(struct media_output *o, const struct media_tag *tag)
{
    int64_t dts_us;

    if (!o->has_base && !(tag->info.flags & FRAME_HEADERS)) {
        o->has_base = true;
        o->base_us = tag->dts_us;
    }
    dts_us = o->has_base ? tag->dts_us - o->base_us : 0;
    return dts_us < 0 ? 0 : dts_us;
}

/* --- FLV --- */

static enum err begin_flv(struct media_output *o)
{
    if (o->can_seek)
        return flv_output_begin(&o->flv, &o->out);
    flv_write_file_header(&o->out, true, true);
    return E_OK;
}

static enum err write_flv(struct media_output *o, const struct media_tag *tag, const char **why)
{
    uint32_t time_ms = (uint32_t)((time_of(o, tag) + 500) / 1000);

    *why = "what a file says of itself is made anew";
    if (o->can_seek)
        return flv_output_write(&o->flv, tag, time_ms, &o->out);
    flv_write_tag(&o->out, tag->type_id, time_ms, tag->body);
    return E_OK;
}

static enum err end_flv(struct media_output *o)
{
    struct buf_writer meta;
    enum err e;

    if (!o->can_seek)
        return E_OK;
    buf_writer_init(&meta, 2 * FLV_SEEK_META_BYTES);
    e = flv_output_end(&o->flv, &meta);
    e = e == E_OK ? put_at(o, FLV_SEEK_META_AT, buf_writer_view(&meta)) : fail(o, e, err_text(e));
    buf_writer_fini(&meta);
    return e;
}

/* --- MP4 --- */

static enum err begin_mp4(struct media_output *o)
{
    return mp4_output_init(&o->mp4);
}

static enum err write_mp4(struct media_output *o, const struct media_tag *tag, const char **why)
{
    return mp4_output_write(&o->mp4, tag, time_of(o, tag), &o->out, why);
}

static enum err end_mp4(struct media_output *o)
{
    uint8_t hold[MP4_HOLD_BYTES];
    const char *why = "";
    uint64_t hold_at;
    enum err e = mp4_output_end(&o->mp4, &o->out, &hold_at, hold, &why);

    if (e != E_OK)
        return fail(o, e, e == E_UNSUPPORTED ? why : err_text(e));
    return put_at(o, hold_at, buf_view_of(hold, sizeof hold));
}

/* --- transport stream --- */

static enum err write_ts(struct media_output *o, const struct media_tag *tag, const char **why)
{
    bool entry = tag->info.kind == MEDIA_VIDEO && tag->info.flags & FRAME_KEY;

    return ts_output_write(&o->ts, tag, time_of(o, tag), entry, &o->out, why);
}

/* --- elementary streams --- */

static void write_nal(struct media_output *o, struct buf_view nal)
{
    buf_write_u32be(&o->out, 1); /* start code */
    buf_write_view(&o->out, nal);
}

static enum err write_nals(struct media_output *o, const struct media_tag *tag, const char **why)
{
    struct nal_reader r = nal_reader_from(es_of(tag), o->es.video.nal_length_bytes);
    struct buf_view nal;
    enum err e;

    for (unsigned i = 0; tag->info.flags & FRAME_KEY && i < o->es.video.n_sets; i++)
        write_nal(o, o->es.video.sets[i]);
    while ((e = nal_next(&r, &nal, why)) == E_OK)
        write_nal(o, nal);
    return e == E_END ? E_OK : e;
}

static enum err write_adts(struct media_output *o, const struct media_tag *tag, const char **why)
{
    struct buf_view raw = aac_skip_adts(es_of(tag));
    uint8_t header[AAC_ADTS_BYTES];
    enum err e = aac_put_adts(&o->es.audio.aac, raw.size_bytes, header, why);

    if (e == E_OK) {
        buf_write(&o->out, header, sizeof header);
        buf_write_view(&o->out, raw);
    }
    return e;
}

static enum err keep_config(struct media_output *o, const struct media_tag *tag, const char **why)
{
    enum err e;

    buf_writer_clear(&o->config);
    buf_write_view(&o->config, es_of(tag));
    if (buf_writer_status(&o->config) != E_OK)
        return buf_writer_status(&o->config);
    e = codec_params_from_config(tag->info.codec, buf_writer_view(&o->config), &o->es, why);
    o->has_config = e == E_OK;
    return e;
}

static enum err write_es(struct media_output *o, const struct media_tag *tag, const char **why)
{
    enum media_codec codec = o->form->codec;

    *why = "not of this elementary stream";
    if (tag->info.codec != codec || tag->info.track_id ||
        tag->info.flags & (FRAME_METADATA | FRAME_EXTRA | FRAME_SEQ_END))
        return E_UNSUPPORTED;
    if (tag->info.flags & FRAME_CONFIG)
        return keep_config(o, tag, why);
    if (codec_has_config(codec) && !o->has_config) {
        *why = "a frame before its configuration";
        return E_UNSUPPORTED;
    }
    if (tag->info.kind == MEDIA_VIDEO)
        return write_nals(o, tag, why);
    if (codec == CODEC_AAC)
        return write_adts(o, tag, why);
    buf_write_view(&o->out, es_of(tag));
    return E_OK;
}

/* --- the table --- */

static const struct media_output_form k_forms[] = {
    {".flv", CODEC_NONE, begin_flv, write_flv, end_flv},
    {".ts", CODEC_NONE, NULL, write_ts, NULL},
    {".mp4", CODEC_NONE, begin_mp4, write_mp4, end_mp4},
    {".h264", CODEC_H264, NULL, write_es, NULL},
    {".hevc", CODEC_HEVC, NULL, write_es, NULL},
    {".aac", CODEC_AAC, NULL, write_es, NULL},
    {".mp3", CODEC_MP3, NULL, write_es, NULL},
    {".ac3", CODEC_AC3, NULL, write_es, NULL},
    {".eac3", CODEC_EAC3, NULL, write_es, NULL},
};

const struct media_output_form *media_output_form_of(const char *path)
{
    size_t size = strlen(path);

    if (!strcmp(path, "-"))
        return &k_forms[0];
    for (size_t i = 0; i < sizeof k_forms / sizeof k_forms[0]; i++) {
        size_t n = strlen(k_forms[i].ending);

        if (size > n && !strcmp(path + size - n, k_forms[i].ending))
            return &k_forms[i];
    }
    return NULL;
}

/* --- files --- */

static enum err close_all(struct media_output *o)
{
    bool is_there = (o->file == stdout ? fflush(stdout) : fclose(o->file)) == 0;

    flv_output_fini(&o->flv);
    mp4_output_fini(&o->mp4);
    ts_mux_fini(&o->ts);
    buf_writer_fini(&o->out);
    buf_writer_fini(&o->config);
    free(o);
    return is_there ? E_OK : E_IO;
}

struct media_output *media_output_open(const char *path, const struct media_output_form *form,
                                       char *why, size_t size)
{
    struct media_output *o = calloc(1, sizeof *o);
    struct stat about;

    if (!o) {
        snprintf(why, size, "%s", err_text(E_NOMEM));
        return NULL;
    }
    o->form = form;
    o->path = strcmp(path, "-") ? path : "standard output";
    o->file = strcmp(path, "-") ? fopen(path, "wbe") : stdout;
    if (!o->file) {
        snprintf(why, size, "%s: %s", path, strerror(errno));
        free(o);
        return NULL;
    }
    o->can_seek =
        o->file != stdout && fstat(fileno(o->file), &about) == 0 && S_ISREG(about.st_mode);
    buf_writer_init(&o->out, MAX_OUT_BYTES);
    buf_writer_init(&o->config, FLV_MAX_TAG_BYTES);
    ts_mux_init(&o->ts);
    if (form->begin && form->begin(o) != E_OK) {
        snprintf(why, size, "%s: %s", path, err_text(E_NOMEM));
        (void)close_all(o);
        return NULL;
    }
    return o;
}

enum err media_output_write(struct media_output *o, const struct media_tag *tag)
{
    const char *why = "";
    enum err e;

    if (tag->is_broken) {
        o->n_left_out++;
        return E_OK;
    }
    e = o->form->write(o, tag, &why);
    if (e == E_OK)
        o->n_written += !(tag->info.flags & FRAME_CONFIG);
    else if (e == E_NOMEM)
        return fail(o, e, err_text(e));
    else
        o->n_left_out++;
    return flush(o);
}

enum err media_output_close(struct media_output **output, uint64_t *n_written, uint64_t *n_left_out,
                            char *why, size_t size)
{
    struct media_output *o = *output;
    enum err e = flush(o), closed;

    if (e == E_OK && o->form->end && (o->n_written || o->form->begin == begin_flv))
        e = o->form->end(o);
    if (e == E_OK)
        e = flush(o);
    *n_written = o->n_written;
    *n_left_out = o->n_left_out;
    snprintf(why, size, "%s", o->why);
    *output = NULL;
    closed = close_all(o);
    if (e != E_OK || closed == E_OK)
        return e;
    snprintf(why, size, "its end could not be written: %s", strerror(errno));
    return closed;
}

const char *media_output_why(const struct media_output *output)
{
    return output->why;
}
