/* seen_budget: Redis has one text for all processes: how many ids expire when.
 *
 *     ras:seen-counts  →  "SINCE RECENT RATE;EXPIRY:COUNT EXPIRY:COUNT …"
 *
 * SINCE is the second in which a window began, RECENT the ids stored in it, RATE those a second of
 * the window before. An id that is stored twice is counted twice: the count errs on the safe side,
 * until the id expires. A text that was deleted or evicted begins again with nothing. */
#include "seen_budget.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/metrics.h"

#define COUNTS_KEY "ras:seen-counts"
#define COUNT_INTERVAL_US 1000000
#define STEPS_A_TTL 16 /* an id counts as held for up to a 16th of its time too long */
#define MIB 1048576

/* ARGV: ids, the seconds that they are kept, the step to which their expiry is rounded. Returns the
 * ids held and the rate. Needs no right beyond those of the cache's scripts. */
static const char COUNT_SCRIPT[] =
    "local now = tonumber(redis.call('TIME')[1])\n"
    "local added, step = tonumber(ARGV[1]), tonumber(ARGV[3])\n"
    "local text = redis.call('GET', KEYS[1]) or ''\n"
    "local since, recent, rate, counts = string.match(text, '^(%d+) (%d+) (%d+);(.*)$')\n"
    "since, recent = tonumber(since or now), tonumber(recent or 0) + added\n"
    "rate = tonumber(rate or 0)\n"
    "local lately = math.ceil(recent / math.max(now - since, 1))\n"
    "local shown = math.max(rate, lately)\n"
    "if now - since >= 10 then since, recent, rate, shown = now, 0, lately, lately end\n"
    "local expiry = math.ceil((now + ARGV[2]) / step) * step\n"
    "local kept, held, last = {}, added, expiry\n"
    "for at, count in string.gmatch(counts or '', '(%d+):(%d+)') do\n"
    "  at, count = tonumber(at), tonumber(count)\n"
    "  if at > now then\n"
    "    held, last = held + count, math.max(last, at)\n"
    "    if at == expiry then added = added + count\n"
    "    else kept[#kept + 1] = string.format('%.0f:%.0f', at, count) end\n"
    "  end\n"
    "end\n"
    "kept[#kept + 1] = string.format('%.0f:%.0f', expiry, added)\n"
    "redis.call('SET', KEYS[1], string.format('%.0f %.0f %.0f;', since, recent, rate) ..\n"
    "  table.concat(kept, ' '), 'EX', last - now)\n"
    "return {held, shown}\n";

void seen_budget_configure(struct seen_budget *budget, int max_mb, int ttl_s) {
    budget->limits = (struct seen_limits){(int64_t)max_mb * MIB / SEEN_ID_BYTES, ttl_s};
}

int seen_budget_ttl_s(const struct seen_budget *budget) {
    const struct seen_limits *limits = &budget->limits;
    int64_t held = budget->held + budget->added;
    if (limits->ids == 0 || held <= limits->ids / 2) {
        return limits->ttl_s;
    }
    if (held >= limits->ids) {
        return 0;
    }
    int64_t lasts_s = limits->ids / 3 / (budget->rate > 0 ? budget->rate : 1);
    return lasts_s < 1 ? 1 : lasts_s < limits->ttl_s ? (int)lasts_s : limits->ttl_s;
}

/* The largest power of two of which ttl_s has STEPS_A_TTL: the text has a few dozen counts. */
static int seen_budget_step_s(int ttl_s) {
    int step_s = 1;
    while (step_s * 2 * STEPS_A_TTL <= ttl_s) {
        step_s *= 2;
    }
    return step_s;
}

static bool seen_budget_append_count(const struct seen_budget *budget, struct redis *redis,
                                     int ttl_s, struct err *err) {
    char count[24], ttl[16], step[16];
    snprintf(count, sizeof count, "%" PRId64, budget->counting);
    snprintf(ttl, sizeof ttl, "%d", ttl_s);
    snprintf(step, sizeof step, "%d", seen_budget_step_s(ttl_s));
    struct slice args[] = {slice_of("EVAL"),     slice_of(COUNT_SCRIPT), slice_of("1"),
                           slice_of(COUNTS_KEY), slice_of(count),        slice_of(ttl),
                           slice_of(step)};
    return redis_append(redis, args, sizeof args / sizeof *args, err);
}

bool seen_budget_add(struct seen_budget *budget, struct redis *redis, int64_t count, int ttl_s,
                     struct err *err) {
    int64_t now_us = clock_monotonic_us();
    if (budget->limits.ids == 0) {
        budget->held = budget->added = 0;
        return true;
    }
    budget->added += count;
    budget->longest_s = ttl_s > budget->longest_s ? ttl_s : budget->longest_s;
    if (now_us < budget->count_us) {
        return true;
    }
    budget->count_us = now_us + COUNT_INTERVAL_US;
    budget->counting = budget->added;
    ttl_s = budget->longest_s > 0 ? budget->longest_s : 1;
    budget->longest_s = 0;
    return seen_budget_append_count(budget, redis, ttl_s, err);
}

static void seen_budget_show(const struct seen_budget *budget) {
    metric_set(metric_single(METRIC_GAUGE, "ras_redis_seen_bytes",
                             "Memory of Redis for the ids of processed events, of all processes."),
               (double)budget->held * SEEN_ID_BYTES);
    metric_set(metric_single(METRIC_GAUGE, "ras_redis_seen_ttl_seconds",
                             "How long Redis keeps the id of an event that is processed now."),
               seen_budget_ttl_s(budget));
}

void seen_budget_take(struct seen_budget *budget, const redisReply *reply) {
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[0]->type == REDIS_REPLY_INTEGER &&
        reply->element[1]->type == REDIS_REPLY_INTEGER) {
        budget->held = reply->element[0]->integer;
        budget->rate = reply->element[1]->integer;
        budget->added -= budget->counting;
        budget->counting = 0;
        seen_budget_show(budget);
    }
}

void seen_budget_note_skipped(int64_t count) {
    metric_add(metric_single(METRIC_COUNTER, "ras_redis_seen_skipped_total",
                             "Ids of processed events that Redis did not take, or that were not "
                             "stored for want of room (redis.seen_max_mb)."),
               (double)count);
}
