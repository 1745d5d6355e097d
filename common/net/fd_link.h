/* Lines of text over a Unix socket, each maybe with a descriptor: how a process hands its listening
 * sockets to the one that replaces it. Both ends must run as the same user. Loop thread, or before
 * the loop runs. */
#ifndef HW_COMMON_NET_FD_LINK_H
#define HW_COMMON_NET_FD_LINK_H

#include "common/base/buf.h"
#include "common/net/loop.h"

#define FD_LINK_PATH_BYTES 107                     /* what sockaddr_un has room for */
#define FD_LINK_MAX_LINE_BYTES (32u << 20)         /* longer ones end the link */
#define FD_LINK_MAX_QUEUE_BYTES (4u * (32u << 20)) /* to a peer that does not read */

struct fd_link;          /* opaque: one end of a connection */
struct fd_link_listener; /* opaque */

struct fd_link_ops { /* either may close the link */
    /* line is lent; fd came with it (-1 = none) and is the owner's from now on. */
    void (*on_line)(struct fd_link *link, void *arg, struct buf_view line, int fd);
    /* The peer is gone (E_CLOSED, E_IO) or breaks the rules (E_PROTO, E_TOO_BIG, E_NOMEM). Only
     * fd_link_close() is left. Never from within fd_link_send(). */
    void (*on_end)(struct fd_link *link, void *arg, enum err why);
};

/* Listens at path, mode 0600; a socket file that nobody listens at any more is replaced. E_BUSY:
 * another process listens there; E_IO with errno. on_accept takes fd, for fd_link_create(); peers
 * of other users are refused before it (logged). Main thread at start: changes the umask for a
 * moment. */
enum err fd_link_listen(struct loop *loop, const char *path, void (*on_accept)(void *arg, int fd),
                        void *arg, struct fd_link_listener **out);
/* The same over a socket that listens already. Takes fd; NULL when out of memory. */
struct fd_link_listener *fd_link_adopt(struct loop *loop, int fd,
                                       void (*on_accept)(void *arg, int fd), void *arg);
int fd_link_listener_fd(const struct fd_link_listener *l); /* lent until close */
/* The file stays: unlink(2) it when nobody else listens. NULL is fine. */
void fd_link_listener_close(struct fd_link_listener **l);

/* Takes fd, a connected Unix socket; ops and arg are borrowed until close. NULL: out of memory. */
struct fd_link *fd_link_create(struct loop *loop, int fd, const struct fd_link_ops *ops, void *arg);
/* Connects now. E_NOT_FOUND: nobody listens at path; E_DENIED: it is another user's; E_IO with
 * errno, E_NOMEM. */
enum err fd_link_connect(struct loop *loop, const char *path, const struct fd_link_ops *ops,
                         void *arg, struct fd_link **out);
/* NULL is fine. What is queued is lost. */
void fd_link_close(struct fd_link **link);
/* Copies line (which holds no newline) and duplicates fd (-1 = none). E_TOO_BIG, E_CLOSED, E_IO,
 * E_NOMEM: only closing is left. */
enum err fd_link_send(struct fd_link *link, struct buf_view line, int fd);

#endif
