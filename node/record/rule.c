/* See rule.h. */
#include "node/record/rule.h"

#include <stddef.h>
#include <string.h>

#define MAX_PATTERN_BYTES (STREAM_NAME_SIZE - 1)
#define US_PER_S INT64_C(1000000)
/* An MP4 counts its pictures' duration in 32 bits of 1/90000 s: 13 hours. */
#define MAX_SPLIT_S 43200

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_STRING(struct record_rule, streams,     "streams",     NULL,   MAX_PATTERN_BYTES, "app/name, app/*, app/cam* or *.", false),
    CONF_FIELD_LIST  (struct record_rule, formats,     "formats",     "flv",  RECORD_N_FORMATS,  "flv, ts, mp4, hls; none = these are not recorded.", false),
    CONF_FIELD_UINT  (struct record_rule, split_s,     "split_s",     "3600", 1, MAX_SPLIT_S, "s", "A file is that long, to the next key frame.", false),
    CONF_FIELD_UINT  (struct record_rule, split_bytes, "split_bytes", "0",    0, UINT64_C(1) << 40, "bytes", "A file is that big, to the next key frame; 0 = no limit.", false),
    CONF_FIELD_UINT  (struct record_rule, segment_s,   "segment_s",   "6",    1, 60, "s", "Length of a segment of HLS, to the next key frame.", false),
    CONF_FIELD_BOOL  (struct record_rule, relayed,     "relayed",     "false", "Also what comes from another node, which may record it, too.", false),
};
/* clang-format on */

const struct conf_schema k_record_rule_schema = {
    "record rule", k_fields, sizeof k_fields / sizeof k_fields[0], sizeof(struct record_rule)};

static bool format_of(const char *text, enum record_format_id *out)
{
    for (unsigned i = 0; i < RECORD_N_FORMATS; i++) {
        if (strcmp(text, k_record_formats[i]) != 0)
            continue;
        *out = (enum record_format_id)i;
        return true;
    }
    return false;
}

enum err record_rule_check(const struct record_rule *rule, const char **why)
{
    const char *star = strchr(rule->streams, '*');
    enum record_format_id format;

    *why = "streams: allowed are app/name, app/*, app/cam* and *";
    if (!rule->streams[0] || rule->streams[0] == '/' || (star && star[1]))
        return E_INVAL;
    *why = "formats: allowed are flv, ts, mp4 and hls";
    for (size_t i = 0; i < rule->formats.n_items; i++)
        if (!format_of(rule->formats.items[i], &format))
            return E_INVAL;
    return E_OK;
}

bool record_rule_matches(const struct record_rule *rule, const struct stream_name *stream)
{
    const char *pattern = rule->streams;
    size_t size = strlen(pattern);

    if (size && pattern[size - 1] == '*')
        return !strncmp(pattern, stream->text, size - 1);
    return !strcmp(pattern, stream->text) ||
           (size == stream->app_bytes && !memcmp(pattern, stream->text, size));
}

struct record_plan record_rule_plan(const struct record_rule *rule)
{
    struct record_plan plan = {.split_us = (int64_t)rule->split_s * US_PER_S,
                               .segment_us = (int64_t)rule->segment_s * US_PER_S,
                               .split_bytes = rule->split_bytes,
                               .relayed = rule->relayed};
    enum record_format_id format;

    for (size_t i = 0; i < rule->formats.n_items; i++)
        if (format_of(rule->formats.items[i], &format))
            plan.formats |= 1u << format;
    return plan;
}
