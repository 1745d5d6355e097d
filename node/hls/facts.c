/* See facts.h. */
#include "node/hls/facts.h"

#include <stdio.h>

#define US_PER_S 1000000
#define FPS_DEN 1000u /* thousandths */

enum { TRANSFER_PQ = 16, TRANSFER_HLG = 18 }; /* H.273 */

static const char *range_of(const struct codec_video *video)
{
    switch (video->colour.transfer) {
    case TRANSFER_PQ:
        return "PQ";
    case TRANSFER_HLG:
        return "HLG";
    default:
        return "SDR";
    }
}

/* What the stream promises, unless it shows otherwise: encoders leave it out, or say it wrong. */
static void measure_rate(struct hls_facts *facts, const struct codec_video *video,
                         uint64_t n_pictures, int64_t pictures_us)
{
    double seen = pictures_us > 0 ? (double)n_pictures * US_PER_S / (double)pictures_us : 0;
    double said = video->fps_den ? (double)video->fps_num / video->fps_den : 0;

    if (said > 0 && (seen <= 0 || (said > seen * 0.9 && said < seen * 1.1))) {
        facts->fps_num = video->fps_num;
        facts->fps_den = video->fps_den;
    } else if (seen > 0) {
        facts->fps_num = (uint32_t)(seen * FPS_DEN + 0.5);
        facts->fps_den = FPS_DEN;
    }
}

void hls_facts_of(struct hls_facts *facts, const struct es_track *const tracks[2],
                  const struct hls_segment *segments, size_t n_segments, uint64_t n_pictures,
                  int64_t pictures_us)
{
    static const enum media_kind k_order[] = {MEDIA_VIDEO, MEDIA_AUDIO};
    const struct es_track *video = tracks[MEDIA_VIDEO];

    *facts = (struct hls_facts){.video_range = NULL};
    for (unsigned i = 0; i < 2; i++)
        if (tracks[k_order[i]])
            snprintf(facts->codecs[i], sizeof facts->codecs[i], "%s",
                     tracks[k_order[i]]->params.rfc6381);
    if (video) {
        facts->width = video->params.video.width;
        facts->height = video->params.video.height;
        facts->video_range = range_of(&video->params.video);
        measure_rate(facts, &video->params.video, n_pictures, pictures_us);
    }
    hls_measure(segments, n_segments, &facts->peak_bps, &facts->average_bps);
}

struct hls_variant hls_facts_variant(const struct hls_facts *facts, const char *uri)
{
    return (struct hls_variant){
        .uri = buf_view_str(uri),
        .codecs = {facts->codecs[0][0] ? facts->codecs[0] : NULL,
                   facts->codecs[1][0] ? facts->codecs[1] : NULL},
        .width = facts->width,
        .height = facts->height,
        .fps_num = facts->fps_num,
        .fps_den = facts->fps_den,
        .peak_bps = facts->peak_bps,
        .average_bps = facts->average_bps,
        .video_range = facts->video_range,
    };
}
