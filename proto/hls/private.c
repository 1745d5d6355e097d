/* Playlists for one viewer: made of those for all. */
#include <string.h>

#include "proto/hls/hls.h"

/* Addresses of pieces in tags; those of other playlists (EXT-X-RENDITION-REPORT) stay, since
 * players compare them with what they know. */
static const char *const k_tags[] = {"#EXT-X-PART:", "#EXT-X-MAP:", "#EXT-X-PRELOAD-HINT:"};
#define URI "URI=\""

static bool begins_with(struct buf_view line, const char *text)
{
    size_t size = strlen(text);

    return line.size_bytes >= size && !memcmp(line.data, text, size);
}

/* Where the address in the line ends: the quote behind URI=", or 0. */
static size_t end_of_uri(struct buf_view line)
{
    const uint8_t *uri = memmem(line.data, line.size_bytes, URI, sizeof URI - 1), *quote;
    size_t from;

    if (!uri)
        return 0;
    from = (size_t)(uri - line.data) + sizeof URI - 1;
    quote = memchr(line.data + from, '"', line.size_bytes - from);
    return quote ? (size_t)(quote - line.data) : 0;
}

static size_t end_of_piece(struct buf_view line)
{
    if (line.size_bytes && line.data[0] != '#')
        return line.size_bytes;
    for (size_t i = 0; i < sizeof k_tags / sizeof k_tags[0]; i++)
        if (begins_with(line, k_tags[i]))
            return end_of_uri(line);
    return 0;
}

void hls_write_private(struct buf_writer *out, struct buf_view playlist, const char *args)
{
    struct buf_reader in = buf_reader_from(playlist);

    while (in.left_bytes) {
        const uint8_t *feed = memchr(in.at, '\n', in.left_bytes);
        struct buf_view line = buf_take(&in, feed ? (size_t)(feed - in.at) : in.left_bytes);
        size_t end = end_of_piece(line);

        buf_write(out, line.data, end);
        if (end)
            buf_printf(out, "%s%s", memchr(line.data, '?', end) ? "&" : "?", args);
        buf_write(out, line.data + end, line.size_bytes - end);
        if (feed)
            buf_write_u8(out, buf_read_u8(&in));
    }
}
