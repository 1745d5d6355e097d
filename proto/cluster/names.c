/* The words of the messages, the rules for ids, URLs and stream names in them, and sums. */
#include <ctype.h>
#include <string.h>

#include "proto/cluster/cluster.h"
#include "proto/cluster/message.h"

const char *const k_cluster_roles[] = {"origin", "edge", "both", NULL};
const char *const k_cluster_node_states[] = {"starting", "active", "draining", NULL};
const char *const k_cluster_duplicates[] = {"refuse", "takeover", "standby", NULL};
const char *const k_cluster_intents[] = {"play", "source", "publish", NULL};
const char *const k_cluster_decisions[] = {"serve", "pull", "redirect", "wait", "deny", NULL};

bool cluster_id_is_valid(const char *id)
{
    size_t size = 0;

    for (; id[size]; size++)
        if (size + 1 >= CLUSTER_ID_SIZE ||
            (!isalnum((unsigned char)id[size]) && !strchr("._-", id[size])))
            return false;
    return size > 0;
}

bool cluster_ids_hold(const struct cluster_ids *ids, const char *id)
{
    for (unsigned i = 0; i < ids->n; i++)
        if (strcmp(ids->id[i], id) == 0)
            return true;
    return false;
}

/* FNV-1a of the name, with the epoch in it, then mixed: nobody has to fear one who makes sums meet,
 * since what differs is only asked for again. */
uint64_t cluster_sum_toggle(uint64_t sum, const struct stream_name *name, uint64_t epoch)
{
    uint64_t h = 0xcbf29ce484222325ull ^ epoch;

    for (const char *at = name->text; *at; at++)
        h = (h ^ (unsigned char)*at) * 0x100000001b3ull;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
    return sum ^ h ^ h >> 33;
}

/* Host and port only: such an URL ends in Location headers and in what other nodes connect to, so
 * nothing that could break a header or carry a user, a path or a query is let in. */
bool message_url_is_valid(const char *url, const char *const *schemes)
{
    const char *host = strstr(url, "://");
    size_t scheme_bytes = host ? (size_t)(host - url) : 0;
    bool known = false;

    for (; host && *schemes; schemes++)
        if (strlen(*schemes) == scheme_bytes && strncmp(url, *schemes, scheme_bytes) == 0)
            known = true;
    if (!known || !host[3] || host[3] == ':')
        return false;
    for (host += 3; *host; host++)
        if (!isalnum((unsigned char)*host) && !strchr(".:[]_-", *host))
            return false;
    return true;
}

enum err message_name_from_text(struct stream_name *out, const char *text, const char **why)
{
    const char *slash = strrchr(text, '/');
    struct stream_name name;

    *why = "no slash between app and name";
    if (!slash)
        return E_INVAL;
    if (stream_name_make(&name, buf_view_of(text, (size_t)(slash - text)), buf_view_str(slash + 1),
                         why) != E_OK)
        return E_INVAL;
    *why = "a name with arguments";
    if (strcmp(name.text, text) != 0)
        return E_INVAL;
    *out = name;
    return E_OK;
}

const char *cluster_urls_http(const struct cluster_urls *urls, bool tls)
{
    return tls && *urls->https ? urls->https : urls->http;
}
