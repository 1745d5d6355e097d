/* See relay_gate.h. */
#include "tests/tools/relay_gate.h"

static bool is_same(const struct media_frame_info *a, const struct media_frame_info *b)
{
    return a->kind == b->kind && a->track_id == b->track_id &&
           (a->flags & FRAME_HEADERS) == (b->flags & FRAME_HEADERS);
}

static struct relay_head *place_of(struct relay_heads *heads, const struct media_frame_info *info)
{
    for (unsigned i = 0; i < heads->n; i++)
        if (is_same(&heads->each[i].info, info))
            return &heads->each[i];
    if (heads->n == RELAY_MAX_HEADS)
        return NULL;
    buf_writer_init(&heads->each[heads->n].body, (size_t)16 << 20);
    return &heads->each[heads->n++];
}

enum err relay_heads_note(struct relay_heads *heads, const struct media_tag *tag)
{
    struct relay_head *head;

    if (tag->is_broken)
        return E_OK;
    heads->has_video |= tag->info.kind == MEDIA_VIDEO;
    if (!(tag->info.flags & FRAME_HEADERS))
        return E_OK;
    head = place_of(heads, &tag->info);
    if (!head)
        return E_OK; /* more tracks than anybody has: they begin with the source alone */
    head->type_id = tag->type_id;
    head->info = tag->info;
    buf_writer_clear(&head->body);
    buf_write_view(&head->body, tag->body);
    return buf_writer_status(&head->body);
}

void relay_heads_fini(struct relay_heads *heads)
{
    for (unsigned i = 0; i < heads->n; i++)
        buf_writer_fini(&heads->each[i].body);
    *heads = (struct relay_heads){.n = 0};
}

static bool is_entry(const struct relay_heads *heads, const struct media_tag *tag)
{
    if (tag->info.flags & (FRAME_HEADERS | FRAME_SEQ_END))
        return false;
    return heads->has_video ? tag->info.kind == MEDIA_VIDEO && tag->info.flags & FRAME_KEY
                            : tag->info.kind == MEDIA_AUDIO;
}

enum relay_verdict relay_gate_judge(struct relay_gate *gate, const struct relay_heads *heads,
                                    const struct media_tag *tag, bool is_behind)
{
    bool was_open = gate->is_open;

    if (tag->is_broken)
        return RELAY_DROP;
    if (is_behind)
        gate->is_open = false;
    else if (!was_open)
        gate->is_open = is_entry(heads, tag);
    if (gate->is_open) {
        gate->was_open = true;
        return was_open ? RELAY_PASS : RELAY_BEGIN;
    }
    gate->n_dropped += gate->was_open && !(tag->info.flags & FRAME_HEADERS);
    return RELAY_DROP;
}

void relay_gate_close(struct relay_gate *gate)
{
    gate->is_open = false;
}

void relay_clock_begin(struct relay_clock *clock)
{
    clock->is_known = false;
}

int64_t relay_clock_time(struct relay_clock *clock, const struct media_tag *tag, int64_t wall_us)
{
    int64_t time_us;

    if (!clock->is_known && tag->info.flags & FRAME_HEADERS)
        return clock->last_us;
    if (!clock->is_known) {
        int64_t gap_us = clock->has_source ? wall_us - clock->last_wall_us : 0;

        clock->offset_us = clock->last_us + (gap_us > 0 ? gap_us : 0) - tag->dts_us;
        clock->is_known = clock->has_source = true;
    }
    time_us = tag->dts_us + clock->offset_us;
    if (time_us < 0)
        time_us = 0;
    if (time_us > clock->last_us) {
        clock->last_us = time_us;
        clock->last_wall_us = wall_us;
    }
    return time_us;
}
