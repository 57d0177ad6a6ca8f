/* announce: invalidations that processes send each other through Redis. Keys beside shared.c's:
 *   ras:cache:dep:TAG         set of the KEYs that depend on a tag
 *   ras:cache:seq             number of the last invalidation
 *   ras:cache:recent          the last invalidations, sorted by number, for the store script;
 *                             a member is 16 digits, which make it unique, the tags, and the
 *                             id of the cache where they are pending (0: none), which older
 *                             releases take for one more tag
 *   ras:cache:floor           number of the last drop of all: responses begun before are stale
 *   ras:cache:chain:ID        parts applied of an announcement: none is skipped
 *   ras:cache:announced:VIEW  by partition of a database: its commits announced without a gap;
 *                             `position`: the last commit announced (pg_position.h), where
 *                             postgres.read_urls is set
 *   ras:cache:auditor:VIEW    the process whose audit has just found no unannounced commit
 *   ras:cache:run             run id of the Redis server at the last check
 *
 * The number is the time of the invalidation in microseconds, and always grows: a Redis that
 * restarts empty or with old contents does not repeat numbers. Without a number, responses begun
 * before are stale. */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bindings/redis.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/xalloc.h"
#include "cache_internal.h"

#define RUN_KEY "ras:cache:run"
#define CHAIN_PREFIX "ras:cache:chain:"
#define AUDITOR_PREFIX "ras:cache:auditor:"
#define CHUNK 1000       /* tags a command: bounds the time of each script run */
#define CHAIN_TTL_S "60" /* an announcement times out long before */
#define ANNOUNCED_TTL_S "604800"
#define NUMBER_BYTES 24

/* One part of an announcement, at most CHUNK tags; the dependent keys may be more and are deleted
 * in chunks. Fails unless all parts before it were applied. */
static const char INVALIDATE_SCRIPT[] =
    "if tonumber(redis.call('GET', KEYS[3]) or '0') ~= tonumber(ARGV[3]) then\n"
    "  return redis.error_reply('ERR an earlier part of the announcement is missing')\n"
    "end\n"
    "local time = redis.call('TIME')\n"
    "local before = redis.call('GET', KEYS[1])\n"
    "local now = time[1] * 1000000 + time[2]\n"
    "local seq = string.format('%016.0f', math.max(now, tonumber(before or '0') + 1))\n"
    "redis.call('SET', KEYS[1], seq)\n"
    "if not before then redis.call('SET', '" CACHE_FLOOR_KEY "', seq) end\n"
    "redis.call('ZADD', KEYS[2], seq, seq .. ARGV[2])\n"
    "redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -" CACHE_RECENT " - 1)\n"
    "local deps = {unpack(KEYS, 4)}\n"
    "local found = redis.call('SUNION', unpack(deps))\n"
    "for first = 1, #found, 500 do\n"
    "  local gone = {}\n"
    "  for i = first, math.min(first + 499, #found) do\n"
    "    gone[#gone + 1] = found[i]\n"
    "    gone[#gone + 1] = ARGV[1] .. found[i]\n"
    "  end\n"
    "  redis.call('DEL', unpack(gone))\n"
    "end\n"
    "if #found > 0 then redis.call('DEL', unpack(deps)) end\n"
    "redis.call('SET', KEYS[3], ARGV[3] + 1, 'EX', " CHAIN_TTL_S ")\n"
    "redis.call('PUBLISH', '" CACHE_CHANNEL "', ARGV[2])\n"
    "return seq\n";

/* After the last part. ARGV: the number of parts; then for each partition its field, and its count
 * before and after the commit. Returns 0 if a commit before this one was not announced, unless
 * another process has announced this one meanwhile. */
static const char RECORD_SCRIPT[] =
    "if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then\n"
    "  return redis.error_reply('ERR an earlier part of the announcement is missing')\n"
    "end\n"
    "local complete = 1\n"
    "for i = 2, #ARGV, 3 do\n"
    "  local held = redis.call('HGET', KEYS[2], ARGV[i]) or '0'\n"
    "  if held == ARGV[i + 1] then\n"
    "    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])\n"
    "  elseif held ~= ARGV[i + 2] then\n"
    "    complete = 0\n"
    "  end\n"
    "end\n"
    "redis.call('EXPIRE', KEYS[2], " ANNOUNCED_TTL_S ")\n"
    "redis.call('DEL', KEYS[1])\n"
    "return complete\n";

/* Before the parts, as the first of them: who reads their numbers finds this position, too, and who
 * receives them has received it. ARGV: the position, and the message. */
