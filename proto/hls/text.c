/* Attribute values: URIs, seconds, dates. */
#include "proto/hls/text.h"

#include <inttypes.h>

#define US_PER_S 1000000
#define S_PER_DAY 86400

void hls_write_uri(struct buf_writer *w, struct buf_view uri)
{
    for (size_t i = 0; i < uri.size_bytes; i++) {
        uint8_t c = uri.data[i];

        if (c <= ' ' || c == '"' || c == 0x7f)
            buf_printf(w, "%%%02X", c);
        else
            buf_write_u8(w, c);
    }
}

void hls_write_seconds(struct buf_writer *w, int64_t us)
{
    int64_t value = us > 0 ? us : 0;

    buf_printf(w, "%" PRId64 ".%06" PRId64, value / US_PER_S, value % US_PER_S);
}

/* Gregorian calendar. Years are counted from 1 March, so that the leap day is the last one: day
 * numbers of months are then a straight line, and only centuries need care. gmtime_r() would do,
 * but codecs know no clocks or time zones. */
static void split_days(int64_t days_since_1970, unsigned *year, unsigned *month, unsigned *day)
{
    uint64_t days = (uint64_t)days_since_1970 + 719468; /* since 1 March of year 0 */
    uint64_t era = days / 146097;                       /* of 400 years */
    unsigned in_era = (unsigned)(days % 146097);
    unsigned year_in_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
    unsigned from_march = (5 * in_year + 2) / 153;

    *day = in_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = (unsigned)(era * 400 + year_in_era) + (*month <= 2);
}

void hls_write_date(struct buf_writer *w, int64_t wall_us)
{
    int64_t wall_s = wall_us > 0 ? wall_us / US_PER_S : 0;
    unsigned ms = wall_us > 0 ? (unsigned)(wall_us % US_PER_S / 1000) : 0;
    unsigned in_day = (unsigned)(wall_s % S_PER_DAY);
    unsigned year, month, day;

    split_days(wall_s / S_PER_DAY, &year, &month, &day);
    buf_printf(w, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day, in_day / 3600,
               in_day / 60 % 60, in_day % 60, ms);
}
