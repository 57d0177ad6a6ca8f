/* tail: where the newest events of a log begin. Pure. */
#ifndef AGG_HOST_CANARY_TAIL_H
#define AGG_HOST_CANARY_TAIL_H

#include "rebuild/log_reader.h"

/* Sets `start` of each partition so that about `events` offsets are left in all, never more. Each
 * has the same share, so that kinds of events that are rare are looked at, too; what a short one
 * leaves is the others'. */
void tail_start(struct log_partition *partitions, size_t count, int64_t events);

#endif
