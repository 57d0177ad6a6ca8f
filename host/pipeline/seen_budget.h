/* seen_budget: bounds the memory of Redis that the ids of processed events take, for all processes
 * together (redis.seen_max_mb). Up to half of it an id is kept for redis.seen_ttl_s; above, for as
 * long as a third of it lasts at the present rate; at the bound no id is stored. The pipeline's
 * thread. */
#pragma once

#include "bindings/redis.h"

/* Measured with Redis 7.0 and jemalloc: key, value, their two entries in Redis' tables. */
#define SEEN_ID_BYTES 209

struct seen_limits {
    int64_t ids; /* the bound; 0: none, and nothing is counted */
    int ttl_s;   /* redis.seen_ttl_s */
};

struct seen_budget {
    struct seen_limits limits;
    int64_t held;     /* ids in Redis, of all processes, by the last count */
    int64_t rate;     /* ids a second, of all processes, by the last count */
    int64_t added;    /* stored by this pipeline since, in no count yet */
    int64_t counting; /* the part of `added` in the count that is under way */
    int longest_s;    /* the longest time of `added` */
    int64_t count_us; /* the next count is due then */
};

/* Takes the settings, which a reload may change. max_mb 0: no bound. */
void seen_budget_configure(struct seen_budget *budget, int max_mb, int ttl_s);
/* Seconds for which Redis keeps an id that is stored now; 0: do not store it. */
int seen_budget_ttl_s(const struct seen_budget *budget);
/* Notes `count` ids that are stored for ttl_s. Once a second it also queues the command that counts
 * them in Redis. False: err is set. */
bool seen_budget_add(struct seen_budget *budget, struct redis *redis, int64_t count, int ttl_s,
                     struct err *err);
/* The reply to that command, an array; ignores others. */
void seen_budget_take(struct seen_budget *budget, const redisReply *reply);
/* Counts ids that are not stored, or that Redis refused. */
void seen_budget_note_skipped(int64_t count);
