/* See clock.h. */
#include "node/cluster/clock.h"

#include <stddef.h>

#include <jansson.h>

static bool is_reading(int64_t us)
{
    return us >= 0 && us <= CLOCK_MAX_US;
}

/* How wrong the sample may be at that moment, before it or after. The other clock was read up to
 * half_us away from at_us; all is rounded up. */
static int64_t unc_us_of(const struct clock_sample *s, int64_t now_us)
{
    int64_t age_us = now_us > s->at_us ? now_us - s->at_us : s->at_us - now_us;

    return s->half_us + (age_us + s->half_us) * CLOCK_DRIFT_PPM / 1000000 + 1;
}

static bool is_fresh(const struct clock_sample *s, int64_t now_us)
{
    return now_us - s->at_us <= CLOCK_KEEP_US;
}

static const struct clock_sample *best(const struct clock_offset *c, int64_t now_us)
{
    const struct clock_sample *found = NULL;

    for (unsigned i = 0; i < c->n; i++) {
        const struct clock_sample *s = &c->samples[i];

        if (is_fresh(s, now_us) && (!found || unc_us_of(s, now_us) < unc_us_of(found, now_us)))
            found = s;
    }
    return found;
}

/* Bounds of one clock overlap. */
static bool contradicts(const struct clock_sample *fresh, const struct clock_sample *known)
{
    int64_t apart_us = fresh->offset_us - known->offset_us;

    if (apart_us < 0)
        apart_us = -apart_us;
    return apart_us > fresh->half_us + unc_us_of(known, fresh->at_us);
}

bool clock_offset_add(struct clock_offset *c, int64_t sent_us, int64_t theirs_us,
                      int64_t received_us)
{
    struct clock_sample fresh;
    const struct clock_sample *known;

    if (!is_reading(sent_us) || !is_reading(theirs_us) || !is_reading(received_us) ||
        received_us < sent_us)
        return false;
    fresh.half_us = (received_us - sent_us + 1) / 2;
    fresh.at_us = sent_us + (received_us - sent_us) / 2;
    fresh.offset_us = theirs_us - fresh.at_us;
    known = best(c, fresh.at_us);
    if (known && contradicts(&fresh, known))
        *c = (struct clock_offset){0};
    c->samples[c->next] = fresh;
    c->next = (c->next + 1) % CLOCK_SAMPLES;
    if (c->n < CLOCK_SAMPLES)
        c->n++;
    return true;
}

bool clock_offset_read(const struct clock_offset *c, int64_t now_us, int64_t *offset_us,
                       int64_t *unc_us)
{
    const struct clock_sample *s = best(c, now_us);

    if (!s)
        return false;
    *offset_us = s->offset_us;
    *unc_us = unc_us_of(s, now_us);
    return true;
}

enum err clock_answer_read(struct buf_view json, int64_t *theirs_us)
{
    json_t *answer =
        json_loadb(json.size_bytes ? (const char *)json.data : "", json.size_bytes, 0, NULL);
    const json_t *mono_us = json_object_get(answer, "mono_us");
    int64_t us = json_is_integer(mono_us) ? json_integer_value(mono_us) : -1;

    json_decref(answer);
    if (!is_reading(us))
        return E_PROTO;
    *theirs_us = us;
    return E_OK;
}
