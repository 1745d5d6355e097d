/* UTF-8 for what people and peers write: names, log values. RFC 3629. Sans I/O; any thread. */
#ifndef HW_COMMON_BASE_UTF8_H
#define HW_COMMON_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

/* Inclusive range of code points; tables of them are sorted. */
struct utf8_range {
    uint32_t first, last;
};
bool utf8_in_ranges(uint32_t code_point, const struct utf8_range *ranges, size_t n_ranges);

/* Reads one code point and moves past it. *code_point is written only on E_OK.
 *   E_END    nothing left
 *   E_INVAL  not UTF-8 here (stray or missing continuation, overlong, surrogate, above U+10FFFF);
 *            the reader has not moved: skip one byte to go on */
enum err utf8_read(struct buf_reader *in, uint32_t *code_point);

/* False for what shows nothing or changes how its neighbours show: controls (C0, C1), spaces,
 * line separators, bidirectional and other format controls, fillers, variation selectors, private
 * use, noncharacters, planes 14 to 16. Unassigned code points elsewhere count as visible. */
bool utf8_is_visible(uint32_t code_point);

/* Text as what stands between the quotes of a JSON string: RFC 8259, section 7; what is not UTF-8
 * becomes a replacement character. */
void utf8_write_json(struct buf_writer *out, const char *text);

#endif
