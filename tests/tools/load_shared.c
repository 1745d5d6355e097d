/* Complaints, and RTMP clients as publishers and players both drive them. */
#include "tests/tools/load_shared.h"

#include <stdarg.h>
#include <stdio.h>

#define MAX_TOLD 8 /* a thousand lines with the same reason help nobody */

void load_tell(struct load_shared *shared, const char *format, ...)
{
    va_list args;

    if (shared->n_told++ >= MAX_TOLD)
        return;
    fputs("headwater-tool: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs(shared->n_told == MAX_TOLD ? "\nheadwater-tool: more of them are not told\n" : "\n",
          stderr);
}

enum err load_flush(struct load_shared *shared, struct conn *conn)
{
    enum err e = buf_writer_status(&shared->out);

    if (e == E_OK && shared->out.used_bytes)
        e = conn_write(conn, buf_writer_view(&shared->out));
    buf_writer_clear(&shared->out);
    return e;
}

struct rtmp_client *load_rtmp_open(struct load_shared *shared, struct conn *conn,
                                   const struct load_target *target, unsigned index, bool publish)
{
    struct load_rtmp_name name;
    struct rtmp_client_conf conf = {.publish = publish,
                                    .app = name.app,
                                    .stream = name.stream,
                                    .tc_url = name.tc_url,
                                    .limits = k_rtmp_limits_default};
    uint8_t random[1528];
    struct rtmp_client *client;

    if (load_target_rtmp(target, index, &name) != E_OK)
        return NULL;
    random_bytes(random, sizeof random);
    client = rtmp_client_create(&conf, random);
    if (!client)
        return NULL;
    rtmp_client_start(client, &shared->out);
    if (load_flush(shared, conn) != E_OK)
        rtmp_client_destroy(&client);
    return client;
}

enum err load_rtmp_feed(struct load_shared *shared, struct conn *conn, struct rtmp_client *client,
                        struct buf_reader *in, struct rtmp_client_event *event)
{
    uint32_t now_ms = (uint32_t)(loop_now_us(shared->loop) / 1000);
    enum err e = rtmp_client_feed(client, in, now_ms, event, &shared->out);
    enum err sent = load_flush(shared, conn);

    return (e == E_OK || e == E_AGAIN) && sent != E_OK ? sent : e;
}

const char *load_rtmp_why(struct load_shared *shared, const struct rtmp_client_event *event)
{
    if (!event->code.size_bytes || !buf_view_to_str(event->code, shared->why, sizeof shared->why))
        return "the server ended the stream";
    return shared->why;
}
