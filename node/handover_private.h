/* What the files of the handover share: handover.c (link, life, the new process's side),
 * handover_old.c (the old process's side), handover_streams.c (who has what, while both are there).
 * One struct for both sides, since each new process becomes an old one. */
#ifndef HW_NODE_HANDOVER_PRIVATE_H
#define HW_NODE_HANDOVER_PRIVATE_H

#include <pthread.h>

#include "common/base/map.h"
#include "common/net/fd_link.h"
#include "node/handover.h"

#define HANDOVER_OLD_SUFFIX ".old" /* to the id of a process that was replaced, in hop lists */

enum handover_state {
    HANDOVER_ALONE,
    HANDOVER_GIVEN,    /* old: the new process has the sockets, but does not serve yet */
    HANDOVER_REPLACED, /* old: it drains */
    HANDOVER_TAKING,   /* new: waits for the sockets */
    HANDOVER_AFTER     /* new: has them; the old process is still there */
};

struct inherited {
    char name[16];
    int fd; /* owned; -1 = taken */
};

struct handover {
    struct node *node;
    struct fd_link_listener *listener; /* NULL once replaced */
    struct fd_link *link;              /* to the other process; NULL = none */
    struct timer timer;                /* how long the other process may still take */
    struct inherited inherited[N_PROTOCOLS * HANDOVER_MAX_FDS + 2]; /* admin, handover */
    unsigned n_inherited;
    char why[200]; /* TAKING: why it failed */

    pthread_mutex_t lock; /* of what follows: media loops read it, the control loop writes */
    enum handover_state state;
    struct map streams; /* AFTER, REPLACED: names that the old process has a publisher of */
    char peer_url[CLUSTER_URL_SIZE], peer_id[CLUSTER_ID_SIZE]; /* "" = not known */
};

/* handover.c */
void handover_set_state(struct handover *h, enum handover_state state);
/* One line, if there is a link. fd -1 = none; duplicated. */
void handover_say(struct handover *h, const char *word, const char *argument, int fd);

/* handover_streams.c: one of the old process's. */
void handover_note_stream(struct handover *h, const char *name, bool published);
/* handover_old.c: the stream has a publisher here, or has it no more. */
void handover_old_changed(struct handover *h, const char *name, bool published);

/* Handlers of lines. What they take of *fd they set to -1. */
void handover_on_take(struct handover *h, const char *argument, int *fd);
void handover_on_ready(struct handover *h, const char *argument, int *fd);
void handover_on_fence(struct handover *h, const char *name, int *fd);
void handover_on_relay(struct handover *h, const char *url, int *fd);
void handover_on_stream(struct handover *h, const char *name, int *fd);
void handover_on_ended(struct handover *h, const char *name, int *fd);

#endif
