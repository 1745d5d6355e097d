/* Stream names. Every door (RTMP, HTTP, API, cluster messages) comes through here, so that no door
 * accepts what another one refuses. */
#include "common/media/name.h"

#include <string.h>

#include "common/base/utf8.h"

#define WHY_APP_EMPTY "the app name is empty"
#define WHY_NAME_EMPTY "the stream name is empty"
#define WHY_EMPTY_PART "a part of the app name is empty"
#define WHY_LONG "a part of the name is longer than 128 bytes"
#define WHY_DOT "a part of the name begins with a dot"
#define WHY_BYTE "only letters, digits and . _ ~ - are allowed in a name"
#define WHY_UTF8 "the name is not valid UTF-8"
#define WHY_APP_PARTS "the app name has more than two parts"
#define WHY_NAME_PARTS "the stream name has more than one part"
#define WHY_RESERVED "the app name is reserved"
#define WHY_PATH "the path is not /app/name or /app/part/name"

/* First path parts that the HTTP servers use themselves. */
static const char *const k_reserved[] = {"v1",     "api",     "metrics", "healthz",
                                         "readyz", "console", "records", NULL};

/* Blocks without letters, on top of what utf8_is_visible() refuses. The rule is by block, not by
 * character: names need no Unicode tables, and no version of them. */
/* clang-format off */
static const struct utf8_range k_symbols[] = {
    {0x00a1, 0x00a9}, {0x00ab, 0x00b4}, {0x00b6, 0x00b9}, {0x00bb, 0x00bf}, /* Latin-1 signs */
    {0x00d7, 0x00d7}, {0x00f7, 0x00f7}, /* multiplication, division */
    {0x2000, 0x206f},                   /* general punctuation */
    {0x20a0, 0x20cf},                   /* currency */
    {0x2190, 0x2bff},                   /* arrows, operators, boxes, dingbats, Braille */
    {0x2e00, 0x2e7f},                   /* supplemental punctuation */
    {0x2ff0, 0x3004},                   /* description characters, CJK punctuation */
    {0x3008, 0x3020},                   /* CJK brackets */
    {0xfe10, 0xfe1f}, {0xfe30, 0xfe6f}, /* vertical, compatibility and small forms */
    {0xff01, 0xff0f}, {0xff1a, 0xff20}, {0xff3b, 0xff40}, {0xff5b, 0xff65}, /* full-width signs */
    {0xffe0, 0xffff},                   /* full-width currency, specials */
    {0x1f000, 0x1faff},                 /* tiles, cards, emoji */
};
/* clang-format on */

static bool is_plain(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '~' || c == '-';
}

static bool is_allowed(uint32_t c)
{
    if (c < 0x80)
        return is_plain(c);
    return utf8_is_visible(c) &&
           !utf8_in_ranges(c, k_symbols, sizeof k_symbols / sizeof k_symbols[0]);
}

/* One non-empty path part; the rule it breaks, or NULL. */
static const char *part_check(struct buf_view part)
{
    struct buf_reader in = buf_reader_from(part);
    uint32_t c;
    enum err e;

    if (part.size_bytes > NAME_PART_MAX)
        return WHY_LONG;
    if (part.data[0] == '.')
        return WHY_DOT;
    while ((e = utf8_read(&in, &c)) == E_OK)
        if (!is_allowed(c))
            return WHY_BYTE;
    return e == E_END ? NULL : WHY_UTF8;
}

/* The bytes before the first `stop` byte (all, when there is none). */
static struct buf_view head_until(struct buf_view view, uint8_t stop)
{
    const uint8_t *at = view.size_bytes ? memchr(view.data, stop, view.size_bytes) : NULL;

    return at ? buf_view_of(view.data, (size_t)(at - view.data)) : view;
}

static bool is_reserved(struct buf_view part)
{
    for (size_t i = 0; k_reserved[i]; i++)
        if (buf_view_equals(part, k_reserved[i]))
            return true;
    return false;
}

static const char *app_check(struct buf_view app)
{
    struct buf_reader in = buf_reader_from(app);
    struct buf_view part;
    const char *why;

    if (app.size_bytes == 0)
        return WHY_APP_EMPTY;
    for (unsigned n_parts = 1;; n_parts++) {
        part = head_until(buf_rest(&in), '/');
        if (n_parts > 2)
            return WHY_APP_PARTS;
        if (part.size_bytes == 0)
            return WHY_EMPTY_PART;
        if ((why = part_check(part)) != NULL)
            return why;
        if (n_parts == 1 && is_reserved(part))
            return WHY_RESERVED;
        buf_take(&in, part.size_bytes);
        if (in.left_bytes == 0)
            return NULL;
        buf_take(&in, 1); /* the slash; a part must follow */
    }
}

static const char *name_check(struct buf_view name)
{
    if (name.size_bytes == 0)
        return WHY_NAME_EMPTY;
    if (memchr(name.data, '/', name.size_bytes))
        return WHY_NAME_PARTS;
    return part_check(name);
}

/* The strict form: no tails. */
static enum err make(struct stream_name *out, struct buf_view app, struct buf_view name,
                     const char **why)
{
    struct stream_name made = {.app_bytes = (uint16_t)app.size_bytes};
    const char *broken = app_check(app);

    if (!broken)
        broken = name_check(name);
    if (broken) {
        *why = broken;
        return E_INVAL;
    }
    memcpy(made.text, app.data, app.size_bytes);
    made.text[app.size_bytes] = '/';
    memcpy(made.text + app.size_bytes + 1, name.data, name.size_bytes);
    *out = made;
    return E_OK;
}

enum err stream_name_make(struct stream_name *out, struct buf_view app, struct buf_view name,
                          const char **why)
{
    app = head_until(app, '?');
    name = head_until(name, '?');
    if (app.size_bytes > 1 && app.data[app.size_bytes - 1] == '/')
        app.size_bytes--;
    return make(out, app, name, why);
}

enum err stream_name_from_path(struct stream_name *out, struct buf_view path, const char **why)
{
    size_t slash = path.size_bytes;

    while (slash > 0 && path.data[slash - 1] != '/')
        slash--;
    /* slash is now one past the last '/'; an app must stand between the first and the last one */
    if (slash < 2 || path.data[0] != '/') {
        *why = WHY_PATH;
        return E_INVAL;
    }
    return make(out, buf_view_of(path.data + 1, slash - 2),
                buf_view_of(path.data + slash, path.size_bytes - slash), why);
}
