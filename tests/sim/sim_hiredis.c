/* Stands in for the asynchronous part of hiredis (async.h), with its rules: callbacks in the order
 * of the commands, NULL for those without an answer when the connection ends, then onDisconnect; a
 * context freed inside a callback goes when the callback returns. Replies are parsed by hiredis. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/async.h>

#include "common/base/list.h"
#include "tests/sim/sim_redis.h"

struct context {
    redisAsyncContext ac; /* first */
    struct sim_end *end;
    redisReader *reader;
    struct list due;          /* struct due */
    redisCallbackFn *on_push; /* of SUBSCRIBE: all that comes from then on */
    void *push_data;
    bool is_connected, is_in_callback, is_ending;
};

struct due { /* a command without an answer yet */
    struct list node;
    redisCallbackFn *fn;
    void *privdata;
};

/* --- the end of a context --- */

static void call(struct context *c, redisCallbackFn *fn, void *reply, void *privdata)
{
    bool before = c->is_in_callback;

    c->is_in_callback = true;
    if (fn)
        fn(&c->ac, reply, privdata);
    c->is_in_callback = before;
}

static void destroy(struct context *c, int status)
{
    struct list *node;

    c->is_ending = true;
    while ((node = list_pop_front(&c->due))) {
        struct due *due = list_entry(node, struct due, node);

        call(c, due->fn, NULL, due->privdata);
        free(due);
    }
    if (c->on_push)
        call(c, c->on_push, NULL, c->push_data);
    if (c->ac.ev.cleanup)
        c->ac.ev.cleanup(c->ac.ev.data);
    if (c->is_connected && c->ac.onDisconnect)
        c->ac.onDisconnect(&c->ac, status);
    sim_close(&c->end);
    redisReaderFree(c->reader);
    free(c);
}

void redisAsyncFree(redisAsyncContext *ac)
{
    struct context *c = (struct context *)ac;

    if (c->is_in_callback)
        c->is_ending = true;
    else
        destroy(c, REDIS_OK);
}

/* --- what the network says --- */

static void on_open(void *arg, enum err e)
{
    struct context *c = arg;
    static char k_refused[] = "Connection refused";

    if (e != E_OK) {
        c->end = NULL;
        c->ac.err = REDIS_ERR_IO;
        c->ac.errstr = k_refused;
    }
    c->is_connected = e == E_OK;
    c->is_in_callback = true;
    if (c->ac.onConnect)
        c->ac.onConnect(&c->ac, e == E_OK ? REDIS_OK : REDIS_ERR);
    c->is_in_callback = false;
    if (e != E_OK || c->is_ending)
        destroy(c, REDIS_ERR);
}

static void take_reply(struct context *c, void *reply)
{
    struct list *node = c->on_push ? NULL : list_pop_front(&c->due);
    struct due *due = node ? list_entry(node, struct due, node) : NULL;

    if (due)
        call(c, due->fn, reply, due->privdata);
    else if (c->on_push)
        call(c, c->on_push, reply, c->push_data);
    free(due);
    freeReplyObject(reply);
}

static void on_bytes(void *arg, struct buf_view bytes)
{
    struct context *c = arg;
    void *reply = NULL;

    redisReaderFeed(c->reader, (const char *)bytes.data, bytes.size_bytes);
    while (!c->is_ending && redisReaderGetReply(c->reader, &reply) == REDIS_OK && reply)
        take_reply(c, reply);
    if (c->is_ending)
        destroy(c, REDIS_OK);
}

static void on_closed(void *arg)
{
    struct context *c = arg;
    static char k_closed[] = "Server closed the connection";

    c->end = NULL;
    c->ac.err = REDIS_ERR_EOF;
    c->ac.errstr = k_closed;
    destroy(c, REDIS_ERR);
}

static const struct sim_end_ops k_ops = {on_open, on_bytes, NULL, on_closed};

/* --- async.h --- */

redisAsyncContext *redisAsyncConnect(const char *ip, int port)
{
    struct context *c = calloc(1, sizeof *c);

    if (!c || !(c->reader = redisReaderCreate()))
        abort();
    c->ac.c.fd = -1;
    list_init(&c->due);
    c->end =
        sim_connect(sim_current(), sim_host_by_address(ip, strlen(ip)), (unsigned)port, &k_ops, c);
    sim_reset_at_close(c->end); /* redis_link.c sets it, at a socket that is not there */
    return &c->ac;
}

redisAsyncContext *redisAsyncConnectUnix(const char *path)
{
    (void)path;
    abort(); /* nobody configures one */
}

int redisAsyncSetConnectCallback(redisAsyncContext *ac, redisConnectCallback *fn)
{
    ac->onConnect = fn;
    return REDIS_OK;
}

int redisAsyncSetDisconnectCallback(redisAsyncContext *ac, redisDisconnectCallback *fn)
{
    ac->onDisconnect = fn;
    return REDIS_OK;
}

/* Takes text. */
static int send_text(struct context *c, redisCallbackFn *fn, void *privdata, char *text, int size)
{
    struct due *due;

    if (size < 0 || c->is_ending || !c->end) {
        free(text);
        return REDIS_ERR;
    }
    if (strncmp(text, "*2\r\n$9\r\nSUBSCRIBE", 17) == 0) {
        c->on_push = fn;
        c->push_data = privdata;
    } else {
        due = malloc(sizeof *due);
        if (!due)
            abort();
        *due = (struct due){.fn = fn, .privdata = privdata};
        list_push_back(&c->due, &due->node);
    }
    sim_send(c->end, buf_view_of(text, (size_t)size));
    free(text);
    return REDIS_OK;
}

int redisvAsyncCommand(redisAsyncContext *ac, redisCallbackFn *fn, void *privdata,
                       const char *format, va_list args)
{
    char *text = NULL;
    int size = redisvFormatCommand(&text, format, args);

    return send_text((struct context *)ac, fn, privdata, text, size);
}

int redisAsyncCommand(redisAsyncContext *ac, redisCallbackFn *fn, void *privdata,
                      const char *format, ...)
{
    va_list args;
    int status;

    va_start(args, format);
    status = redisvAsyncCommand(ac, fn, privdata, format, args);
    va_end(args);
    return status;
}

int redisAsyncCommandArgv(redisAsyncContext *ac, redisCallbackFn *fn, void *privdata, int argc,
                          const char **argv, const size_t *argvlen)
{
    char *text = NULL;
    int size = (int)redisFormatCommandArgv(&text, argc, argv, argvlen);

    return send_text((struct context *)ac, fn, privdata, text, size);
}

/* What the libevent adapter names; its events never fire. */
void redisAsyncHandleRead(redisAsyncContext *ac)
{
    (void)ac;
}

void redisAsyncHandleWrite(redisAsyncContext *ac)
{
    (void)ac;
}
