/* /api/v1/streams */
#include "node/control/admin_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/record/snapshot.h"

struct stream_item {
    char key[LISTING_KEY_SIZE];
    struct stream_info info;
};
_Static_assert(STREAM_NAME_SIZE <= LISTING_KEY_SIZE, "a stream name is a key");

static json_t *tracks_json(const struct stream_info *info)
{
    json_t *tracks = json_array();

    if (info->has_audio)
        json_array_append_new(tracks, json_pack("{s:s, s:s}", "kind", "audio", "codec",
                                                media_codec_name(info->codecs.audio)));
    if (info->has_video)
        json_array_append_new(tracks, json_pack("{s:s, s:s}", "kind", "video", "codec",
                                                media_codec_name(info->codecs.video)));
    return tracks;
}

static json_t *source_json(const struct stream_info *info)
{
    char upstream[sizeof info->upstream + 8];

    if (!info->live)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:s}", "kind",
                     info->kind == SOURCE_PUBLISHER ? "publish" : "pull", "protocol",
                     info->protocol, "session", info->session_id, "upstream",
                     admin_mask_url(info->upstream, upstream, sizeof upstream));
}

void admin_add_lag(json_t *json, const struct stream_info *info)
{
    bool is_known = info->lag_unc_us >= 0;

    json_object_set_new(json, "lag_us", is_known ? json_integer(info->lag_us) : json_null());
    json_object_set_new(json, "lag_uncertainty_us",
                        is_known ? json_integer(info->lag_unc_us) : json_null());
}

json_t *admin_stream_json(const struct stream_info *info)
{
    char epoch[24];
    json_t *json;

    snprintf(epoch, sizeof epoch, "%" PRIu64, info->epoch); /* above 2^53 a number loses digits */
    json = json_pack(
        "{s:s, s:b, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:I, "
        "s:{s:I, s:I, s:I}, s:I, s:I}",
        "name", info->name.text, "live", info->live, "source", source_json(info), "epoch", epoch,
        "gop", (json_int_t)info->gop, "viewers", (json_int_t)info->n_viewers, "relays",
        (json_int_t)info->n_children, "age_ms", (json_int_t)(info->age_us / 1000), "since_frame_ms",
        (json_int_t)(info->since_frame_us / 1000), "tracks", tracks_json(info), "bytes_in",
        (json_int_t)info->bytes_in, "frames", "audio", (json_int_t)info->n_frames[MEDIA_AUDIO],
        "video", (json_int_t)info->n_frames[MEDIA_VIDEO], "data",
        (json_int_t)info->n_frames[MEDIA_DATA], "rebased", (json_int_t)info->n_rebased, "clamped",
        (json_int_t)info->n_clamped);
    admin_add_lag(json, info);
    return json;
}

/* --- the list --- */

static void list_stream(struct stream *stream, void *arg)
{
    struct admin_request *request = arg;
    const char *name = stream_name_of(stream)->text;
    struct stream_item *item = listing_add(&request->listing, name);

    if (!item)
        return;
    snprintf(item->key, sizeof item->key, "%s", name);
    stream_get_info(stream, &item->info);
}

static void collect_streams(struct media_loop *ml, void *arg)
{
    gather_each_stream(ml, list_stream, arg);
}

static void answer_streams(struct admin_request *request)
{
    json_t *items = json_array();

    listing_finish(&request->listing);
    for (size_t i = 0; i < request->listing.n_items; i++) {
        const struct stream_item *item = listing_at(&request->listing, i);

        json_array_append_new(items, admin_stream_json(&item->info));
    }
    admin_respond_page(request, items);
}

void admin_list_streams(struct http_exchange *x, void *arg)
{
    struct admin_request *request = admin_request_create(arg, x);

    if (!request)
        return;
    if (!admin_read_page(request, sizeof(struct stream_item))) {
        admin_request_drop(request);
        return;
    }
    request->collect = collect_streams;
    request->answer = answer_streams;
    admin_request_run(request);
}

/* --- one stream --- */

static void collect_one(struct media_loop *ml, void *arg)
{
    struct admin_request *request = arg;

    if (stream_home(request->stream) == ml)
        trace_read_stream(request->stream, &request->read);
}

static void answer_one(struct admin_request *request)
{
    json_t *json = admin_stream_json(&request->read.info);

    json_object_set_new(json, "hops", trace_hops_json(request->admin->node, &request->read));
    admin_respond_json(request->x, json);
}

static void collect_kick(struct media_loop *ml, void *arg)
{
    struct admin_request *request = arg;

    if (stream_home(request->stream) == ml)
        stream_kick(request->stream);
    admin_kick_from_stream(ml, request);
}

static void answer_kick(struct admin_request *request)
{
    http_respond(request->x, 204, NULL, buf_view_of(NULL, 0));
}

/* NULL: answered. */
static struct admin_request *request_stream(struct admin *admin, struct http_exchange *x)
{
    const char *name = http_path_arg(x, "name");
    struct admin_request *request = admin_request_create(admin, x);

    if (!request)
        return NULL;
    request->stream = registry_find(admin->node->registry, name);
    if (request->stream)
        return request;
    http_respond_problem(x, 404, "no stream of that name on this node");
    admin_request_drop(request);
    return NULL;
}

void admin_get_stream(struct http_exchange *x, void *arg)
{
    struct admin_request *request = request_stream(arg, x);

    if (!request)
        return;
    request->collect = collect_one;
    request->answer = answer_one;
    admin_request_run(request);
}

/* A longer name is none: what is cut off is not found. */
void admin_get_snapshot(struct http_exchange *x, void *arg)
{
    char stream[STREAM_NAME_SIZE + 1];

    snprintf(stream, sizeof stream, "%s/%s", http_path_arg(x, "app"), http_path_arg(x, "name"));
    snapshots_handle(((struct admin *)arg)->node->snapshots, x, stream);
}

void admin_kick_stream(struct http_exchange *x, void *arg)
{
    struct admin_request *request = request_stream(arg, x);

    if (!request)
        return;
    request->collect = collect_kick;
    request->answer = answer_kick;
    admin_request_run(request);
}
