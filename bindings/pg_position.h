/* pg_position: places in the database's write-ahead log (WAL), which tell whether a replica has
 * what the primary committed.
 *
 * A commit is visible at a replica as soon as pg_last_wal_replay_lsn() has passed it (PostgreSQL,
 * "System Administration Functions", 9.27.4). A promotion begins a new timeline at the place where
 * the promoted server was, so that a later timeline rules over any place of an earlier one. A
 * replica states the last timeline that it is known to follow: its place may be understated, never
 * overstated. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct pg;
struct pg_result;

struct pg_position {
    uint32_t timeline; /* 0: unknown */
    uint64_t lsn;      /* in bytes */
};

/* Timeline and LSN in hexadecimal digits; texts of one length are ordered as the positions are. */
#define PG_POSITION_DIGITS 24

bool pg_position_reached(struct pg_position at, struct pg_position wanted);
void pg_position_format(struct pg_position position, char text[PG_POSITION_DIGITS + 1]);
/* False: not PG_POSITION_DIGITS digits; the position is unknown. */
bool pg_position_parse(struct slice text, struct pg_position *position);

/* One row: the position as text, and whether the server is in recovery. Of a primary: the end of
 * all that it has committed. Of a replica: what it has replayed; received_tli of
 * pg_stat_wal_receiver is NULL without the rights of pg_read_all_stats, and then a new timeline is
 * noticed later. */
extern const char pg_position_sql[];
/* Reads that row. False: it is not such a row. */
bool pg_position_read(const struct pg_result *row, struct pg_position *position);
/* Asks the connected server. *in_recovery may be NULL. */
bool pg_position_ask(struct pg *pg, int timeout_ms, struct pg_position *position, bool *in_recovery,
                     struct err *err);
