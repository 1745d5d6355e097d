/* links: proto/codec
 * Any bytes as a codec configuration; the first one picks the codec. */
#include <stdlib.h>
#include <string.h>

#include "proto/codec/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void require_inside(struct buf_view part, struct buf_view all)
{
    require(part.size_bytes == 0 ||
            (part.data >= all.data && part.data + part.size_bytes <= all.data + all.size_bytes));
}

static void require_video(const struct codec_video *v, struct buf_view config)
{
    require(v->width <= 1 << 16 && v->height <= 1 << 16);
    require(v->sar_num > 0 && v->sar_den > 0);
    require((v->fps_num == 0) == (v->fps_den == 0));
    require(v->bit_depth >= 8 && v->bit_depth <= 15 && v->chroma <= 3);
    require(v->nal_length_bytes != 3 && v->nal_length_bytes <= 4);
    require(v->n_sets <= CODEC_MAX_SETS);
    for (unsigned i = 0; i < v->n_sets; i++) {
        require(v->sets[i].size_bytes > 0);
        require_inside(v->sets[i], config);
    }
}

static void require_audio(const struct codec_audio *a)
{
    require(a->sample_rate_hz > 0 && a->output_rate_hz > 0 && a->channels > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct codec_params p = {.codec = CODEC_NONE};
    const char *why = NULL;
    enum media_codec codec;
    struct buf_view config;
    uint8_t *copy;
    enum err e;

    if (size == 0)
        return 0;
    copy = malloc(size > 1 ? size - 1 : 1); /* its own block: one byte past the end is seen */
    if (!copy)
        return 0;
    memcpy(copy, data + 1, size - 1);
    config = buf_view_of(copy, size - 1);
    codec = data[0] % CODEC_COUNT;
    e = codec_params_from_config(codec, config, &p, &why);
    if (e == E_OK) {
        require(p.codec == codec && p.rfc6381[0] && strlen(p.rfc6381) < CODEC_RFC6381_SIZE);
        require_inside(p.record, config);
        if (p.kind == MEDIA_VIDEO)
            require_video(&p.video, config);
        else
            require_audio(&p.audio);
    } else {
        require(why && p.codec == CODEC_NONE);
        require((e == E_UNSUPPORTED) == !codec_has_config(codec));
    }
    free(copy);
    return 0;
}
