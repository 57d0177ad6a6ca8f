#include "pg_position.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hex.h"
#include "pg.h"

#define TIMELINE_DIGITS 8

/* An LSN is shown as "16/B374D848": the halves, without leading zeros. */
#define LSN_DIGITS                                                                                 \
    "lpad(split_part(lsn::text, '/', 1), 8, '0') || lpad(split_part(lsn::text, '/', 2), 8, '0')"

const char pg_position_sql[] =
    "SELECT CASE WHEN pg_is_in_recovery() THEN ("
    "SELECT upper(lpad(to_hex(greatest(c.timeline_id, r.min_recovery_end_timeline, "
    "(SELECT received_tli FROM pg_stat_wal_receiver))), 8, '0')) || " LSN_DIGITS
    " FROM pg_control_checkpoint() c, pg_control_recovery() r, pg_last_wal_replay_lsn() AS lsn) "
    "ELSE (SELECT left(pg_walfile_name(lsn), 8) || " LSN_DIGITS
    " FROM pg_current_wal_insert_lsn() AS lsn) END, pg_is_in_recovery()";

bool pg_position_reached(struct pg_position at, struct pg_position wanted) {
    return at.timeline != wanted.timeline ? at.timeline > wanted.timeline : at.lsn >= wanted.lsn;
}

void pg_position_format(struct pg_position position, char text[PG_POSITION_DIGITS + 1]) {
    snprintf(text, PG_POSITION_DIGITS + 1, "%08" PRIX32 "%016" PRIX64, position.timeline,
             position.lsn);
}

bool pg_position_parse(struct slice text, struct pg_position *position) {
    *position = (struct pg_position){0};
    struct pg_position read = {0};
    if (text.len != PG_POSITION_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < PG_POSITION_DIGITS; i++) {
        int digit = hex_digit(text.data[i]);
        if (digit < 0) {
            return false;
        }
        if (i < TIMELINE_DIGITS) {
            read.timeline = read.timeline << 4 | (uint32_t)digit;
        } else {
            read.lsn = read.lsn << 4 | (uint64_t)digit;
        }
    }
    *position = read;
    return read.timeline > 0;
}

bool pg_position_read(const struct pg_result *row, struct pg_position *position) {
    return pg_rows_count(row) == 1 && pg_rows_column_count(row) == 2 &&
           pg_position_parse(slice_of(pg_rows_text(row, 0, 0)), position);
}

bool pg_position_ask(struct pg *pg, int timeout_ms, struct pg_position *position, bool *in_recovery,
                     struct err *err) {
    struct pg_result *row = NULL;
    if (!pg_query(pg, "wal_position", pg_position_sql, NULL, timeout_ms, &row, err)) {
        return false;
    }
    bool ok = pg_position_read(row, position) ||
              err_set(err, ERR_UNAVAILABLE, "the server does not know its place in the WAL");
    if (ok && in_recovery) {
        *in_recovery = strcmp(pg_rows_text(row, 0, 1), "t") == 0;
    }
    pg_rows_free(row);
    return ok;
}
