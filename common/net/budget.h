/* How many connections may be open at a time: in all, and from one address. Taken at accept, given
 * back by the connection itself when its descriptor goes. Any thread; a lock that only accept and
 * close touch. */
#ifndef HW_COMMON_NET_BUDGET_H
#define HW_COMMON_NET_BUDGET_H

#include "common/net/addr.h"

struct conn_budget; /* opaque */

/* NULL when out of memory. Limits of 0 are no limit. */
struct conn_budget *conn_budget_create(uint64_t max_total, uint64_t max_per_ip);
/* All connections are closed. */
void conn_budget_destroy(struct conn_budget **budget);
/* New limits, for a reload; what is open stays open. */
void conn_budget_set(struct conn_budget *budget, uint64_t max_total, uint64_t max_per_ip);

enum budget_answer { BUDGET_OK, BUDGET_TOTAL, BUDGET_PER_IP };
/* One connection of peer; BUDGET_OK is to be given back. *limit is the one that was met; *say is
 * true at most once a second, so that a flood of refusals does not flood the log. is_proxy: of its
 * address there may be any number, since it stands for many clients. */
enum budget_answer conn_budget_take(struct conn_budget *budget, const struct addr *peer,
                                    bool is_proxy, uint64_t *limit, bool *say);
/* The same for a connection that was just accepted: a refused one is logged, with the words for the
 * limit that was met, and closed. Takes fd unless BUDGET_OK. area is one of log_line(). */
struct budget_words {
    const char *total, *per_ip; /* static */
};
enum budget_answer conn_budget_admit(struct conn_budget *budget, int fd, const struct addr *peer,
                                     bool is_proxy, const char *area,
                                     const struct budget_words *words);
/* True when one more of this address would be above the limit. */
bool conn_budget_is_full(struct conn_budget *budget, const struct addr *peer);
/* It turned out whose connection it is: one of from is one of to, whatever the limit says. */
void conn_budget_move(struct conn_budget *budget, const struct addr *from, const struct addr *to);
void conn_budget_give(struct conn_budget *budget, const struct addr *peer);
uint64_t conn_budget_used(struct conn_budget *budget);

#endif
