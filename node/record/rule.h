/* Rules: which streams are recorded, and how. An item of record.rules, and of the API. */
#ifndef HW_NODE_RECORD_RULE_H
#define HW_NODE_RECORD_RULE_H

#include "common/base/conf.h"
#include "node/record/name.h"

struct record_rule { /* k_record_rule_schema */
    char *streams;   /* "app/name", "app" or "app/" and "*": all of it, "app/cam*", "*": all */
    struct conf_list formats;
    uint64_t split_s, split_bytes; /* 0 = never */
    uint64_t segment_s;            /* of HLS */
    bool relayed;                  /* also streams that come from another node */
};
extern const struct conf_schema k_record_rule_schema;

/* What the schema cannot say. E_INVAL with *why (static). */
enum err record_rule_check(const struct record_rule *rule, const char **why);
bool record_rule_matches(const struct record_rule *rule, const struct stream_name *stream);

/* How one stream is recorded: a rule made of plain numbers. */
struct record_plan {
    unsigned formats; /* 1 << enum record_format_id; 0 = not at all */
    int64_t split_us, segment_us;
    uint64_t split_bytes;
    bool relayed;
};
struct record_plan record_rule_plan(const struct record_rule *rule);

#endif
