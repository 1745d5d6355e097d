/* Who a request came through: Forwarded (RFC 7239) and X-Forwarded-For. */
#include <string.h>

#include "proto/http/http.h"
#include "proto/http/http_private.h"

/* Where hops are collected: the last ones are kept. */
struct found {
    struct http_hop *hops;
    unsigned n, max;
};

static void add(struct found *f, struct http_hop hop)
{
    if (f->n == f->max) {
        memmove(f->hops, f->hops + 1, (f->max - 1) * sizeof *f->hops);
        f->n--;
    }
    f->hops[f->n++] = hop;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80"; else nothing. */
static struct buf_view host_of(struct buf_view node)
{
    struct buf_view host = buf_view_of(NULL, 0);
    size_t n_colons = 0;
    unsigned port;

    for (size_t i = 0; i < node.size_bytes; i++)
        n_colons += node.data[i] == ':';
    if (node.size_bytes && node.data[0] != '[' && n_colons > 1)
        return node;
    if (http_split_host(node, &host, &port) != E_OK)
        return buf_view_of(NULL, 0);
    return host;
}

/* What is before the next separator outside of quotes, which is passed. */
static struct buf_view next_part(struct buf_reader *in, uint8_t separator)
{
    struct buf_view rest = buf_rest(in), part;
    bool is_quoted = false;
    size_t n = 0;

    for (; n < rest.size_bytes && (is_quoted || rest.data[n] != separator); n++) {
        if (is_quoted && rest.data[n] == '\\' && n + 1 < rest.size_bytes)
            n++;
        else if (rest.data[n] == '"')
            is_quoted = !is_quoted;
    }
    part = buf_take(in, n);
    if (in->left_bytes)
        (void)buf_take(in, 1);
    return http_trim(part);
}

static struct buf_view unquoted(struct buf_view value)
{
    if (value.size_bytes < 2 || value.data[0] != '"' || value.data[value.size_bytes - 1] != '"')
        return value;
    return buf_view_of(value.data + 1, value.size_bytes - 2);
}

/* for=192.0.2.60;proto=http;by=203.0.113.43 */
static struct http_hop parse_element(struct buf_view element)
{
    struct buf_reader in = buf_reader_from(element);
    struct http_hop hop = {.host = {NULL, 0}};

    while (in.left_bytes) {
        struct buf_reader pair = buf_reader_from(next_part(&in, ';'));
        struct buf_view name = http_trim(http_take_until(&pair, '='));
        struct buf_view value = unquoted(http_trim(buf_rest(&pair)));

        if (buf_view_equals_nocase(name, "for"))
            hop.host = host_of(value);
        else if (buf_view_equals_nocase(name, "proto"))
            hop.proto = value;
    }
    return hop;
}

static void add_forwarded(struct found *f, struct buf_view value)
{
    struct buf_reader in = buf_reader_from(value);

    while (in.left_bytes)
        add(f, parse_element(next_part(&in, ',')));
}

static void add_x_forwarded_for(struct found *f, struct buf_view value)
{
    struct buf_reader in = buf_reader_from(value);
    struct buf_view node;

    while (http_list_next(&in, &node))
        add(f, (struct http_hop){.host = host_of(node)});
}

static struct buf_view last_proto(const struct http_head *head)
{
    struct buf_view proto = buf_view_of(NULL, 0);

    for (unsigned i = 0; i < head->n_fields; i++) {
        struct buf_reader in = buf_reader_from(head->fields[i].value);

        if (buf_view_equals_nocase(head->fields[i].name, "X-Forwarded-Proto"))
            while (http_list_next(&in, &proto))
                ;
    }
    return proto;
}

static const struct {
    const char *name;
    void (*add)(struct found *f, struct buf_view value);
} k_fields[] = {
    [HTTP_HOPS_X_FORWARDED_FOR] = {"X-Forwarded-For", add_x_forwarded_for},
    [HTTP_HOPS_FORWARDED] = {"Forwarded", add_forwarded},
};

unsigned http_forwarded_hops(const struct http_head *head, enum http_hops_field field,
                             struct http_hop *hops, unsigned max)
{
    struct found f = {.hops = hops, .max = max};

    for (unsigned i = 0; i < head->n_fields; i++)
        if (buf_view_equals_nocase(head->fields[i].name, k_fields[field].name))
            k_fields[field].add(&f, head->fields[i].value);
    if (f.n && field == HTTP_HOPS_X_FORWARDED_FOR)
        hops[f.n - 1].proto = last_proto(head);
    return f.n;
}
