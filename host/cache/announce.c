/* announce: what the processes tell each other through Redis. Keys, beside those of shared.c:
 *   ras:cache:dep:TAG         set of the KEYs that depend on a tag
 *   ras:cache:seq             the last invalidation's number
 *   ras:cache:recent          sorted by their number, the last invalidations: the guard of the
 * store script. 16 digits (a member is unique by them), then the tags ras:cache:floor number of the
 * last invalidation of everything: answers begun before are void ras:cache:chain:ID        how many
 * parts of an announcement were taken: none is left out ras:cache:announced:VIEW  of a database,
 * for each partition: up to which count of events its commits were announced without a gap
 *   ras:cache:run             the run of the Redis server that all of this was last checked against
 *
 * The number is the time in µs of the invalidation, and always grows: so a Redis that lost its
 * memory, or came back with an old one, cannot count the same numbers again; where it finds no
 * number, what was begun before is void. */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bindings/redis.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "cache_internal.h"

#define RUN_KEY "ras:cache:run"
#define CHAIN_PREFIX "ras:cache:chain:"
#define ANNOUNCED_PREFIX "ras:cache:announced:"
#define CHUNK 1000       /* tags a command: keeps each script run short */
#define CHAIN_TTL_S "60" /* an announcement is given up long before */
#define ANNOUNCED_TTL_S "604800"
#define NUMBER_BYTES 24

/* One part, at most CHUNK tags; the keys found may be more, so they are deleted in chunks too. A
 * part is refused unless all before it were taken. */
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

/* After the last part. ARGV: the parts; then for each partition its field, and its count before and
 * after the commit. 0: some commit before this one was not announced. */
static const char RECORD_SCRIPT[] =
    "if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then\n"
    "  return redis.error_reply('ERR an earlier part of the announcement is missing')\n"
    "end\n"
    "local complete = 1\n"
    "for i = 2, #ARGV, 3 do\n"
    "  if (redis.call('HGET', KEYS[2], ARGV[i]) or '0') == ARGV[i + 1] then\n"
    "    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])\n"
    "  else\n"
    "    complete = 0\n"
    "  end\n"
    "end\n"
    "redis.call('EXPIRE', KEYS[2], " ANNOUNCED_TTL_S ")\n"
    "redis.call('DEL', KEYS[1])\n"
    "return complete\n";

#define FORGET_ALL                                                                                 \
    "local time = redis.call('TIME')\n"                                                            \
    "local now = time[1] * 1000000 + time[2]\n"                                                    \
    "local seq = math.max(redis.call('INCR', KEYS[1]), now)\n"                                     \
    "local text = string.format('%.0f', seq)\n"                                                    \
    "redis.call('SET', KEYS[1], text)\n"                                                           \
    "redis.call('SET', KEYS[2], text)\n"                                                           \
    "redis.call('PUBLISH', '" CACHE_CHANNEL "', '')\n"

/* ARGV: for each partition its field, what is known to be written there ('' : nothing is known),
 * and its count. A partition is open where that is still written, or a smaller count. Without
 * partitions everything is forgotten in any case. */
static const char FORGET_SCRIPT[] =
    "local open = #ARGV == 0\n"
    "for i = 1, #ARGV, 3 do\n"
    "  local held = redis.call('HGET', KEYS[3], ARGV[i]) or '0'\n"
    "  local behind = ARGV[i + 1] == '' and tonumber(held) < tonumber(ARGV[i + 2])\n"
    "  open = open or behind or held == ARGV[i + 1]\n"
    "end\n"
    "if not open then return redis.status_reply('KNOWN') end\n" FORGET_ALL
    "for i = 1, #ARGV, 3 do\n"
    "  local held = redis.call('HGET', KEYS[3], ARGV[i]) or '0'\n"
    "  if held == ARGV[i + 1] or tonumber(held) < tonumber(ARGV[i + 2]) then\n"
    "    redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 2])\n"
    "    redis.call('EXPIRE', KEYS[3], " ANNOUNCED_TTL_S ")\n"
    "  end\n"
    "end\n"
    "return redis.status_reply('FORGOTTEN')\n";

