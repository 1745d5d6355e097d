/* TLS: nothing in a simulated cluster has certificates, or an address that begins with https. */
#include <assert.h>
#include <string.h>

#include "common/net/conn.h"
#include "common/net/tls_setup.h"

struct tls_setup {
    bool is_used;
};

struct tls_setup *tls_setup_create(struct loop *loop, const struct tls_setup_conf *conf,
                                   struct tls_error *error)
{
    static struct tls_setup setup; /* for all daemons: there is nothing in it */

    (void)loop, (void)conf, (void)error;
    return &setup;
}

void tls_setup_destroy(struct tls_setup **setup)
{
    *setup = NULL;
}

enum err tls_setup_check(const struct conf_list *certificates, struct tls_error *error)
{
    (void)certificates, (void)error; /* the former is read by the assertion alone */
    assert(certificates->n_items == 0);
    return E_OK;
}

struct tls_server *tls_setup_server(const struct tls_setup *setup, enum tls_setup_use use)
{
    (void)setup, (void)use;
    return NULL;
}

struct tls_client *tls_setup_client(const struct tls_setup *setup)
{
    (void)setup;
    return NULL;
}

void tls_setup_reload(struct tls_setup *setup, const struct tls_setup_conf *conf)
{
    (void)setup, (void)conf;
}

enum err conn_start_tls(struct conn *conn, struct tls_server *server)
{
    (void)conn, (void)server;
    assert(false && "TLS in a simulated cluster");
    return E_UNSUPPORTED;
}

enum err conn_start_tls_client(struct conn *conn, struct tls_client *client, const char *host)
{
    (void)conn, (void)client, (void)host;
    assert(false && "TLS in a simulated cluster");
    return E_UNSUPPORTED;
}

bool conn_is_tls(const struct conn *conn)
{
    (void)conn;
    return false;
}

const char *conn_tls_error(const struct conn *conn)
{
    (void)conn;
    return "";
}
