/* What was needed of late, and how schedulers tell each other. */
#include <jansson.h>
#include <string.h>

#include "scheduler/autoscale.h"

const char *const k_autoscale_roles[] = {"edge", "origin", NULL};

static uint32_t *slot_of(struct autoscale_past *past, int64_t slot)
{
    return &past->needed[slot % AUTOSCALE_N_SLOTS];
}

void autoscale_past_raise(struct autoscale_past *past, int64_t slot, uint32_t needed)
{
    if (slot <= 0 || slot <= past->newest - AUTOSCALE_N_SLOTS)
        return;
    if (slot - past->newest >= AUTOSCALE_N_SLOTS) {
        memset(past->needed, 0, sizeof past->needed);
        past->newest = slot;
    }
    while (past->newest < slot)
        *slot_of(past, ++past->newest) = 0;
    if (needed > *slot_of(past, slot))
        *slot_of(past, slot) = needed;
}

static int64_t last_slot(int64_t wall_us)
{
    return wall_us / AUTOSCALE_SLOT_US + 1;
}

/* Slots are a ring: where the newest were is room for older ones, of which nothing is known. */
void autoscale_past_set_clock(struct autoscale_past *past, int64_t wall_us)
{
    int64_t last = last_slot(wall_us);

    if (past->newest - last >= AUTOSCALE_N_SLOTS)
        *past = (struct autoscale_past){0};
    while (past->newest > last)
        *slot_of(past, past->newest--) = 0;
}

static uint32_t needed_in(const struct autoscale_past *past, int64_t slot)
{
    if (slot <= 0 || slot > past->newest || slot <= past->newest - AUTOSCALE_N_SLOTS)
        return 0;
    return past->needed[slot % AUTOSCALE_N_SLOTS];
}

bool autoscale_past_merge(struct autoscale_past *past, const struct autoscale_past *from,
                          int64_t wall_us)
{
    int64_t last = last_slot(wall_us);
    bool is_news = false;

    autoscale_past_set_clock(past, wall_us);
    for (int64_t slot = last - AUTOSCALE_N_SLOTS + 1; slot <= last; slot++) {
        uint32_t needed = needed_in(from, slot);

        if (needed <= needed_in(past, slot))
            continue;
        autoscale_past_raise(past, slot, needed);
        is_news = true;
    }
    return is_news;
}

uint32_t autoscale_past_most(const struct autoscale_past *past, int64_t since_us, int64_t until_us)
{
    int64_t slot = since_us / AUTOSCALE_SLOT_US, last = until_us / AUTOSCALE_SLOT_US;
    uint32_t most = 0;

    if (slot <= past->newest - AUTOSCALE_N_SLOTS)
        slot = past->newest - AUTOSCALE_N_SLOTS + 1;
    for (; slot <= past->newest && slot <= last; slot++)
        if (needed_in(past, slot) > most)
            most = needed_in(past, slot);
    return most;
}

/* --- as JSON --- */

void autoscale_past_write(const struct autoscale_past past[AUTOSCALE_N_ROLES],
                          struct buf_writer *out)
{
    buf_write_str(out, "{\"v\":1");
    for (int role = 0; role < AUTOSCALE_N_ROLES; role++) {
        const struct autoscale_past *p = &past[role];

        buf_printf(out, ",\"%s\":{\"newest\":%lld,\"needed\":[", k_autoscale_roles[role],
                   (long long)p->newest);
        for (int64_t i = 0; i < AUTOSCALE_N_SLOTS; i++)
            buf_printf(out, "%s%u", i ? "," : "", needed_in(p, p->newest - i));
        buf_write_str(out, "]}");
    }
    buf_write_str(out, "}");
}

static bool read_role(const json_t *root, const char *role, struct autoscale_past *out)
{
    const json_t *object = json_object_get(root, role);
    const json_t *newest = json_object_get(object, "newest");
    const json_t *needed = json_object_get(object, "needed");
    int64_t slot = json_integer_value(newest);
    size_t n = json_array_size(needed);

    *out = (struct autoscale_past){0};
    if (!json_is_integer(newest) || !json_is_array(needed) || slot < 0 ||
        slot > INT64_MAX / AUTOSCALE_SLOT_US)
        return false;
    n = n < AUTOSCALE_N_SLOTS ? n : AUTOSCALE_N_SLOTS; /* of a release that keeps more */
    for (size_t i = n; i > 0; i--) {
        const json_t *value = json_array_get(needed, i - 1);

        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
            json_integer_value(value) > AUTOSCALE_MAX_NODES)
            return false;
        autoscale_past_raise(out, slot - (int64_t)(i - 1), (uint32_t)json_integer_value(value));
    }
    return true;
}

enum err autoscale_past_read(struct buf_view json, struct autoscale_past past[AUTOSCALE_N_ROLES])
{
    struct autoscale_past read[AUTOSCALE_N_ROLES];
    json_t *root =
        json_loadb((const char *)json.data, json.size_bytes, JSON_REJECT_DUPLICATES, NULL);
    bool is_good = root != NULL;

    for (int role = 0; role < AUTOSCALE_N_ROLES && is_good; role++)
        is_good = read_role(root, k_autoscale_roles[role], &read[role]);
    json_decref(root);
    if (!is_good)
        return E_INVAL;
    memcpy(past, read, sizeof read);
    return E_OK;
}
