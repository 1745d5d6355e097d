/* Bytes that are sent as they lie: pieces of memory and of frames in a row, held by references and
 * never changed once others have them. A frame's body is not copied. */
#ifndef HW_NODE_HLS_DATA_H
#define HW_NODE_HLS_DATA_H

#include "common/media/frame.h"

struct hls_data; /* opaque; refcounted */

/* Returns a reference; NULL when out of memory. */
struct hls_data *hls_data_create(void);
struct hls_data *hls_data_ref(struct hls_data *data); /* any thread; NULL is fine */
void hls_data_unref(struct hls_data **data);          /* any thread */

/* For its maker, before others have it. What does not fit into memory makes it broken. */
void hls_data_put(struct hls_data *data, struct buf_view bytes); /* copies */
/* part: of the frame's body. */
void hls_data_put_frame(struct hls_data *data, const struct media_frame *frame,
                        struct buf_view part);
/* All of another one, which changes no more. */
void hls_data_put_data(struct hls_data *data, struct hls_data *other);
/* Its size, which is in *bytes, is taken off that when the last reference goes. */
void hls_data_count_in(struct hls_data *data, _Atomic size_t *bytes);
bool hls_data_is_broken(const struct hls_data *data);

size_t hls_data_size(const struct hls_data *data);
/* Lent as long as data is held. */
const struct buf_view *hls_data_views(const struct hls_data *data, size_t *n_views);
/* Different for each one of this process. */
uint64_t hls_data_number(const struct hls_data *data);

#endif
