/* access.referrers: whose pages may show the streams of an app. A browser says which page it is on
 * (Referer, or Origin where it keeps that to itself); what is no browser says what it likes, so
 * this keeps other sites' pages away, not people. */
#ifndef HW_NODE_ACCESS_REFERRERS_H
#define HW_NODE_ACCESS_REFERRERS_H

#include "node/access/app_items.h"
#include "node/access/checks.h"

/* E_INVAL with *error. */
enum err referrers_read(const struct node_conf *conf, struct app_items *out,
                        struct conf_error *error);
/* May who comes from there ("" = not said) have streams of that app? */
bool referrers_allow(const struct app_items *rules, const struct stream_name *name,
                     const char *referrer);
enum access_verdict referrers_check(struct access_question *q);

#endif