static const char POSITION_SCRIPT[] =
    "local held = redis.call('HGET', KEYS[2], '" CACHE_POSITION_FIELD "')\n"
    "if not held or held < ARGV[1] then\n"
    "  redis.call('HSET', KEYS[2], '" CACHE_POSITION_FIELD "', ARGV[1])\n"
    "  redis.call('EXPIRE', KEYS[2], " ANNOUNCED_TTL_S ")\n"
    "end\n"
    "redis.call('SET', KEYS[1], 1, 'EX', " CHAIN_TTL_S ")\n"
    "redis.call('PUBLISH', '" CACHE_CHANNEL "', ARGV[2])\n"
    "return redis.status_reply('OK')\n";

#define DROP_ALL                                                                                   \
    "local time = redis.call('TIME')\n"                                                            \
    "local now = time[1] * 1000000 + time[2]\n"                                                    \
    "local seq = math.max(redis.call('INCR', KEYS[1]), now)\n"                                     \
    "local text = string.format('%.0f', seq)\n"                                                    \
    "redis.call('SET', KEYS[1], text)\n"                                                           \
    "redis.call('SET', KEYS[2], text)\n"                                                           \
    "redis.call('PUBLISH', '" CACHE_CHANNEL "', '')\n"

/* ARGV: for each partition its field, the value seen there ('': unknown), and its count. A
 * partition is open if the field still has that value or, unknown, a smaller count. Drops all
 * responses if one is open, or without partitions. */
static const char DROP_ALL_SCRIPT[] =
    "local open = #ARGV == 0\n"
    "for i = 1, #ARGV, 3 do\n"
    "  local held = redis.call('HGET', KEYS[3], ARGV[i]) or '0'\n"
    "  local behind = ARGV[i + 1] == '' and tonumber(held) < tonumber(ARGV[i + 2])\n"
    "  open = open or behind or held == ARGV[i + 1]\n"
    "end\n"
    "if not open then return redis.status_reply('KNOWN') end\n" DROP_ALL "for i = 1, #ARGV, 3 do\n"
    "  local held = redis.call('HGET', KEYS[3], ARGV[i]) or '0'\n"
    "  if held == ARGV[i + 1] or tonumber(held) < tonumber(ARGV[i + 2]) then\n"
    "    redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 2])\n"
    "    redis.call('EXPIRE', KEYS[3], " ANNOUNCED_TTL_S ")\n"
    "  end\n"
    "end\n"
    "return redis.status_reply('DROPPED')\n";

/* A Redis that restarted or took over may have lost invalidations: drops all responses and
 * returns 1, or 2 if it holds no run id: it is new, or has lost its contents. A server that tells
 * no run id counts as restarted. */
static const char GREET_SCRIPT[] =
    "local info = redis.pcall('INFO', 'server')\n"
    "local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)')\n"
    "local before = redis.call('GET', KEYS[3])\n"
    "if run and before == run then return 0 end\n" DROP_ALL
    "redis.call('SET', KEYS[3], run or 'unknown')\n"
    "return before and 1 or 2\n";

const char *const announce_greeting[ANNOUNCE_GREETING_ARGS] = {
    "EVAL", GREET_SCRIPT, "3", CACHE_SEQ_KEY, CACHE_FLOOR_KEY, RUN_KEY};

struct slice cache_dep_key(uint64_t tag, char out[CACHE_DEP_KEY_BYTES]) {
    int len = snprintf(out, CACHE_DEP_KEY_BYTES, "ras:cache:dep:%016" PRIx64, tag);
    return (struct slice){out, (size_t)len};
}

/* ---- positions ----------------------------------------------------------------------------- */

struct slice cache_announced_key(uint64_t view, char out[CACHE_ANNOUNCED_KEY_BYTES]) {
    int len = snprintf(out, CACHE_ANNOUNCED_KEY_BYTES, CACHE_ANNOUNCED_PREFIX "%016" PRIx64, view);
    return (struct slice){out, (size_t)len};
}

/* The arguments of one command, with their memory. */
struct arguments {
    struct slice *args;
    size_t count;
    char (*numbers)[NUMBER_BYTES];
    size_t number_count;
    char chain[sizeof CHAIN_PREFIX + 32];
    char announced[CACHE_ANNOUNCED_KEY_BYTES];
};

static void announce_arguments_open(struct arguments *arguments, size_t slices, size_t numbers) {
    *arguments = (struct arguments){
        .args = xcalloc(slices, sizeof *arguments->args),
        .numbers = xcalloc(numbers + 1, sizeof *arguments->numbers),
    };
}

static void announce_put_slice(struct arguments *arguments, struct slice slice) {
    arguments->args[arguments->count++] = slice;
}

static void announce_put_text(struct arguments *arguments, const char *text) {
    announce_put_slice(arguments, slice_of(text));
}

static void announce_put_number(struct arguments *arguments, uint64_t number) {
    char *text = arguments->numbers[arguments->number_count++];
    snprintf(text, NUMBER_BYTES, "%" PRIu64, number);
    announce_put_text(arguments, text);
}

