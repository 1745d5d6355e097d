/* The forms in which a stream is played over HTTP: a row each. */
#include <string.h>

#include "node/control/node_metrics.h"
#include "node/session/http_play.h"
#include "proto/flv/flv.h"

#define FORM(id, name, suffix, asked, letter, websocket, format, type, head)                       \
    {                                                                                              \
        name, suffix, asked, letter, websocket, format, type, head, &m_sessions_total_##id##_play, \
            &m_bytes_out_##id                                                                      \
    }

static const struct play_form k_forms[] = {
    FORM(flv, "flv", ".flv", "flv", 'f', false, FORMAT_FLV, "video/x-flv", flv_write_file_header),
    FORM(ts, "ts", ".ts", "ts", 't', false, FORMAT_TS, "video/mp2t", NULL),
    FORM(mp4, "mp4", ".mp4", "mp4", 'm', false, FORMAT_MP4, "video/mp4", NULL),
    FORM(ws_flv, "ws-flv", ".flv", "flv", 'w', true, FORMAT_WS_FLV, NULL, flv_write_file_header),
    FORM(ws_ts, "ws-ts", ".ts", "ts", 'w', true, FORMAT_WS_TS, NULL, NULL),
    FORM(ws_mp4, "ws-mp4", ".mp4", "mp4", 'w', true, FORMAT_WS_MP4, NULL, NULL),
};

const struct play_form k_relay_form = FORM(relay, "relay", ".flv", "flv", 'n', false, FORMAT_RELAY,
                                           "video/x-flv", flv_write_file_header);

const struct play_form *play_form_of(const char *path, bool websocket, size_t *name_bytes)
{
    size_t size = strlen(path);

    for (size_t i = 0; i < sizeof k_forms / sizeof k_forms[0]; i++) {
        const struct play_form *form = &k_forms[i];
        size_t suffix = strlen(form->suffix);

        if (form->websocket == websocket && size > suffix &&
            !strcmp(path + size - suffix, form->suffix)) {
            *name_bytes = size - suffix;
            return form;
        }
    }
    return NULL;
}
