/* Ways in, one credential each: a table for check_rules(). */
#ifndef HW_NODE_ACCESS_METHODS_H
#define HW_NODE_ACCESS_METHODS_H

#include "node/access/checks.h"

/* The check of rules and credentials: row of the table in checks.c. */
enum access_verdict access_check_rules(struct access_question *q);
/* Whether a rule asks for credentials of those who play. */
bool access_rules_are_personal(const struct node *node, enum access_action action,
                               const struct stream_name *name);

#endif
