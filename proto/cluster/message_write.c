/* Struct to JSON text, by table, straight into the caller's writer: no tree is built, so that a
 * full report of thousands of streams costs its own bytes only. */
#include "proto/cluster/message.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/utf8.h"

/* Writes text as a JSON string. Bytes that are no UTF-8 become U+FFFD, so that the line stays JSON.
 */
static void write_text(struct buf_writer *out, const char *text)
{
    struct buf_reader in = buf_reader_from(buf_view_str(text));
    uint32_t code_point;

    buf_write_str(out, "\"");
    while (in.left_bytes) {
        struct buf_reader start = in;

        if (utf8_read(&in, &code_point) != E_OK) {
            buf_write_str(out, "\\ufffd");
            (void)buf_read_u8(&in);
            continue;
        }
        if (code_point < 0x20) {
            buf_printf(out, "\\u%04x", (unsigned)code_point);
            continue;
        }
        if (code_point == '"' || code_point == '\\')
            buf_write_str(out, "\\");
        buf_write(out, start.at, start.left_bytes - in.left_bytes);
    }
    buf_write_str(out, "\"");
}

static bool is_zero(const struct message_field *field, const char *from)
{
    int choice = 0;

    switch (field->kind) {
    case MESSAGE_BOOL:
        return !*(const bool *)(const void *)from;
    case MESSAGE_U32:
        return *(const uint32_t *)(const void *)from == 0;
    case MESSAGE_U64:
    case MESSAGE_U64_TEXT:
        return *(const uint64_t *)(const void *)from == 0;
    case MESSAGE_ENUM:
        memcpy(&choice, from, sizeof choice);
        return choice == 0;
    case MESSAGE_IDS:
        return ((const struct cluster_ids *)(const void *)from)->n == 0;
    default: /* texts; struct stream_name starts with its text */
        return !*from;
    }
}

static void write_ids(struct buf_writer *out, const struct cluster_ids *ids)
{
    buf_write_str(out, "[");
    for (unsigned i = 0; i < ids->n; i++)
        buf_printf(out, "%s\"%s\"", i ? "," : "", ids->id[i]); /* ids need no escapes */
    buf_write_str(out, "]");
}

static void write_value(struct buf_writer *out, const struct message_field *field, const char *from)
{
    uint64_t number;
    int choice = 0;

    switch (field->kind) {
    case MESSAGE_BOOL:
        buf_write_str(out, *(const bool *)(const void *)from ? "true" : "false");
        break;
    case MESSAGE_U32:
        buf_printf(out, "%" PRIu32, *(const uint32_t *)(const void *)from);
        break;
    case MESSAGE_U64:
        number = *(const uint64_t *)(const void *)from;
        buf_printf(out, "%" PRIu64, number < MESSAGE_MAX_NUMBER ? number : MESSAGE_MAX_NUMBER);
        break;
    case MESSAGE_U64_TEXT:
        buf_printf(out, "\"%" PRIu64 "\"", *(const uint64_t *)(const void *)from);
        break;
    case MESSAGE_ENUM:
        memcpy(&choice, from, sizeof choice);
        write_text(out, field->choices[choice]);
        break;
    case MESSAGE_IDS:
        write_ids(out, (const struct cluster_ids *)(const void *)from);
        break;
    default:
        write_text(out, from);
    }
}

void message_write(struct buf_writer *out, const struct message_table *table, const void *from,
                   bool first)
{
    for (size_t i = 0; i < table->n_fields; i++) {
        const struct message_field *field = &table->fields[i];
        const char *at = (const char *)from + field->offset;

        if (!field->required && is_zero(field, at))
            continue;
        buf_write_str(out, first ? "\"" : ",\""); /* for each key of each answer: no printf */
        buf_write_str(out, field->key);
        buf_write_str(out, "\":");
        write_value(out, field, at);
        first = false;
    }
}

void message_write_open(struct buf_writer *out)
{
    buf_printf(out, "{\"v\":%d", CLUSTER_VERSION);
}

void message_write_object(struct buf_writer *out, const char *key,
                          const struct message_table *table, const void *from)
{
    buf_printf(out, ",\"%s\":{", key);
    message_write(out, table, from, true);
    buf_write_str(out, "}");
}

void message_write_array(struct buf_writer *out, const struct message_array *array,
                         const void *items, size_t n_items)
{
    if (n_items == 0)
        return;
    buf_printf(out, ",\"%s\":[", array->key);
    for (size_t i = 0; i < n_items; i++) {
        buf_write_str(out, i ? ",{" : "{");
        message_write(out, array->table, (const char *)items + i * array->item_bytes, true);
        buf_write_str(out, "}");
    }
    buf_write_str(out, "]");
}
