/* UTF-8 decoding, and which code points may be shown to a person as they are. */
#include "common/base/utf8.h"

/* Lead byte forms of RFC 3629, section 3. min keeps out overlong forms. */
static const struct {
    uint8_t mask, bits;
    uint8_t n_more; /* continuation bytes */
    uint32_t min, max;
} k_forms[] = {
    {0x80, 0x00, 0, 0x0, 0x7f},
    {0xe0, 0xc0, 1, 0x80, 0x7ff},
    {0xf0, 0xe0, 2, 0x800, 0xffff},
    {0xf8, 0xf0, 3, 0x10000, 0x10ffff},
};

/* clang-format off */
static const struct utf8_range k_invisible[] = {
    {0x0000, 0x0020},     /* C0 controls, space */
    {0x007f, 0x00a0},     /* delete, C1 controls, no-break space */
    {0x00ad, 0x00ad},     /* soft hyphen */
    {0x034f, 0x034f},     /* combining grapheme joiner */
    {0x061c, 0x061c},     /* Arabic letter mark */
    {0x115f, 0x1160},     /* Hangul fillers */
    {0x1680, 0x1680},     /* Ogham space */
    {0x17b4, 0x17b5},     /* Khmer inherent vowels */
    {0x180b, 0x180f},     /* Mongolian selectors and separator */
    {0x2000, 0x200f},     /* spaces, zero width, direction marks */
    {0x2028, 0x202f},     /* line and paragraph separators, bidi embeddings and overrides */
    {0x205f, 0x206f},     /* space, invisible operators, bidi isolates */
    {0x2800, 0x2800},     /* blank Braille pattern */
    {0x3000, 0x3000},     /* ideographic space */
    {0x3164, 0x3164},     /* Hangul filler */
    {0xd800, 0xf8ff},     /* surrogates, private use */
    {0xfdd0, 0xfdef},     /* noncharacters */
    {0xfe00, 0xfe0f},     /* variation selectors */
    {0xfeff, 0xfeff},     /* byte order mark */
    {0xffa0, 0xffa0},     /* half-width Hangul filler */
    {0xfff0, 0xfffb},     /* specials: interlinear annotation */
    {0x1bca0, 0x1bca3},   /* shorthand format controls */
    {0x1d173, 0x1d17a},   /* musical format controls */
    {0xe0000, 0x10ffff},  /* tags, selectors, private use */
};
/* clang-format on */

bool utf8_in_ranges(uint32_t code_point, const struct utf8_range *ranges, size_t n_ranges)
{
    for (size_t i = 0; i < n_ranges && ranges[i].first <= code_point; i++)
        if (code_point <= ranges[i].last)
            return true;
    return false;
}

bool utf8_is_visible(uint32_t code_point)
{
    if ((code_point & 0xfffe) == 0xfffe) /* the last two of every plane are noncharacters */
        return false;
    return !utf8_in_ranges(code_point, k_invisible, sizeof k_invisible / sizeof k_invisible[0]);
}

enum err utf8_read(struct buf_reader *in, uint32_t *code_point)
{
    struct buf_reader r = *in;
    uint32_t value = 0;
    uint8_t lead;
    size_t form = 0;

    if (r.left_bytes == 0)
        return E_END;
    lead = buf_read_u8(&r);
    while (form < sizeof k_forms / sizeof k_forms[0] &&
           (lead & k_forms[form].mask) != k_forms[form].bits)
        form++;
    if (form == sizeof k_forms / sizeof k_forms[0])
        return E_INVAL;
    value = lead & (uint8_t)~k_forms[form].mask;
    for (unsigned i = 0; i < k_forms[form].n_more; i++) {
        uint8_t more = buf_read_u8(&r); /* 0 at the end, which is no continuation either */

        if ((more & 0xc0) != 0x80)
            return E_INVAL;
        value = value << 6 | (more & 0x3f);
    }
    if (value < k_forms[form].min || value > k_forms[form].max ||
        (value >= 0xd800 && value <= 0xdfff))
        return E_INVAL;
    *in = r;
    *code_point = value;
    return E_OK;
}

void utf8_write_json(struct buf_writer *out, const char *text)
{
    struct buf_reader r = buf_reader_from(buf_view_str(text));

    while (r.left_bytes) {
        struct buf_reader start = r;
        uint32_t code_point;

        if (utf8_read(&r, &code_point) != E_OK) {
            (void)buf_take(&r, 1);
            buf_write_str(out, "\\ufffd");
        } else if (code_point < ' ' || code_point == 0x7f) {
            buf_printf(out, "\\u%04x", (unsigned)code_point);
        } else {
            if (code_point == '"' || code_point == '\\')
                buf_write_u8(out, '\\');
            buf_write(out, start.at, start.left_bytes - r.left_bytes);
        }
    }
}