/* Queues the command and frees the memory of its arguments. */
static bool announce_send(struct redis *redis, struct arguments *arguments, struct err *err) {
    bool ok = redis_append(redis, arguments->args, arguments->count, err);
    free(arguments->args);
    free(arguments->numbers);
    return ok;
}

/* Unique among all announcements of all processes. */
static void announce_name_chain(char chain[sizeof CHAIN_PREFIX + 32]) {
    static _Atomic uint64_t last;
    uint64_t id = ++last;
    snprintf(chain, sizeof CHAIN_PREFIX + 32, CHAIN_PREFIX "%x:%" PRIx64 ":%" PRIx64,
             (unsigned)getpid(), (uint64_t)clock_wall_us() & 0xffffffffff, id);
}

uint64_t cache_make_id(void) {
    char name[sizeof CHAIN_PREFIX + 32];
    announce_name_chain(name);
    return hash64(slice_of(name));
}

/* ---- announcing ---------------------------------------------------------------------------- */

/* What tells the parts of an announcement. */
struct part {
    const char *chain;
    size_t before; /* parts */
    uint64_t id;   /* of the cache where its tags are pending; 0: none */
};

static bool announce_append_part(struct redis *redis, const struct part *part, const uint64_t *tags,
                                 size_t count, struct err *err) {
    struct arguments arguments;
    char(*deps)[CACHE_DEP_KEY_BYTES] = xcalloc(count, sizeof *deps);
    uint64_t *wire = xcalloc(count + 1, sizeof *wire);
    announce_arguments_open(&arguments, count + 9, 2);
    announce_put_text(&arguments, "EVAL");
    announce_put_text(&arguments, INVALIDATE_SCRIPT);
    announce_put_number(&arguments, count + 3);
    announce_put_text(&arguments, CACHE_SEQ_KEY);
    announce_put_text(&arguments, CACHE_RECENT_KEY);
    announce_put_text(&arguments, part->chain);
    for (size_t i = 0; i < count; i++) {
        announce_put_slice(&arguments, cache_dep_key(tags[i], deps[i]));
        wire[i] = htobe64(tags[i]);
    }
    wire[count] = htobe64(part->id);
    announce_put_text(&arguments, CACHE_TAGS_PREFIX);
    announce_put_slice(&arguments, (struct slice){(const char *)wire, (count + 1) * sizeof *wire});
    announce_put_number(&arguments, part->before);
    bool ok = announce_send(redis, &arguments, err);
    free(deps);
    free(wire);
    return ok;
}

static bool announce_append_record(struct redis *redis,
                                   const struct cache_announcement *announcement, const char *chain,
                                   size_t parts, struct err *err) {
    struct arguments arguments;
    size_t count = announcement->position_count;
    announce_arguments_open(&arguments, 3 * count + 6, 2 * count + 1);
    announce_put_text(&arguments, "EVAL");
    announce_put_text(&arguments, RECORD_SCRIPT);
    announce_put_text(&arguments, "2");
    announce_put_text(&arguments, chain);
    announce_put_slice(&arguments, cache_announced_key(announcement->view, arguments.announced));
    announce_put_number(&arguments, parts);
    for (size_t i = 0; i < count; i++) {
        const struct cache_position *position = &announcement->positions[i];
        announce_put_text(&arguments, position->name);
        announce_put_number(&arguments, position->before);
        announce_put_number(&arguments, position->counted);
    }
    return announce_send(redis, &arguments, err);
}

/* Nothing without a position. Else it counts as a part. */
static bool announce_append_position(struct redis *redis,
                                     const struct cache_announcement *announcement,
                                     const char *chain, size_t *parts, struct err *err) {
    struct arguments arguments;
    char message[CACHE_POSITION_BYTES + 1];
    if (!announcement->position) {
        return true;
    }
    snprintf(message, sizeof message, "%c%016" PRIx64 "%s", CACHE_POSITION_MARK, announcement->view,
             announcement->position);
    announce_arguments_open(&arguments, 7, 0);
    announce_put_text(&arguments, "EVAL");
    announce_put_text(&arguments, POSITION_SCRIPT);
    announce_put_text(&arguments, "2");
    announce_put_text(&arguments, chain);
    announce_put_slice(&arguments, cache_announced_key(announcement->view, arguments.announced));
    announce_put_text(&arguments, announcement->position);
    announce_put_text(&arguments, message);
    ++*parts;
    return announce_send(redis, &arguments, err);
}

