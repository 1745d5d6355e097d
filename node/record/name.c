/* See name.h. */
#include "node/record/name.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SEQ_DIGITS 6
#define SEGMENT_DIGITS 5
#define MAX_DIGITS 9
#define US_PER_S 1000000

const char *const k_record_formats[RECORD_N_FORMATS + 1] = {"flv", "ts", "mp4", "hls", NULL};
static const char *const k_suffixes[RECORD_N_FORMATS] = {".flv", ".ts", ".mp4", ".m3u8"};

void record_name_set_time(struct record_name *name, int64_t wall_us)
{
    time_t s = (time_t)(wall_us / US_PER_S);
    struct tm tm;

    if (wall_us < 0 || !gmtime_r(&s, &tm) || tm.tm_year + 1900 > 9999)
        memset(&tm, 0, sizeof tm);
    if (strftime(name->time, sizeof name->time, "%Y%m%dT%H%M%SZ", &tm) != sizeof name->time - 1)
        snprintf(name->time, sizeof name->time, "19700101T000000Z");
}

void record_name_format(const struct record_name *name, char out[RECORD_NAME_SIZE])
{
    char segment[16] = "";

    if (name->segment)
        snprintf(segment, sizeof segment, "-%0*u", SEGMENT_DIGITS, (unsigned)name->segment);
    snprintf(out, RECORD_NAME_SIZE, "%s-%0*u%s%s%s", name->time, SEQ_DIGITS, (unsigned)name->seq,
             segment, name->segment ? ".ts" : k_suffixes[name->format],
             name->is_part ? RECORD_PART : "");
}

static bool skip_digits(const char **at, unsigned n)
{
    while (n--) {
        if (**at < '0' || **at > '9')
            return false;
        (*at)++;
    }
    return true;
}

static bool skip_char(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* One number has one form: zeros in front only up to n_digits. */
static bool read_number(const char **at, unsigned n_digits, uint32_t *out)
{
    const char *begin = *at;
    uint32_t value = 0;
    unsigned n = 0;

    for (; **at >= '0' && **at <= '9' && n < MAX_DIGITS; n++, (*at)++)
        value = value * 10 + (uint32_t)(**at - '0');
    *out = value;
    return value > 0 && n >= n_digits && (n == n_digits || *begin != '0');
}

static bool read_suffix(const char *at, struct record_name *name)
{
    for (unsigned i = 0; i < RECORD_N_FORMATS; i++) {
        size_t size = strlen(k_suffixes[i]);

        if (strncmp(at, k_suffixes[i], size) != 0 || (at[size] && strcmp(at + size, RECORD_PART)))
            continue;
        name->is_part = at[size] != '\0';
        name->format = name->segment ? RECORD_HLS : (enum record_format_id)i;
        return !name->segment || i == RECORD_TS;
    }
    return false;
}

enum err record_name_parse(const char *text, struct record_name *out)
{
    struct record_name name = {.seq = 0};
    const char *at = text;

    if (!skip_digits(&at, 8) || !skip_char(&at, 'T') || !skip_digits(&at, 6) ||
        !skip_char(&at, 'Z'))
        return E_INVAL;
    memcpy(name.time, text, sizeof name.time - 1);
    if (!skip_char(&at, '-') || !read_number(&at, SEQ_DIGITS, &name.seq))
        return E_INVAL;
    if (*at == '-' && (at++, !read_number(&at, SEGMENT_DIGITS, &name.segment)))
        return E_INVAL;
    if (!read_suffix(at, &name))
        return E_INVAL;
    *out = name;
    return E_OK;
}

bool record_name_is_taken(const struct stream_name *stream)
{
    const char *part = stream_name_part(stream);
    struct record_name name;

    return !strncmp(part, RECORD_INDEX_NAME, strlen(RECORD_INDEX_NAME)) ||
           record_name_parse(part, &name) == E_OK;
}

enum err record_path_split(const char *path, struct stream_name *stream, struct record_name *name,
                           const char **why)
{
    const char *slash = strrchr(path, '/');
    char text[STREAM_NAME_SIZE + 1];
    int n;

    *why = "not app/name/file";
    if (!slash)
        return E_INVAL;
    n = snprintf(text, sizeof text, "/%.*s", (int)(slash - path), path);
    if (n < 0 || (size_t)n >= sizeof text ||
        stream_name_from_path(stream, buf_view_str(text), why) != E_OK)
        return E_INVAL;
    *why = "no record is called so";
    return record_name_parse(slash + 1, name);
}
