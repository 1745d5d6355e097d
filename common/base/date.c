#include "common/base/date.h"

#define US_PER_MS 1000
#define MS_PER_S 1000
#define S_PER_DAY 86400

/* Gregorian calendar. Years are counted from 1 March, so that the leap day is the last one: day
 * numbers of months are then a straight line, and only centuries need care. */
static void split_days(uint64_t days_since_1970, unsigned *year, unsigned *month, unsigned *day)
{
    uint64_t days = days_since_1970 + 719468; /* since 1 March of year 0 */
    uint64_t era = days / 146097;             /* of 400 years */
    unsigned in_era = (unsigned)(days % 146097);
    unsigned year_in_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
    unsigned from_march = (5 * in_year + 2) / 153;

    *day = in_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = (unsigned)(era * 400 + year_in_era) + (*month <= 2);
}

/* The last digits of the value, and what stands behind them. Not snprintf(): every session and log
 * line has a date. */
static char *put(char *at, unsigned value, unsigned n_digits, char after)
{
    for (unsigned i = n_digits; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    at[n_digits] = after;
    return at + n_digits + 1;
}

const char *date_format(int64_t wall_us, char out[DATE_SIZE])
{
    uint64_t ms = wall_us > 0 ? (uint64_t)wall_us / US_PER_MS : 0;
    uint64_t s = ms / MS_PER_S;
    unsigned in_day = (unsigned)(s % S_PER_DAY);
    unsigned year, month, day;
    char *at = out;

    split_days(s / S_PER_DAY, &year, &month, &day);
    at = put(at, year, 4, '-');
    at = put(at, month, 2, '-');
    at = put(at, day, 2, 'T');
    at = put(at, in_day / 3600, 2, ':');
    at = put(at, in_day / 60 % 60, 2, ':');
    at = put(at, in_day % 60, 2, '.');
    at = put(at, (unsigned)(ms % MS_PER_S), 3, 'Z');
    *at = '\0';
    return out;
}
