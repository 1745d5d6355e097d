/* See view.h. */
#include "node/compat/view.h"

#include <stdlib.h>
#include <string.h>

#include "node/control/gather.h"

#define FIRST_ROOM 64u

bool compat_is_meant(const struct stream_name *name, const char *said)
{
    return !*said || !strcmp(name->text, said) || !strcmp(stream_name_part(name), said);
}

bool compat_is_called(const char *stream, const char *said)
{
    const char *part = strrchr(stream, '/');

    return part && (!*said || !strcmp(stream, said) || !strcmp(part + 1, said));
}

bool compat_is_shown(const struct session_info *info)
{
    static const char *const k_kinds[] = {"publish", "pull", "play"};

    if (!strcmp(info->kind, "play") && !strcmp(info->protocol, "relay"))
        return false;
    for (size_t i = 0; i < sizeof k_kinds / sizeof k_kinds[0]; i++)
        if (!strcmp(info->kind, k_kinds[i]))
            return true;
    return false;
}

/* Room for one more of a growing array; NULL: it is full (cut), or out of memory (failed). */
static void *add(struct compat_view *view, void **items, size_t *n, size_t *room, size_t item_bytes,
                 size_t most)
{
    if (*n == most) {
        view->is_cut = true;
        return NULL;
    }
    if (*n == *room) {
        size_t more = *room ? *room * 2 : FIRST_ROOM;
        void *grown = realloc(*items, more * item_bytes);

        if (!grown) {
            view->failed = E_NOMEM;
            return NULL;
        }
        *items = grown;
        *room = more;
    }
    return (char *)*items + (*n)++ * item_bytes;
}

struct collecting {
    struct compat_view *view;
    const char *said;
};

static void add_stream(struct stream *stream, void *arg)
{
    const struct collecting *c = arg;
    struct compat_view *v = c->view;
    void *items = v->streams;
    struct compat_stream *item;

    if (!compat_is_meant(stream_name_of(stream), c->said))
        return;
    item = add(v, &items, &v->n_streams, &v->max_streams, sizeof *item, COMPAT_MAX_STREAMS);
    v->streams = items;
    if (!item)
        return;
    stream_get_info(stream, &item->info);
    stream_get_picture(stream, &item->width, &item->height);
}

static void add_session(const struct session_info *info, const struct collecting *c)
{
    struct compat_view *v = c->view;
    struct session_counts counts = {0};
    void *items = v->sessions;
    struct compat_session *item;

    if (!compat_is_shown(info) || !compat_is_called(info->stream, c->said))
        return;
    item = add(v, &items, &v->n_sessions, &v->max_sessions, sizeof *item, COMPAT_MAX_SESSIONS);
    v->sessions = items;
    if (!item)
        return;
    if (info->count)
        info->count(info, &counts);
    *item = (struct compat_session){.protocol = info->protocol,
                                    .kind = info->kind,
                                    .age_us = clock_mono_us() - info->since_us,
                                    .bytes_in = counts.bytes_in,
                                    .bytes_out = counts.bytes_out};
    memcpy(item->id, info->id, sizeof item->id);
    (void)buf_view_to_str(buf_view_str(info->stream), item->stream, sizeof item->stream);
    (void)buf_view_to_str(buf_view_str(info->peer), item->peer, sizeof item->peer);
}

void compat_view_collect(struct compat_view *view, struct media_loop *ml, const char *said)
{
    struct collecting c = {view, said};
    struct list *node, *tmp;

    gather_each_stream(ml, add_stream, &c);
    list_for_each_safe(node, tmp, &ml->sessions)
        add_session(list_entry(node, struct session_info, node), &c);
}

static int compare_streams(const void *a, const void *b)
{
    const struct compat_stream *x = a, *y = b;

    return strcmp(x->info.name.text, y->info.name.text);
}

static int compare_sessions(const void *a, const void *b)
{
    const struct compat_session *x = a, *y = b;
    int order = strcmp(x->stream, y->stream);

    return order ? order : strcmp(x->id, y->id);
}

void compat_view_finish(struct compat_view *view)
{
    if (view->n_streams)
        qsort(view->streams, view->n_streams, sizeof *view->streams, compare_streams);
    if (view->n_sessions)
        qsort(view->sessions, view->n_sessions, sizeof *view->sessions, compare_sessions);
}

void compat_view_fini(struct compat_view *view)
{
    free(view->streams);
    free(view->sessions);
    *view = (struct compat_view){0};
}

const struct compat_session *compat_view_sessions(const struct compat_view *view,
                                                  const char *stream, size_t *n)
{
    size_t low = 0, high = view->n_sessions;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(view->sessions[mid].stream, stream) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (*n = 0; low + *n < view->n_sessions; ++*n)
        if (strcmp(view->sessions[low + *n].stream, stream) != 0)
            break;
    return view->sessions + low;
}
