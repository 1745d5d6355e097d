/* See selection.h. */
#include "node/session/selection.h"

#include <string.h>

#include "proto/http/http.h"

#define VALUE_SIZE 16

static void only_audio(struct play_selection *selection)
{
    selection->tracks = TRACKS_AUDIO;
}

static void only_video(struct play_selection *selection)
{
    selection->tracks = TRACKS_VIDEO;
}

static void all_tracks(struct play_selection *selection)
{
    selection->tracks = TRACKS_ALL;
}

static void old_hevc(struct play_selection *selection)
{
    selection->old_hevc = true;
}

static const struct {
    const char *key, *value;
    void (*apply)(struct play_selection *selection);
} k_rows[] = {
    {"only", "audio", only_audio},
    {"only", "video", only_video},
    {"tracks", "all", all_tracks},
    {"hevc", "12", old_hevc},
};
#define N_ROWS (sizeof k_rows / sizeof k_rows[0])

static bool apply(const char *key, const char *value, struct play_selection *out)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strcmp(k_rows[i].key, key) != 0 || strcmp(k_rows[i].value, value) != 0)
            continue;
        k_rows[i].apply(out);
        return true;
    }
    return false;
}

bool play_selection_read(struct buf_view query, struct play_selection *out, const char **why)
{
    static const char *const k_keys[] = {"tracks", "only", "hevc"};

    *out = (struct play_selection){.tracks = TRACKS_DEFAULT};
    for (size_t i = 0; i < sizeof k_keys / sizeof k_keys[0]; i++) {
        char value[VALUE_SIZE];
        enum err e = http_query_get(query, k_keys[i], value, sizeof value);

        if (e == E_NOT_FOUND || (e == E_OK && apply(k_keys[i], value, out)))
            continue;
        *why = "allowed are only=audio, only=video, tracks=all and hevc=12";
        return false;
    }
    return true;
}
