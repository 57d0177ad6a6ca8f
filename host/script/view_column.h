/* view_column: what columns of the view take, for both ways to merge (view_object.c, direct.c). */
#pragma once

#include "view/view.h"

/* Ids are indexed, and a row of a Postgres index holds 2704 bytes: two ids and a time fit. Checked
 * here, so that the event is rejected for every row, not only for one that is written. */
#define VIEW_ID_MAX_BYTES 1024

/* Whether an id of that length fits; true for a column without ids. */
bool view_column_takes_length(const struct view_column *column, size_t len);
/* UTF-8 without NUL. */
bool view_column_takes_text(struct slice text);
/* A whole number of 32 bits. */
bool view_column_takes_integer(double number);
/* A whole number that a double holds exactly: below 2^53 either way. */
bool view_column_takes_bigint(double number);
/* Whole microseconds since 1970, of the years 1 to 9999 in UTC, as for events: Postgres reads times
 * beyond its own range as infinity. */
bool view_column_takes_time(double number);
