/* Names of records: "20261122T020600Z-000001.flv", and of what belongs to one: the segments of
 * HLS, "20261122T020600Z-000001-00001.ts". The number alone orders and tells apart: the time is
 * for people, and clocks jump. Pure. */
#ifndef HW_NODE_RECORD_NAME_H
#define HW_NODE_RECORD_NAME_H

#include "common/media/name.h"

enum record_format_id { RECORD_FLV, RECORD_TS, RECORD_MP4, RECORD_HLS, RECORD_N_FORMATS };
extern const char *const k_record_formats[RECORD_N_FORMATS + 1]; /* names, NULL-terminated */

#define RECORD_NAME_SIZE 64
#define RECORD_PART ".part" /* behind the name of what is not finished */
#define RECORD_INDEX_NAME "index.jsonl"

struct record_name {
    char time[17]; /* "20261122T020600Z" */
    uint32_t seq;  /* from 1 */
    enum record_format_id format;
    uint32_t segment; /* of RECORD_HLS, from 1; 0 = the record itself, which is the playlist */
    bool is_part;     /* with RECORD_PART */
};

/* wall_us: Unix time. */
void record_name_set_time(struct record_name *name, int64_t wall_us);
void record_name_format(const struct record_name *name, char out[RECORD_NAME_SIZE]);
/* E_INVAL: not as record_name_format() writes it. *out is written only on E_OK. */
enum err record_name_parse(const char *text, struct record_name *out);

/* Its folder would be in the way of a file: a stream of the app a/b that is called as a record of
 * the stream a/b, or as its index. It is never recorded. */
bool record_name_is_taken(const struct stream_name *stream);

/* "app/name/file" to its two parts. E_INVAL with *why (static). */
enum err record_path_split(const char *path, struct stream_name *stream, struct record_name *name,
                           const char **why);

#endif