bool cache_append_announcement(struct cache *cache, struct redis *redis,
                               const struct cache_announcement *announcement, struct err *err) {
    char chain[sizeof CHAIN_PREFIX + 32];
    size_t parts = 0;
    if (!cache_uses_redis(cache)) {
        return true;
    }
    announce_name_chain(chain);
    uint64_t id = announcement->is_pending ? cache->id : 0; /* 0: no cache's */
    if (!announce_append_position(redis, announcement, chain, &parts, err)) {
        return false;
    }
    for (size_t first = 0; first < announcement->tag_count; first += CHUNK, parts++) {
        size_t left = announcement->tag_count - first;
        struct part part = {.chain = chain, .before = parts, .id = id};
        if (!announce_append_part(redis, &part, announcement->tags + first,
                                  left < CHUNK ? left : CHUNK, err)) {
            return false;
        }
    }
    return announcement->position_count == 0 ||
           announce_append_record(redis, announcement, chain, parts, err);
}

bool cache_append_drop_all(struct cache *cache, struct redis *redis,
                           const struct cache_announcement *announcement, struct err *err) {
    struct arguments arguments;
    char chain[sizeof CHAIN_PREFIX + 32];
    size_t count = announcement->position_count, parts = 0;
    if (!cache_uses_redis(cache)) {
        return true;
    }
    announce_name_chain(chain);
    if (!announce_append_position(redis, announcement, chain, &parts, err)) {
        return false;
    }
    announce_arguments_open(&arguments, 3 * count + 6, count);
    announce_put_text(&arguments, "EVAL");
    announce_put_text(&arguments, DROP_ALL_SCRIPT);
    announce_put_text(&arguments, "3");
    announce_put_text(&arguments, CACHE_SEQ_KEY);
    announce_put_text(&arguments, CACHE_FLOOR_KEY);
    announce_put_slice(&arguments, cache_announced_key(announcement->view, arguments.announced));
    for (size_t i = 0; i < count; i++) {
        const struct cache_position *position = &announcement->positions[i];
        announce_put_text(&arguments, position->name);
        announce_put_text(&arguments, position->announced ? position->announced : "");
        announce_put_number(&arguments, position->counted);
    }
    return announce_send(redis, &arguments, err);
}

bool cache_append_positions_query(struct cache *cache, struct redis *redis,
                                  const struct cache_announcement *announcement, struct err *err) {
    struct arguments arguments;
    if (!cache_uses_redis(cache)) {
        return true;
    }
    announce_arguments_open(&arguments, announcement->position_count + 3, 0);
    announce_put_text(&arguments, "HMGET");
    announce_put_slice(&arguments, cache_announced_key(announcement->view, arguments.announced));
    for (size_t i = 0; i < announcement->position_count; i++) {
        announce_put_text(&arguments, announcement->positions[i].name);
    }
    if (announcement->position) {
        announce_put_text(&arguments, CACHE_POSITION_FIELD);
    }
    return announce_send(redis, &arguments, err);
}

const char *cache_announced(const struct redisReply *reply, size_t count, size_t i,
                            const char *none) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count) {
        return NULL;
    }
    return reply->element[i]->type == REDIS_REPLY_STRING ? reply->element[i]->str : none;
}

bool cache_append_positions_renewal(struct cache *cache, struct redis *redis, uint64_t view,
                                    struct err *err) {
    struct arguments arguments;
    if (!cache_uses_redis(cache)) {
        return true;
    }
    announce_arguments_open(&arguments, 3, 0);
    announce_put_text(&arguments, "EXPIRE");
    announce_put_slice(&arguments, cache_announced_key(view, arguments.announced));
    announce_put_text(&arguments, ANNOUNCED_TTL_S);
    return announce_send(redis, &arguments, err);
}

/* ---- audits of several processes ------------------------------------------------------------- */

#define AUDITOR_KEY_BYTES (sizeof AUDITOR_PREFIX + 16)

static struct slice announce_auditor_key(uint64_t view, char out[AUDITOR_KEY_BYTES]) {
    int len = snprintf(out, AUDITOR_KEY_BYTES, AUDITOR_PREFIX "%016" PRIx64, view);
    return (struct slice){out, (size_t)len};
}

bool cache_append_auditor_query(struct cache *cache, struct redis *redis, uint64_t view,
                                struct err *err) {
    char key[AUDITOR_KEY_BYTES];
    const struct slice args[] = {slice_of("GET"), announce_auditor_key(view, key)};
    return !cache_uses_redis(cache) || redis_append(redis, args, 2, err);
}

bool cache_append_auditor(struct cache *cache, struct redis *redis, uint64_t view,
                          const char *process, int valid_ms, struct err *err) {
    char key[AUDITOR_KEY_BYTES], valid[16];
    snprintf(valid, sizeof valid, "%d", valid_ms);
    const struct slice args[] = {slice_of("SET"), announce_auditor_key(view, key),
                                 slice_of(process), slice_of("PX"), slice_of(valid)};
    return !cache_uses_redis(cache) || redis_append(redis, args, 5, err);
}
