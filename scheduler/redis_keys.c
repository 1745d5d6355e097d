/* Scripts run inside Redis, so that one stream key is compared and changed in one step. Epochs
 * there are Lua numbers: exact up to 2^53, which microseconds reach in the year 2255. */
#include "scheduler/redis_keys.h"

#include <string.h>

/* Reads the key as (value, table); a value that is no owner counts as absent. */
#define LUA_READ                                                          \
    "local cur = redis.call('GET', KEYS[1]) or ''\n"                      \
    "local ok, own = pcall(cjson.decode, cur)\n"                          \
    "if not ok or type(own) ~= 'table' or not tonumber(own.epoch) then\n" \
    "  cur = ''; own = {node = '', instance = '', epoch = '0'}\n"         \
    "end\n"                                                               \
    "local epoch = tonumber(own.epoch)\n"                                 \
    "local same = own.node == ARGV[1] and own.instance == ARGV[2]\n"

#define LUA_VALUE(epoch) "cjson.encode({node = ARGV[1], instance = ARGV[2], epoch = " epoch "})"

const char k_redis_claim[] =
    LUA_READ "if epoch > tonumber(ARGV[3]) and not same then return {0, cur} end\n"
             "local t = redis.call('TIME')\n"
             "local new = math.max(t[1] * 1000000 + t[2], tonumber(ARGV[4]) + 1, epoch + 1)\n"
             "local val = " LUA_VALUE(
                 "string.format('%.0f', new)") "\n"
                                               "redis.call('SET', KEYS[1], val, 'PX', ARGV[5])\n"
                                               "return {1, val}\n";

const char k_redis_release[] =
    LUA_READ "if not same or own.epoch ~= ARGV[3] then return {0, cur} end\n"
             "redis.call('DEL', KEYS[1])\n"
             "return {1, cur}\n";

const char k_redis_refresh[] =
    LUA_READ "local mine = tonumber(ARGV[3])\n"
             "if epoch > mine or (epoch == mine and own.node > ARGV[1]) then return {0, cur} end\n"
             "local val = " LUA_VALUE("ARGV[3]") "\n"
                                                 "redis.call('SET', KEYS[1], val, 'PX', ARGV[4])\n"
                                                 "return {1, val}\n";

/* The value is the body of a publish message without "v", so that codec reads it. */
bool redis_owner_parse(const redisReply *value, struct store_owner *out)
{
    struct cluster_publish m;
    struct cluster_error error;
    struct buf_writer json;
    bool ok = false;

    if (value->type != REDIS_REPLY_STRING || value->len < 2 || value->str[0] != '{')
        return false;
    buf_writer_init(&json, 1024);
    buf_write_str(&json, "{\"v\":1,");
    buf_write(&json, value->str + 1, value->len - 1);
    if (buf_writer_status(&json) == E_OK &&
        cluster_publish_decode(buf_writer_view(&json), &m, &error) == E_OK) {
        memcpy(out->node, m.node, sizeof out->node);
        out->instance = m.instance;
        out->epoch = m.epoch;
        ok = true;
    }
    buf_writer_fini(&json);
    return ok;
}
