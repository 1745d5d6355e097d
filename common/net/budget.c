/* Connection budget. */
#include "common/net/budget.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/map.h"

#define SAY_EVERY_US 1000000

struct conn_budget {
    pthread_mutex_t lock;
    uint64_t max_total, max_per_ip;
    uint64_t n_used;
    struct map by_ip; /* address -> count; also while there is no limit: a reload may set one */
    int64_t said_us;
};

struct conn_budget *conn_budget_create(uint64_t max_total, uint64_t max_per_ip)
{
    struct conn_budget *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    pthread_mutex_init(&b->lock, NULL);
    map_init(&b->by_ip);
    b->max_total = max_total;
    b->max_per_ip = max_per_ip;
    b->said_us = -SAY_EVERY_US;
    return b;
}

void conn_budget_destroy(struct conn_budget **budget)
{
    struct conn_budget *b = *budget;
    struct map_cursor cursor = {0};
    const char *key;
    void *value;

    *budget = NULL;
    if (!b)
        return;
    while (map_next(&b->by_ip, &cursor, &key, &value))
        free(value);
    map_fini(&b->by_ip);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

void conn_budget_set(struct conn_budget *budget, uint64_t max_total, uint64_t max_per_ip)
{
    pthread_mutex_lock(&budget->lock);
    budget->max_total = max_total;
    budget->max_per_ip = max_per_ip;
    pthread_mutex_unlock(&budget->lock);
}

/* E_LIMIT when the address has all it may have. */
static enum err take_of_ip(struct conn_budget *b, const struct addr *peer, bool is_limited)
{
    char key[ADDR_KEY_SIZE];
    uint64_t *count;

    addr_client_key(peer, key);
    count = map_get(&b->by_ip, key);
    if (is_limited && b->max_per_ip && count && *count >= b->max_per_ip)
        return E_LIMIT;
    if (!count) {
        count = calloc(1, sizeof *count);
        if (!count || map_set(&b->by_ip, key, count) != E_OK) {
            free(count);
            return E_OK; /* not counted is better than not served */
        }
    }
    (*count)++;
    return E_OK;
}

enum budget_answer conn_budget_take(struct conn_budget *budget, const struct addr *peer,
                                    bool is_proxy, uint64_t *limit, bool *say)
{
    enum budget_answer answer = BUDGET_OK;
    int64_t now_us = clock_mono_us();

    pthread_mutex_lock(&budget->lock);
    if (budget->max_total && budget->n_used >= budget->max_total) {
        answer = BUDGET_TOTAL;
        *limit = budget->max_total;
    } else if (take_of_ip(budget, peer, !is_proxy) != E_OK) {
        answer = BUDGET_PER_IP;
        *limit = budget->max_per_ip;
    } else {
        budget->n_used++;
    }
    *say = answer != BUDGET_OK && now_us - budget->said_us >= SAY_EVERY_US;
    if (*say)
        budget->said_us = now_us;
    pthread_mutex_unlock(&budget->lock);
    return answer;
}

enum budget_answer conn_budget_admit(struct conn_budget *budget, int fd, const struct addr *peer,
                                     bool is_proxy, const char *area,
                                     const struct budget_words *words)
{
    uint64_t limit = 0;
    bool say = false;
    char text[ADDR_TEXT_SIZE];
    enum budget_answer answer = conn_budget_take(budget, peer, is_proxy, &limit, &say);

    if (answer == BUDGET_OK)
        return answer;
    if (say)
        log_warn(area, "msg=\"connection refused\" peer=%s reason=\"%s\" limit=%llu",
                 addr_format(peer, text), answer == BUDGET_TOTAL ? words->total : words->per_ip,
                 (unsigned long long)limit);
    close(fd);
    return answer;
}

/* Under the lock. */
static void give_of_ip(struct conn_budget *b, const struct addr *peer)
{
    char key[ADDR_KEY_SIZE];
    uint64_t *count;

    addr_client_key(peer, key);
    count = map_get(&b->by_ip, key);
    if (count && --*count == 0) {
        map_remove(&b->by_ip, key);
        free(count);
    }
}

bool conn_budget_is_full(struct conn_budget *budget, const struct addr *peer)
{
    const uint64_t *count;
    char key[ADDR_KEY_SIZE];
    bool is_full;

    addr_client_key(peer, key);
    pthread_mutex_lock(&budget->lock);
    count = map_get(&budget->by_ip, key);
    is_full = budget->max_per_ip && count && *count >= budget->max_per_ip;
    pthread_mutex_unlock(&budget->lock);
    return is_full;
}

void conn_budget_move(struct conn_budget *budget, const struct addr *from, const struct addr *to)
{
    pthread_mutex_lock(&budget->lock);
    give_of_ip(budget, from);
    (void)take_of_ip(budget, to, false);
    pthread_mutex_unlock(&budget->lock);
}

void conn_budget_give(struct conn_budget *budget, const struct addr *peer)
{
    pthread_mutex_lock(&budget->lock);
    budget->n_used--;
    give_of_ip(budget, peer);
    pthread_mutex_unlock(&budget->lock);
}

uint64_t conn_budget_used(struct conn_budget *budget)
{
    uint64_t n_used;

    pthread_mutex_lock(&budget->lock);
    n_used = budget->n_used;
    pthread_mutex_unlock(&budget->lock);
    return n_used;
}
