/* newest_records: chooses where the newest records of a log begin. Pure. */
#pragma once

#include "rebuild/log_reader.h"

/* Sets `start` of each partition so that about `events` offsets remain in all, never more. Each
 * partition has the same share, so that rare kinds of events are included; the rest of the share of
 * a short partition goes to the others. */
void newest_records_start(struct log_partition *partitions, size_t count, int64_t events);
