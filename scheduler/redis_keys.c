/* Scripts run inside Redis, so that one stream key is compared and changed in one step. Epochs
 * there are Lua numbers: exact up to 2^53, which microseconds reach in the year 2255. */
#include "scheduler/redis_keys.h"

#include <string.h>

/* Reads the key as (value, table); a value that is no owner counts as absent. */
#define LUA_READ                                                            \
    "local cur = redis.call('GET', KEYS[1]) or ''\n"                        \
    "local ok, own = pcall(cjson.decode, cur)\n"                            \
    "if not ok or type(own) ~= 'table' or not tonumber(own.epoch) then\n"   \
    "  cur = ''; own = {node = '', instance = '', epoch = '0'}\n"           \
    "end\n"                                                                 \
    "local epoch = tonumber(own.epoch)\n"                                   \
    "local same = own.node == ARGV[1] and own.instance == ARGV[2]\n"        \
    "local function write(epoch, run, ttl_ms)\n"                            \
    "  if run == '0' and same then run = own.run or run end\n"              \
    "  local val = cjson.encode(\n"                                         \
    "    {node = ARGV[1], instance = ARGV[2], epoch = epoch, run = run})\n" \
    "  redis.call('SET', KEYS[1], val, 'PX', ttl_ms)\n"                     \
    "  return val\n"                                                        \
    "end\n"

/* epoch.h has the rule. A history is named by the replication id, which a server changes when it
 * starts and when it is promoted, and ends with its record in hw:epoch when it is emptied. An epoch
 * above the last one given here was given by somebody else. */
const char k_redis_claim[] =
    LUA_READ "if epoch > tonumber(ARGV[3]) and not same then return {0, cur} end\n"
             "local t = redis.call('TIME')\n"
             "local clock = t[1] * 1000000 + t[2]\n"
             "local info = redis.call('INFO', 'replication')\n"
             "local history = string.match(info, 'master_replid:(%x+)') or ''\n"
             "local given = redis.call('HMGET', KEYS[2], 'last', 'history')\n"
             "local last = tonumber(given[1] or 0)\n"
             "local seen = math.max(epoch, tonumber(ARGV[4]))\n"
             "local new = math.max(clock, last + 1)\n"
             "if given[2] ~= history or seen > last then\n"
             "  new = math.max(new, seen + 1) + tonumber(ARGV[6])\n"
             "end\n"
             "local text = string.format('%.0f', new)\n"
             "redis.call('HSET', KEYS[2], 'last', text, 'history', history)\n"
             "return {1, write(text, ARGV[7], ARGV[5])}\n";

const char k_redis_release[] =
    LUA_READ "if not same or epoch > tonumber(ARGV[3]) then return {0, cur} end\n"
             "redis.call('DEL', KEYS[1])\n"
             "return {1, cur}\n";

const char k_redis_refresh[] =
    LUA_READ "local mine = tonumber(ARGV[3])\n"
             "if epoch > mine or (epoch == mine and own.node > ARGV[1]) then return {0, cur} end\n"
             "write(ARGV[3], ARGV[5], ARGV[4])\n"
             "return {1, cur}\n";

const char k_redis_unlist[] = "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end\n"
                              "return redis.call('SREM', KEYS[2], ARGV[1])\n";

/* own: the setting that is there, or false. Versions are exact up to 2^53, as epochs are. */
#define LUA_READ_SETTING                                                                        \
    "local cur = redis.call('HGET', KEYS[1], ARGV[1]) or ''\n"                                  \
    "local ok, m = pcall(cjson.decode, cur)\n"                                                  \
    "local own = ok and type(m) == 'table' and type(m.settings) == 'table' and m.settings[1]\n" \
    "local version = type(own) == 'table' and tonumber(own.version)\n"

const char k_redis_set[] = LUA_READ_SETTING
    "local mine = tonumber(ARGV[2])\n"
    "if version and (version > mine or\n"
    "    (version == mine and tostring(own.origin) >= ARGV[3])) then\n"
    "  return {0, cur}\n"
    "end\n"
    "redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])\n"
    "redis.call('SADD', KEYS[2], ARGV[5])\n"
    "redis.call('XADD', KEYS[3], 'MAXLEN', '~', " REDIS_EVENTS_MAX ", '*', 'from',\n"
    "  ARGV[6], 'event', '{\"v\":1,\"type\":\"settings\"}', 'setting', ARGV[4])\n"
    "return {1, ''}\n";

const char k_redis_unset[] = LUA_READ_SETTING "if version ~= tonumber(ARGV[2]) then return 0 end\n"
                                              "return redis.call('HDEL', KEYS[1], ARGV[1])\n";

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
        out->run = m.run;
        ok = true;
    }
    buf_writer_fini(&json);
    return ok;
}