/* A server that was started again, or that has taken over, may hold less than the processes were
 * told: what it has is void. 1: it was. Where it does not say which run it is, it is another one.
 */
static const char GREET_SCRIPT[] =
    "local info = redis.pcall('INFO', 'server')\n"
    "local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)')\n"
    "local before = redis.call('GET', KEYS[3])\n"
    "if run and before == run then return 0 end\n" FORGET_ALL
    "redis.call('SET', KEYS[3], run or 'unknown')\n"
    "return before and 1 or 0\n";

const char *const announce_greeting[ANNOUNCE_GREETING_ARGS] = {
    "EVAL", GREET_SCRIPT, "3", CACHE_SEQ_KEY, CACHE_FLOOR_KEY, RUN_KEY};

struct slice cache_dep_key(uint64_t tag, char out[CACHE_DEP_KEY_BYTES]) {
    int len = snprintf(out, CACHE_DEP_KEY_BYTES, "ras:cache:dep:%016" PRIx64, tag);
    return (struct slice){out, (size_t)len};
}

/* ---- positions ----------------------------------------------------------------------------- */

#define ANNOUNCED_KEY_BYTES (sizeof ANNOUNCED_PREFIX + 16)

static struct slice cache_announce_announced_key(uint64_t view, char out[ANNOUNCED_KEY_BYTES]) {
    int len = snprintf(out, ANNOUNCED_KEY_BYTES, ANNOUNCED_PREFIX "%016" PRIx64, view);
    return (struct slice){out, (size_t)len};
}

/* The memory behind the arguments of one call. */
struct arguments {
    struct slice *args;
    size_t count;
    char (*numbers)[NUMBER_BYTES];
    size_t number_count;
    char chain[sizeof CHAIN_PREFIX + 32];
    char announced[ANNOUNCED_KEY_BYTES];
};

static void cache_announce_arguments_open(struct arguments *arguments, size_t slices,
                                          size_t numbers) {
    *arguments = (struct arguments){
        .args = xcalloc(slices, sizeof *arguments->args),
        .numbers = xcalloc(numbers + 1, sizeof *arguments->numbers),
    };
}

static void cache_announce_arguments_close(struct arguments *arguments) {
    free(arguments->args);
    free(arguments->numbers);
}

static void cache_announce_put_slice(struct arguments *arguments, struct slice slice) {
    arguments->args[arguments->count++] = slice;
}

static void cache_announce_put_text(struct arguments *arguments, const char *text) {
    cache_announce_put_slice(arguments, slice_of(text));
}

static void cache_announce_put_number(struct arguments *arguments, uint64_t number) {
    char *text = arguments->numbers[arguments->number_count++];
    snprintf(text, NUMBER_BYTES, "%" PRIu64, number);
    cache_announce_put_text(arguments, text);
}

/* No two announcements have the same, of no process. */
static void cache_announce_name_chain(char chain[sizeof CHAIN_PREFIX + 32]) {
    static _Atomic uint64_t last;
    uint64_t id = ++last;
    snprintf(chain, sizeof CHAIN_PREFIX + 32, CHAIN_PREFIX "%x:%" PRIx64 ":%" PRIx64,
             (unsigned)getpid(), (uint64_t)clock_wall_us() & 0xffffffffff, id);
}

/* ---- announcing ---------------------------------------------------------------------------- */

static bool cache_announce_append_part(struct redis *redis, const char *chain, const uint64_t *tags,
                                       size_t count, size_t parts_before, struct err *err) {
    struct arguments arguments;
    char(*deps)[CACHE_DEP_KEY_BYTES] = xcalloc(count, sizeof *deps);
    uint64_t *wire = xcalloc(count, sizeof *wire);
    cache_announce_arguments_open(&arguments, count + 9, 2);
    cache_announce_put_text(&arguments, "EVAL");
    cache_announce_put_text(&arguments, INVALIDATE_SCRIPT);
    cache_announce_put_number(&arguments, count + 3);
    cache_announce_put_text(&arguments, CACHE_SEQ_KEY);
    cache_announce_put_text(&arguments, CACHE_RECENT_KEY);
    cache_announce_put_text(&arguments, chain);
    for (size_t i = 0; i < count; i++) {
        cache_announce_put_slice(&arguments, cache_dep_key(tags[i], deps[i]));
        wire[i] = htobe64(tags[i]);
    }
    cache_announce_put_text(&arguments, CACHE_TAGS_PREFIX);
    cache_announce_put_slice(&arguments, (struct slice){(const char *)wire, count * sizeof *wire});
    cache_announce_put_number(&arguments, parts_before);
    bool ok = redis_append(redis, arguments.args, arguments.count, err);
    cache_announce_arguments_close(&arguments);
    free(deps);
    free(wire);
    return ok;
}

