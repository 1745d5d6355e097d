/* Error codes of the whole project. One list makes the enum, the names and the texts. */
#ifndef HW_COMMON_BASE_ERR_H
#define HW_COMMON_BASE_ERR_H

#define ERR_MAP(X)                                      \
    X(E_OK, 0, "ok")                                    \
    X(E_AGAIN, -1, "need more bytes")                   \
    X(E_PROTO, -2, "peer broke the protocol")           \
    X(E_TOO_BIG, -3, "size above the configured limit") \
    X(E_NOMEM, -4, "out of memory")                     \
    X(E_INVAL, -5, "invalid value")                     \
    X(E_NOT_FOUND, -6, "not found")                     \
    X(E_BUSY, -7, "already in use")                     \
    X(E_CLOSED, -8, "closed by the peer")               \
    X(E_IO, -9, "input/output error")                   \
    X(E_TIMEOUT, -10, "timed out")                      \
    X(E_DENIED, -11, "refused by policy")               \
    X(E_UNSUPPORTED, -12, "not supported")              \
    X(E_LIMIT, -13, "configured limit reached")         \
    X(E_STALE, -14, "superseded by a newer owner")      \
    X(E_END, -15, "ended")                              \
    X(E_SLOW, -16, "peer too slow")

enum err {
#define ERR_ENUM(name, value, text) name = value,
    ERR_MAP(ERR_ENUM)
#undef ERR_ENUM
};

/* Static strings: "E_PROTO" and "peer broke the protocol". Any thread. Never NULL. */
const char *err_name(enum err e);
const char *err_text(enum err e);

#endif
