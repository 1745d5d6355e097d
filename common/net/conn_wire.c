/* OpenSSL's way to a connection's socket. Its own socket BIO would do, but cannot say two things
 * that save system calls: that more records follow at once (40 KiB to a viewer are three of them,
 * and each push into the network costs as much as the encryption of 16 KiB), and that a read was
 * short, so that the next one would find nothing. */
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include <openssl/bio.h>

#include "common/net/conn_private.h"
#include "common/net/tls_private.h"

static BIO_METHOD *g_method; /* NULL when out of memory */

static bool may_try_again(int code)
{
    return code == EAGAIN || code == EINTR;
}

static int wire_write(BIO *bio, const char *bytes, int size_bytes)
{
    const struct conn_tls *tls = BIO_get_data(bio);
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (tls->more ? MSG_MORE : 0);
    ssize_t n = send(tls->conn->fd, bytes, (size_t)size_bytes, flags);

    BIO_clear_retry_flags(bio);
    if (n < 0 && may_try_again(errno))
        BIO_set_retry_write(bio);
    return (int)n;
}

static int wire_read(BIO *bio, char *bytes, int size_bytes)
{
    struct conn_tls *tls = BIO_get_data(bio);
    ssize_t n = -1;

    BIO_clear_retry_flags(bio);
    errno = EAGAIN;
    if (!tls->drained)
        n = recv(tls->conn->fd, bytes, (size_t)size_bytes, MSG_DONTWAIT);
    if (n < 0 && may_try_again(errno))
        BIO_set_retry_read(bio);
    tls->drained = n < size_bytes;
    tls->peer_ended = n == 0;
    return (int)n;
}

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
    const struct conn_tls *tls = BIO_get_data(bio);

    (void)number, (void)pointer;
    if (command == BIO_CTRL_EOF)
        return tls->peer_ended;
    return command == BIO_CTRL_FLUSH; /* nothing is kept back; nothing else is needed */
}

static void make_method(void)
{
    int type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK;

    g_method = BIO_meth_new(type, "headwater connection");
    if (!g_method)
        return;
    BIO_meth_set_write(g_method, wire_write);
    BIO_meth_set_read(g_method, wire_read);
    BIO_meth_set_ctrl(g_method, wire_control);
}

bool conn_wire_attach(struct conn_tls *tls)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *bio;

    pthread_once(&once, make_method);
    bio = g_method ? BIO_new(g_method) : NULL;
    if (!bio)
        return false;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio); /* takes it */
    return true;
}
