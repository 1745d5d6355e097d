/* See status.h. */
#include "node/relay/status.h"

#include <stdio.h>

#include "common/net/loop.h"

const char *const k_relay_states[RELAY_N_STATES] = {
#define X(id, name) [RELAY_##id] = name,
    RELAY_STATE_MAP(X)
#undef X
};

void relay_status_init(struct relay_status *s)
{
    pthread_mutex_init(&s->lock, NULL);
    s->facts = (struct relay_facts){.state = RELAY_IDLE, .since_us = clock_wall_us()};
}

void relay_status_fini(struct relay_status *s)
{
    pthread_mutex_destroy(&s->lock);
}

void relay_status_set(struct relay_status *s, enum relay_state state, const char *url,
                      const char *session)
{
    pthread_mutex_lock(&s->lock);
    if (s->facts.state != state)
        s->facts.since_us = clock_wall_us();
    s->facts.state = state;
    if (url)
        snprintf(s->facts.url, sizeof s->facts.url, "%s", url);
    if (session)
        snprintf(s->facts.session, sizeof s->facts.session, "%s", session);
    pthread_mutex_unlock(&s->lock);
}

void relay_status_try(struct relay_status *s, const char *url)
{
    relay_status_set(s, RELAY_CONNECTING, url, "");
    pthread_mutex_lock(&s->lock);
    s->facts.n_tries++;
    pthread_mutex_unlock(&s->lock);
}

void relay_status_error(struct relay_status *s, const char *text)
{
    pthread_mutex_lock(&s->lock);
    snprintf(s->facts.last_error, sizeof s->facts.last_error, "%s", text);
    s->facts.last_error_us = clock_wall_us();
    pthread_mutex_unlock(&s->lock);
}

void relay_status_read(struct relay_status *s, struct relay_facts *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->facts;
    pthread_mutex_unlock(&s->lock);
}
