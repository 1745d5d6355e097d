/* Dates as all outputs write them: RFC 3339, section 5.6, UTC, milliseconds. Any thread: without
 * the C library's time zone lock. */
#ifndef HW_COMMON_BASE_DATE_H
#define HW_COMMON_BASE_DATE_H

#include <stdint.h>

#define DATE_SIZE 25         /* with the zero */
#define DATE_SECOND_BYTES 19 /* of them up to the seconds: "2026-01-02T03:04:05" */

/* "2026-01-02T03:04:05.678Z"; times before 1970 are 1970, years have their last four digits.
 * Returns out. */
const char *date_format(int64_t wall_us, char out[DATE_SIZE]);

#endif
