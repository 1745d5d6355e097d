/* The segments that there are: the last ones in the playlist, in front of them those that a player
 * may still ask for since an older playlist had them. */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/hls/channel_private.h"

#define MIN_SEGMENTS 3       /* in a playlist, RFC 8216 6.2.2; a window that is shorter gives way */
#define MAX_GAPS 16          /* numbers left out; more is a new list */
#define KEEP_OLD_US 30000000 /* RFC 8216 6.2.2 asks for the length of the playlist: not of DVR */
#define PARTS_KEPT_FOR 6     /* target durations; bis 6.2.1 asks for 3 and a playlist's age */

static struct hls_segment *last_segment(const struct hls_channel *c)
{
    return c->n_segments ? &c->segments[c->n_segments - 1] : NULL;
}

int64_t hls_window_target_us(const struct hls_channel *c)
{
    int64_t longest_us = (int64_t)c->plan.segment_ms * 1000;

    for (size_t i = c->n_old; i < c->n_segments; i++)
        if (c->segments[i].duration_us > longest_us)
            longest_us = c->segments[i].duration_us;
    return longest_us;
}

/* --- bodies --- */

static void drop_parts(struct hls_body *body)
{
    for (uint32_t i = 0; body->parts && i < body->n_parts; i++)
        hls_data_unref(&body->parts[i]);
    free(body->parts);
    free(body->infos);
    body->parts = NULL;
    body->infos = NULL;
    body->capacity = 0;
}

static void drop_body(struct hls_body *body)
{
    drop_parts(body);
    hls_data_unref(&body->data);
}

/* Takes the parts of segment i out of the list. */
static struct hls_body take_parts(struct hls_channel *c, size_t i)
{
    struct hls_body *body = &c->bodies[i], taken = *body;

    taken.data = NULL;
    pthread_mutex_lock(&c->lock);
    body->parts = NULL;
    body->infos = NULL;
    c->segments[i].parts = NULL;
    c->segments[i].n_parts = 0;
    pthread_mutex_unlock(&c->lock);
    return taken;
}

static void drop_first(struct hls_channel *c)
{
    struct hls_body gone = c->bodies[0];

    if (c->is_home)
        hls_record_dropped(c, &c->segments[0]);
    if (gone.data)
        c->kept_bytes -= hls_data_size(gone.data);
    pthread_mutex_lock(&c->lock);
    c->n_segments--;
    c->n_old -= c->n_old > 0;
    memmove(c->segments, c->segments + 1, c->n_segments * sizeof *c->segments);
    memmove(c->bodies, c->bodies + 1, c->n_segments * sizeof *c->bodies);
    pthread_mutex_unlock(&c->lock);
    drop_body(&gone);
}

void hls_window_clear(struct hls_channel *c)
{
    while (c->n_segments)
        drop_first(c);
    c->is_open = false;
}

/* --- growth --- */

static bool has_room(struct hls_channel *c)
{
    size_t more = c->capacity * 2 + 16;
    struct hls_segment *segments;
    struct hls_body *bodies;

    if (c->n_segments < c->capacity)
        return true;
    pthread_mutex_lock(&c->lock);
    segments = realloc(c->segments, more * sizeof *segments);
    if (segments)
        c->segments = segments;
    bodies = realloc(c->bodies, more * sizeof *bodies);
    if (bodies)
        c->bodies = bodies;
    if (segments && bodies)
        c->capacity = more;
    pthread_mutex_unlock(&c->lock);
    return segments && bodies;
}

static bool append(struct hls_channel *c, const struct hls_segment *segment, bool is_open)
{
    if (!has_room(c))
        return false;
    pthread_mutex_lock(&c->lock);
    c->segments[c->n_segments] = *segment;
    c->bodies[c->n_segments++] = (struct hls_body){.discontinuities = c->plan.discontinuities,
                                                   .start_us = c->segmenter.segment.start_us};
    c->is_open = is_open;
    pthread_mutex_unlock(&c->lock);
    return true;
}

/* Does another run, the first segment of this one, or one with other tracks begin with it? The same
 * on every node, so far as they have the segment. */
static bool is_discontinuity(const struct hls_channel *c, uint64_t msn)
{
    const struct hls_segment *last = last_segment(c);

    if (last)
        return last->run != c->plan.run ||
               c->bodies[c->n_segments - 1].discontinuities != c->plan.discontinuities;
    return c->plan.discontinuities && msn == c->plan.first_msn;
}

/* Numbers follow each other in a playlist: what is missing here is said to be. */
static bool fill_gaps(struct hls_channel *c, uint64_t msn)
{
    const struct hls_segment *last = last_segment(c);
    struct hls_segment gap;

    if (last && (msn <= last->msn || msn - last->msn - 1 > MAX_GAPS)) {
        log_warn("hls", "msg=\"numbers of segments leap\" stream=%s from=%llu to=%llu",
                 c->name.text, (unsigned long long)last->msn, (unsigned long long)msn);
        hls_window_clear(c);
    }
    while ((last = last_segment(c)) && last->msn + 1 < msn) {
        gap = (struct hls_segment){.run = c->plan.run,
                                   .msn = last->msn + 1,
                                   .map = c->mux.map,
                                   .duration_us = (int64_t)c->plan.segment_ms * 1000,
                                   .discontinuity = is_discontinuity(c, last->msn + 1),
                                   .gap = true};
        if (!append(c, &gap, false))
            return false;
    }
    return true;
}

