/* What lal says of streams and sessions, in its words: fields, names and forms. Pure. Private to
 * node/compat. */
#ifndef HW_NODE_COMPAT_LAL_JSON_H
#define HW_NODE_COMPAT_LAL_JSON_H

#include <jansson.h>

#include "node/compat/rates.h"
#include "node/compat/view.h"

/* The versions of its API that these are the words of: clients compare them. */
#define LAL_VERSION "v0.37.4"
#define LAL_API_VERSION "v0.4.9"
#define LAL_NOTIFY_VERSION "v0.2.5"

/* Pulls are called by their stream, whoever runs them now: this and app/name is what
 * start_relay_pull answers, what groups show, and what kick_session takes. */
#define LAL_PULL_PREFIX "pull/"

/* "RTMP", "FLV", "TS", "HLS"; what lal has no word for: ours in capitals. Into out. */
#define LAL_WORD_SIZE 16
const char *lal_protocol(const char *protocol, char out[LAL_WORD_SIZE]);
/* "PUB", "SUB", "PULL". */
const char *lal_base_type(const char *kind);
/* "2006-01-02 15:04:05.999 +0000 UTC" */
#define LAL_TIME_SIZE 48
const char *lal_time(int64_t wall_us, char out[LAL_TIME_SIZE]);

/* Each returns a new reference; NULL when out of memory. */
json_t *lal_info_json(const char *node_id, int64_t started_wall_us);
/* session NULL: an object of empty fields. rates may be NULL. */
json_t *lal_session_json(const struct compat_session *session, const struct compat_rates *rates,
                         int64_t wall_us);
json_t *lal_group_json(const struct compat_stream *stream, const struct compat_session *sessions,
                       size_t n_sessions, const struct compat_rates *rates, int64_t wall_us);
/* The list of all groups; null when there is none, as lal has it. */
json_t *lal_groups_json(const struct compat_view *view, const struct compat_rates *rates,
                        int64_t wall_us);

#endif
