/* Rules per app: which credentials let in who wants to publish, and who wants to play.
 * Items of access.rules: "live publish=key|sign play=open", "* play=jwt|user". The first rule whose
 * app is that of the stream ("*": any) counts; without one, publish.open and play.open do. */
#ifndef HW_NODE_ACCESS_RULES_H
#define HW_NODE_ACCESS_RULES_H

#include "common/base/conf_item.h"
#include "node/access/access.h"

/* Ways in; methods.c has the table behind them. */
enum access_method {
    METHOD_OPEN, /* anybody */
    METHOD_SIGN, /* a signed URL */
    METHOD_LAL,  /* lal_secret */
    METHOD_KEY,  /* a stream key */
    METHOD_JWT,
    METHOD_USER, /* a password, by HTTP Basic */
    METHOD_HOOK, /* a gate hook says so */
    N_METHODS
};
extern const char *const k_access_methods[N_METHODS];

struct access_rule {
    char *app; /* "*" = any */
    struct conf_list publish, play;
    unsigned methods[ACCESS_N_ACTIONS]; /* 1 << enum access_method; 0 = closed */
    bool is_said[ACCESS_N_ACTIONS];     /* else as publish.open and play.open say */
};

struct access_rules {
    struct access_rule *rules; /* owned */
    size_t n;
};

extern const struct conf_schema k_access_rule_schema;

/* Pair with access_rules_free(). E_INVAL with the reason in *error. */
enum err access_rules_make(const struct conf_list *texts, struct access_rules *out,
                           struct conf_error *error);
void access_rules_free(struct access_rules *rules);
/* False: no rule says anything, *methods is untouched. */
bool access_rules_find(const struct access_rules *rules, enum access_action action,
                       const struct stream_name *name, unsigned *methods);

#endif
