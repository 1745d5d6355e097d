/* What the node says of itself: health, /api/v1/node, /api/v1/config. */
#include "node/control/admin_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "node/cluster/agent.h"
#include "node/hooks/hooks.h"

static const char *cluster_text(const struct node *node)
{
    char reason[AGENT_REFUSAL_SIZE];

    if (!node->agent)
        return "none";
    if (agent_is_refused(node->agent, reason))
        return "refused";
    return agent_is_connected(node->agent) ? "connected" : "disconnected";
}

void node_handle_healthz(struct http_exchange *x, void *arg)
{
    const struct node *node = arg;
    char text[120];
    int size =
        snprintf(text, sizeof text,
                 "{\"status\":\"alive\",\"instance\":\"%" PRIu64 "\",\"replaces\":\"%" PRIu64 "\"}",
                 node->instance, node->replaces);

    http_respond(x, 200, "application/json", buf_view_of(text, (size_t)size));
}

void node_handle_readyz(struct http_exchange *x, void *arg)
{
    const struct node *node = arg;
    bool draining = atomic_load(&node->draining);
    char reason[AGENT_REFUSAL_SIZE] = "";
    bool refused = node->agent && agent_is_refused(node->agent, reason);
    json_t *json = json_pack("{s:s, s:s}", "status",
                             draining  ? "draining"
                             : refused ? "refused"
                                       : "ready",
                             "cluster", cluster_text(node));

    if (refused)
        json_object_set_new(json, "reason", json_string(reason));
    api_respond_json(x, draining || refused ? 503 : 200, json);
}

/* --- /api/v1/hooks --- */

void admin_list_hooks(struct http_exchange *x, void *arg)
{
    const struct admin *admin = arg;

    admin_respond_json(x, json_pack("{s:o, s:n}", "items", hooks_json(admin->node->hooks), "next"));
}

/* --- what may be shown --- */

const char *admin_mask_url(const char *text, char *out, size_t size)
{
    const char *host = strstr(text, "://");
    const char *path, *at;

    if (!host) {
        snprintf(out, size, "%s", text);
        return out;
    }
    host += 3;
    path = host + strcspn(host, "/?#");
    at = memrchr(host, '@', (size_t)(path - host));
    snprintf(out, size, "%.*s%s%.*s%s", (int)(host - text), text, at ? "***@" : "",
             (int)(path - (at ? at + 1 : host)), at ? at + 1 : host, *path ? "/***" : "");
    return out;
}

/* Keys whose values are secrets: what they are called, or end in. Names of files are none. */
static bool is_secret_key(const char *key, size_t key_bytes)
{
    static const char *const k_words[] = {"secret", "password", "passwd", "token", "key", "hash"};

    for (size_t i = 0; i < sizeof k_words / sizeof k_words[0]; i++) {
        size_t size = strlen(k_words[i]);

        if (key_bytes >= size && !strncasecmp(key + key_bytes - size, k_words[i], size))
            return true;
    }
    return false;
}

static void write_shown(struct buf_writer *out, const char *word)
{
    const char *equals = strchr(word, '='), *url = strstr(word, "://");
    char masked[1024];

    if (equals && (!url || equals < url) && is_secret_key(word, (size_t)(equals - word)))
        buf_printf(out, "%.*s=***", (int)(equals - word), word);
    else
        buf_write_str(out, admin_mask_url(word, masked, sizeof masked));
}

/* The words of it, each by itself: items of lists are "value key=value ...". */
json_t *admin_shown_text(const char *text)
{
    struct buf_writer out;
    json_t *json = NULL;
    char word[1024];

    buf_writer_init(&out, 65536);
    while (*text) {
        size_t size = strcspn(text, " ");

        snprintf(word, sizeof word, "%.*s", (int)size, text);
        write_shown(&out, word);
        text += size;
        if (*text)
            buf_write_u8(&out, (uint8_t)*text++);
    }
    if (buf_writer_status(&out) == E_OK)
        json = json_stringn(out.used_bytes ? (const char *)out.data : "", out.used_bytes);
    buf_writer_fini(&out);
    return json;
}

/* --- /api/v1/node --- */

static json_t *addr_json(const struct addr *addr)
{
    char text[ADDR_TEXT_SIZE];

    return addr->size_bytes ? json_string(addr_format(addr, text)) : json_null();
}

static json_t *node_json(const struct admin *admin)
{
    const struct node *node = admin->node;
    char instance[24];

    snprintf(instance, sizeof instance, "%" PRIu64, node->instance);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, "
        "s:{s:o, s:o, s:o, s:o, s:o}, s:{s:s, s:o}}",
        "id", node->id, "instance", instance, "version", HW_VERSION, "role",
        k_cluster_roles[node->conf.cluster_role], "zone", node->conf.cluster_zone, "state",
        atomic_load(&node->draining) ? "draining" : "active", "uptime_ms",
        (json_int_t)((clock_mono_us() - admin->started_us) / 1000), "loops",
        (json_int_t)node->n_loops, "connections", (json_int_t)conn_budget_used(node->budget),
        "listen", "rtmp", addr_json(&node->bound[PROTOCOL_RTMP]), "http",
        addr_json(&node->bound[PROTOCOL_HTTP]), "rtmps", addr_json(&node->bound[PROTOCOL_RTMPS]),
        "https", addr_json(&node->bound[PROTOCOL_HTTPS]), "admin", addr_json(&node->admin_addr),
        "cluster", "state", cluster_text(node), "schedulers",
        conf_list_to_json(&node->conf.cluster_schedulers, admin_shown_text));
}

void admin_get_node(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;

    admin_respond_json(x, node_json(admin));
}

/* --- drain --- */

/* For this node alone; the scheduler's API takes any id. */
static bool is_this_node(struct admin *admin, struct http_exchange *x)
{
    if (strcmp(http_path_arg(x, "id"), admin->node->id) == 0)
        return true;
    http_respond_problem(x, 404, "this is node %s: ask a scheduler, or that node", admin->node->id);
    return false;
}

void admin_drain(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;

    if (!is_this_node(admin, x))
        return;
    node_drain(admin->node, DRAIN_ORDER);
    admin_respond_json(x, node_json(admin));
}

void admin_undrain(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;

    if (!is_this_node(admin, x))
        return;
    node_resume(admin->node);
    admin_respond_json(x, node_json(admin));
}

/* --- /api/v1/config --- */

/* The effective configuration, secrets masked. Returns a new reference, or NULL. */
static json_t *config_json(const struct conf_schema *schema, const void *conf)
{
    json_t *object = json_object();

    for (size_t i = 0; i < schema->n_fields; i++)
        json_object_set_new(object, schema->fields[i].key,
                            conf_value_to_json(&schema->fields[i], conf, admin_shown_text));
    return object;
}

void admin_get_config(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;

    admin_respond_json(x, config_json(&k_node_schema, &admin->node->conf));
}
