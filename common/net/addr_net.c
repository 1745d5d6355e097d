/* Networks as prefixes, and sets of them: sorted by length, then by address, so that those of one
 * length that hold an address lie side by side. */
#include "common/net/addr_net.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V4_BITS 32u
#define V6_BITS 128u
#define MAPPED_BITS (V6_BITS - V4_BITS) /* of ::ffff:0:0 */

/* --- one --- */

static unsigned max_bits(bool is_v4)
{
    return is_v4 ? V4_BITS : V6_BITS;
}

/* Keeps the first n_bits. */
static void cut(uint8_t bytes[16], unsigned n_bits)
{
    unsigned whole = n_bits / 8;

    if (n_bits % 8) {
        bytes[whole] = (uint8_t)(bytes[whole] & 0xff << (8 - n_bits % 8));
        whole++;
    }
    memset(bytes + whole, 0, 16 - whole);
}

static void unmap(struct addr_net *net)
{
    static const uint8_t k_mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (net->is_v4 || net->n_bits < MAPPED_BITS || memcmp(net->bytes, k_mapped, sizeof k_mapped))
        return;
    memmove(net->bytes, net->bytes + 12, 4);
    memset(net->bytes + 4, 0, 12);
    net->n_bits = (uint8_t)(net->n_bits - MAPPED_BITS);
    net->is_v4 = true;
}

/* The address alone; false where it has no family that we know. */
static bool from_addr(struct addr_net *out, const struct addr *addr)
{
    *out = (struct addr_net){.n_bits = V6_BITS};
    if (addr->storage.ss_family == AF_INET) {
        memcpy(out->bytes, &addr->storage.v4.sin_addr, 4);
        out->n_bits = V4_BITS;
        out->is_v4 = true;
        return true;
    }
    if (addr->storage.ss_family != AF_INET6)
        return false;
    memcpy(out->bytes, &addr->storage.v6.sin6_addr, 16);
    unmap(out);
    return true;
}

static bool parse_bits(const char *text, unsigned max, uint8_t *out)
{
    size_t n = strlen(text);
    unsigned value = 0;

    if (n < 1 || n > 3)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (unsigned)(*text - '0');
    }
    *out = (uint8_t)value;
    return value <= max;
}

enum err addr_net_parse(struct addr_net *out, const char *text)
{
    struct addr_net net = {.n_bits = 0};
    size_t size = strcspn(text, "/");
    char host[INET6_ADDRSTRLEN];

    if (size >= sizeof host)
        return E_INVAL;
    memcpy(host, text, size);
    host[size] = '\0';
    net.is_v4 = inet_pton(AF_INET, host, net.bytes) == 1;
    if (!net.is_v4 && inet_pton(AF_INET6, host, net.bytes) != 1)
        return E_INVAL;
    net.n_bits = (uint8_t)max_bits(net.is_v4);
    if (text[size] && !parse_bits(text + size + 1, net.n_bits, &net.n_bits))
        return E_INVAL;
    cut(net.bytes, net.n_bits);
    unmap(&net);
    *out = net;
    return E_OK;
}

const char *addr_net_format(const struct addr_net *net, char text[ADDR_NET_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "";

    inet_ntop(net->is_v4 ? AF_INET : AF_INET6, net->bytes, host, sizeof host);
    if (net->n_bits == max_bits(net->is_v4))
        snprintf(text, ADDR_NET_TEXT_SIZE, "%s", host);
    else
        snprintf(text, ADDR_NET_TEXT_SIZE, "%s/%u", host, (unsigned)net->n_bits);
    return text;
}

bool addr_net_contains(const struct addr_net *net, const struct addr *addr)
{
    struct addr_net one;

    if (!from_addr(&one, addr) || one.is_v4 != net->is_v4)
        return false;
    cut(one.bytes, net->n_bits);
    return memcmp(one.bytes, net->bytes, sizeof one.bytes) == 0;
}

/* --- many --- */

struct entry {
    struct addr_net net;
    size_t index; /* as it was given */
};

struct run { /* the networks of one family and length */
    size_t begin, end;
};

struct addr_nets {
    size_t n_runs;
    struct run runs[V4_BITS + V6_BITS + 2];
    struct entry entries[];
};

static int compare_nets(const struct addr_net *a, const struct addr_net *b)
{
    if (a->is_v4 != b->is_v4)
        return a->is_v4 ? -1 : 1;
    if (a->n_bits != b->n_bits) /* the longest first */
        return a->n_bits > b->n_bits ? -1 : 1;
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = compare_nets(&x->net, &y->net);

    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static bool is_same_run(const struct addr_net *a, const struct addr_net *b)
{
    return a->is_v4 == b->is_v4 && a->n_bits == b->n_bits;
}

struct addr_nets *addr_nets_create(const struct addr_net *nets, size_t n_nets)
{
    struct addr_nets *set = calloc(1, sizeof *set + n_nets * sizeof set->entries[0]);

    if (!set)
        return NULL;
    for (size_t i = 0; i < n_nets; i++)
        set->entries[i] = (struct entry){nets[i], i};
    if (n_nets)
        qsort(set->entries, n_nets, sizeof set->entries[0], compare_entries);
    for (size_t i = 0; i < n_nets; i++) {
        if (!i || !is_same_run(&set->entries[i].net, &set->entries[i - 1].net))
            set->runs[set->n_runs++].begin = i;
        set->runs[set->n_runs - 1].end = i + 1;
    }
    return set;
}

void addr_nets_destroy(struct addr_nets **nets)
{
    free(*nets);
    *nets = NULL;
}

/* The first of the run that is not below the network. */
static size_t lower_bound(const struct addr_nets *set, const struct run *run,
                          const struct addr_net *wanted)
{
    size_t begin = run->begin, end = run->end;

    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;

        if (compare_nets(&set->entries[middle].net, wanted) < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

void addr_nets_find(const struct addr_nets *nets, const struct addr *addr,
                    bool (*each)(void *arg, size_t index), void *arg)
{
    struct addr_net one;

    if (!nets || !nets->n_runs || !from_addr(&one, addr))
        return;
    for (size_t i = 0; i < nets->n_runs; i++) {
        const struct run *run = &nets->runs[i];
        struct addr_net wanted = one;

        if (nets->entries[run->begin].net.is_v4 != one.is_v4)
            continue;
        wanted.n_bits = nets->entries[run->begin].net.n_bits;
        cut(wanted.bytes, wanted.n_bits);
        for (size_t k = lower_bound(nets, run, &wanted); k < run->end; k++) {
            if (compare_nets(&nets->entries[k].net, &wanted) != 0)
                break;
            if (!each(arg, nets->entries[k].index))
                return;
        }
    }
}
