/* redis_sentinel: asks Redis Sentinels for the address of the primary, as
 * https://redis.io/docs/latest/develop/reference/sentinel-clients/ describes. */
#pragma once

#include "redis_link.h"

/* Asks the address' Sentinels in turn, from *first on, which is then the one that replied; a silent
 * one takes its share of the time. Sets the address' host and port. Uses the link and leaves it
 * open. False: err says what the last one replied; *unfit: it is no Sentinel. */
bool redis_sentinel_find(struct redis_link *link, struct redis_address *address, size_t *first,
                         bool *unfit, int64_t deadline_us, struct err *err);