static bool has_init(const struct hls_channel *c)
{
    return c->inits[0].data && c->inits[0].run == c->plan.run && c->inits[0].map == c->mux.map;
}

static void keep_init(struct hls_channel *c)
{
    struct hls_init_section gone = c->inits[HLS_MAX_INITS - 1];

    if (!c->mux.init || has_init(c))
        return;
    pthread_mutex_lock(&c->lock);
    memmove(c->inits + 1, c->inits, (HLS_MAX_INITS - 1) * sizeof c->inits[0]);
    c->inits[0] = (struct hls_init_section){
        .run = c->plan.run, .map = c->mux.map, .data = hls_data_ref(c->mux.init)};
    pthread_mutex_unlock(&c->lock);
    hls_data_unref(&gone.data);
}

bool hls_window_begin(struct hls_channel *c, const struct media_frame *first)
{
    uint64_t msn = c->segmenter.segment.msn;
    struct hls_segment segment;

    if (!fill_gaps(c, msn))
        return false;
    keep_init(c);
    segment = (struct hls_segment){.run = c->plan.run,
                                   .msn = msn,
                                   .map = c->mux.map,
                                   .wall_us = stream_wall_us(c->stream, first->info.ingest_us),
                                   .discontinuity = is_discontinuity(c, msn)};
    return append(c, &segment, true);
}

static bool has_part_room(struct hls_body *body)
{
    uint32_t more = body->capacity * 2 + 16;
    struct hls_data **parts;
    struct hls_part *infos;

    if (body->n_parts < body->capacity)
        return true;
    parts = realloc(body->parts, more * sizeof(struct hls_data *));
    if (parts)
        body->parts = parts;
    infos = realloc(body->infos, more * sizeof *infos);
    if (infos)
        body->infos = infos;
    if (parts && infos)
        body->capacity = more;
    return parts && infos;
}

void hls_window_add_part(struct hls_channel *c, const struct hls_piece *piece,
                         struct hls_data *data)
{
    struct hls_segment *segment = last_segment(c);
    struct hls_body *body = &c->bodies[c->n_segments - 1];

    pthread_mutex_lock(&c->lock);
    if (has_part_room(body)) {
        body->infos[body->n_parts] =
            (struct hls_part){.duration_us = piece->duration_us,
                              .independent = piece->independent || c->form.only == HLS_ONLY_AUDIO};
        body->parts[body->n_parts++] = data;
        data = NULL;
    }
    segment->parts = body->infos;
    segment->n_parts = body->n_parts;
    pthread_mutex_unlock(&c->lock);
    hls_data_unref(&data);
}

void hls_window_end(struct hls_channel *c, const struct hls_piece *piece, struct hls_data *whole)
{
    struct hls_segment *segment = last_segment(c);
    struct hls_body *body = &c->bodies[c->n_segments - 1];

    if (whole && hls_data_is_broken(whole))
        hls_data_unref(&whole);
    c->kept_bytes += whole ? hls_data_size(whole) : 0;
    pthread_mutex_lock(&c->lock);
    segment->duration_us = piece->duration_us;
    segment->size_bytes = whole ? hls_data_size(whole) : 0;
    segment->gap = !whole;
    body->data = whole;
    body->n_lead = piece->n_frames;
    c->is_open = false;
    pthread_mutex_unlock(&c->lock);
    hls_record_segment(c, segment, whole);
    hls_window_trim(c);
}

void hls_window_give_up(struct hls_channel *c, const struct hls_piece *piece)
{
    struct hls_body taken = take_parts(c, c->n_segments - 1);

    drop_parts(&taken);
    hls_window_end(c, piece, NULL);
}

/* --- age --- */

/* How much of the list is in the playlist, from the end. */
static size_t count_shown(const struct hls_channel *c)
{
    const struct hls_conf *conf = hls_conf_of(c->hls);
    int64_t left_us = conf->window_us;
    size_t left_bytes = conf->max_bytes, n = 0;

    while (n < c->n_segments) {
        const struct hls_segment *s = &c->segments[c->n_segments - 1 - n];

        left_us -= s->duration_us;
        if (n >= MIN_SEGMENTS + (size_t)c->is_open && (left_us < 0 || s->size_bytes > left_bytes))
            break;
        left_bytes -= s->size_bytes < left_bytes ? s->size_bytes : left_bytes;
        n++;
    }
    return n;
}

static void drop_old_parts(struct hls_channel *c)
{
    int64_t keep_us = PARTS_KEPT_FOR * hls_window_target_us(c);

    for (size_t i = c->n_segments; i-- > 0;) {
        keep_us -= c->segments[i].duration_us;
        if (keep_us < 0 && c->bodies[i].parts) {
            struct hls_body taken = take_parts(c, i);

            drop_parts(&taken);
        }
    }
}

void hls_window_trim(struct hls_channel *c)
{
    const struct hls_conf *conf = hls_conf_of(c->hls);
    size_t n_old = c->n_segments - count_shown(c);
    int64_t old_us = 0;

    if (n_old > c->n_old) {
        pthread_mutex_lock(&c->lock);
        c->n_old = n_old;
        pthread_mutex_unlock(&c->lock);
    }
    for (size_t i = 0; i < c->n_old; i++)
        old_us += c->segments[i].duration_us;
    while (c->n_old &&
           (old_us > conf->window_us || old_us > KEEP_OLD_US || c->kept_bytes > conf->max_bytes)) {
        old_us -= c->segments[0].duration_us;
        drop_first(c);
    }
    drop_old_parts(c);
}
