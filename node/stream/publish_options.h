/* What who lets a publisher in may set of its publish; each has a value for "as configured". */
#ifndef HW_NODE_STREAM_PUBLISH_OPTIONS_H
#define HW_NODE_STREAM_PUBLISH_OPTIONS_H

#include <stdint.h>

enum publish_record {
    PUBLISH_RECORD_RULES, /* as the rules of recording say */
    PUBLISH_RECORD_ON,    /* by its rule, or as a rule does that says nothing more */
    PUBLISH_RECORD_OFF
};

struct publish_options {
    int duplicate;        /* an enum cluster_duplicate; -1 = as configured */
    uint64_t ingress_bps; /* in place of limits.ingress_bps; 0 = as configured */
    enum publish_record record;
};
#define PUBLISH_OPTIONS_NONE ((struct publish_options){.duplicate = -1})

#endif