static bool cache_announce_append_record(struct redis *redis,
                                         const struct cache_announcement *announcement,
                                         const char *chain, size_t parts, struct err *err) {
    struct arguments arguments;
    size_t count = announcement->position_count;
    cache_announce_arguments_open(&arguments, 3 * count + 6, 2 * count + 1);
    cache_announce_put_text(&arguments, "EVAL");
    cache_announce_put_text(&arguments, RECORD_SCRIPT);
    cache_announce_put_text(&arguments, "2");
    cache_announce_put_text(&arguments, chain);
    cache_announce_put_slice(&arguments,
                             cache_announce_announced_key(announcement->view, arguments.announced));
    cache_announce_put_number(&arguments, parts);
    for (size_t i = 0; i < count; i++) {
        const struct cache_position *position = &announcement->positions[i];
        cache_announce_put_text(&arguments, position->name);
        cache_announce_put_number(&arguments, position->before);
        cache_announce_put_number(&arguments, position->counted);
    }
    bool ok = redis_append(redis, arguments.args, arguments.count, err);
    cache_announce_arguments_close(&arguments);
    return ok;
}

bool announce_append(struct redis *redis, const struct cache_announcement *announcement,
                     struct err *err) {
    char chain[sizeof CHAIN_PREFIX + 32];
    size_t parts = 0;
    cache_announce_name_chain(chain);
    for (size_t first = 0; first < announcement->tag_count; first += CHUNK, parts++) {
        size_t left = announcement->tag_count - first;
        if (!cache_announce_append_part(redis, chain, announcement->tags + first,
                                        left < CHUNK ? left : CHUNK, parts, err)) {
            return false;
        }
    }
    return announcement->position_count == 0 ||
           cache_announce_append_record(redis, announcement, chain, parts, err);
}

bool announce_append_of_all(struct redis *redis, const struct cache_announcement *announcement,
                            struct err *err) {
    struct arguments arguments;
    size_t count = announcement->position_count;
    cache_announce_arguments_open(&arguments, 3 * count + 6, count);
    cache_announce_put_text(&arguments, "EVAL");
    cache_announce_put_text(&arguments, FORGET_SCRIPT);
    cache_announce_put_text(&arguments, "3");
    cache_announce_put_text(&arguments, CACHE_SEQ_KEY);
    cache_announce_put_text(&arguments, CACHE_FLOOR_KEY);
    cache_announce_put_slice(&arguments,
                             cache_announce_announced_key(announcement->view, arguments.announced));
    for (size_t i = 0; i < count; i++) {
        const struct cache_position *position = &announcement->positions[i];
        cache_announce_put_text(&arguments, position->name);
        cache_announce_put_text(&arguments, position->announced ? position->announced : "");
        cache_announce_put_number(&arguments, position->counted);
    }
    bool ok = redis_append(redis, arguments.args, arguments.count, err);
    cache_announce_arguments_close(&arguments);
    return ok;
}

bool announce_append_question(struct redis *redis, const struct cache_announcement *announcement,
                              struct err *err) {
    struct arguments arguments;
    cache_announce_arguments_open(&arguments, announcement->position_count + 2, 0);
    cache_announce_put_text(&arguments, "HMGET");
    cache_announce_put_slice(&arguments,
                             cache_announce_announced_key(announcement->view, arguments.announced));
    for (size_t i = 0; i < announcement->position_count; i++) {
        cache_announce_put_text(&arguments, announcement->positions[i].name);
    }
    bool ok = redis_append(redis, arguments.args, arguments.count, err);
    cache_announce_arguments_close(&arguments);
    return ok;
}
