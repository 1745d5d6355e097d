/* An event as JSON: one form for all who read it. */
#include "node/control/events_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/date.h"
#include "common/base/utf8.h"
#include "node/node.h"

#define MAX_TEXT_BYTES 16384u

const char *event_id_format(const struct node *node, uint64_t seq, char out[EVENT_ID_SIZE])
{
    snprintf(out, EVENT_ID_SIZE, "%" PRIx64 "-%" PRIu64, node->instance, seq);
    return out;
}

bool event_id_parse(const struct node *node, const char *text, uint64_t *seq)
{
    const char *dash = strchr(text, '-');
    char same[EVENT_ID_SIZE];
    uint64_t number;

    if (!dash)
        return false;
    number = strtoull(dash + 1, NULL, 10);
    if (strcmp(event_id_format(node, number, same), text) != 0)
        return false;
    *seq = number;
    return true;
}

enum event_id event_of_name(struct buf_view name)
{
    unsigned id = 0;

    while (id < N_EVENTS && !buf_view_equals(name, k_event_names[id]))
        id++;
    return (enum event_id)id;
}

/* Jansson takes UTF-8 alone; a flashVer may be anything. */
static json_t *repaired_text(const char *text)
{
    struct buf_reader in = buf_reader_from(buf_view_str(text));
    struct buf_writer out;
    json_t *json = NULL;

    buf_writer_init(&out, MAX_TEXT_BYTES);
    while (in.left_bytes) {
        struct buf_reader start = in;
        uint32_t code_point;

        if (utf8_read(&in, &code_point) == E_OK) {
            buf_write(&out, start.at, start.left_bytes - in.left_bytes);
        } else {
            (void)buf_take(&in, 1);
            buf_write_str(&out, "\xef\xbf\xbd");
        }
    }
    if (buf_writer_status(&out) == E_OK)
        json = json_stringn((const char *)buf_writer_view(&out).data, out.used_bytes);
    buf_writer_fini(&out);
    return json;
}

static json_t *field_json(const struct event_field *field)
{
    json_t *text;

    if (!field->text)
        return json_integer((json_int_t)field->number);
    if (field->number == EVENT_FIELD_JSON)
        return json_loads(field->text, JSON_DECODE_ANY, NULL);
    text = json_string(field->text);
    return text ? text : repaired_text(field->text);
}

json_t *event_json(const struct node *node, const struct event *event)
{
    char id[EVENT_ID_SIZE], when[DATE_SIZE];
    json_t *json;

    json = json_pack("{s:s, s:s, s:s, s:s}", "id", event_id_format(node, event->seq, id), "event",
                     k_event_names[event->id], "time", date_format(event->wall_us, when), "node",
                     node->id);
    for (unsigned i = 0; json && i < event->n_fields; i++)
        if (json_object_set_new(json, event->fields[i].key, field_json(&event->fields[i])) != 0) {
            json_decref(json);
            json = NULL;
        }
    return json;
}
