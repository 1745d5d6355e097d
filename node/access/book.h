/* What the configuration says of access, and what is in the files that it names: made on the
 * control loop, not changed after; media loops look it up. */
#ifndef HW_NODE_ACCESS_BOOK_H
#define HW_NODE_ACCESS_BOOK_H

#include <stdatomic.h>

#include "node/access/rules.h"
#include "node/conf.h"
#include "proto/access/jwt.h"
#include "proto/access/password.h"
#include "proto/access/sign.h"

struct access_book {
    _Atomic unsigned n_refs;
    uint64_t number; /* another one at each reading */
    struct access_rules rules;
    struct sign_keys sign; /* n 0 = none */
    char *lal_key;         /* "" = none */
    struct jwt_keys *jwt;  /* NULL = none */
    char *issuer, *audience;
    struct password_file *users; /* NULL = none */
};

/* Reads all files. Returns one reference, or NULL with the key and the reason in *error. */
struct access_book *access_book_read(const struct node_conf *conf, uint64_t number,
                                     struct conf_error *error);
struct access_book *access_book_ref(struct access_book *book);
/* Any thread. Takes *book; NULL is fine. */
void access_book_unref(struct access_book **book);
/* When the files were changed last: another number, another content. */
uint64_t access_book_stamp(const struct node_conf *conf);

#endif
