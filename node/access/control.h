/* What a node has for access: made and changed on the control loop. */
#ifndef HW_NODE_ACCESS_CONTROL_H
#define HW_NODE_ACCESS_CONTROL_H

#include "node/access/book.h"
#include "node/access/cache.h"
#include "node/access/grant.h"
#include "node/access/guess.h"
#include "node/access/stream_keys.h"
#include "node/access/worker.h"

struct node;
struct settings;

struct access {
    struct node *node;
    struct access_book *book; /* owned reference; changed while all loops stand still */
    struct access_cache *cache;
    struct access_worker *tokens, *passwords; /* apart: who guesses passwords holds up no token */
    struct access_guesses guesses;
    struct access_grants grants; /* changed while all loops stand still */
    struct stream_keys *stream_keys;
    struct timer timer; /* looks whether a file has changed */
    uint64_t stamp, n_books;
};

/* Before loops run. Returns NULL with the reason in *error. */
struct access *access_create(struct node *node, struct conf_error *error);
/* All loops have ended, and are not destroyed. */
void access_destroy(struct access **access);
/* The configuration, the tokens or a file is another one. What cannot be used leaves what was. */
void access_reload(struct access *access);
/* Stream keys: owns SETTING_STREAM_KEY. key_settings.c */
void access_own_settings(struct access *access, struct settings *settings);
/* Says at the start what is open to everybody. */
void access_say_open(const struct access *access);

#endif
