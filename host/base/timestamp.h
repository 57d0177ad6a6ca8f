/* timestamp: ISO 8601 / RFC 3339 text to microseconds or days since the Unix epoch, and back. */
#pragma once

#include <math.h>
#include <stdint.h>

#include "slice.h"

#define TIMESTAMP_TEXT_CAP 40
#define TIMESTAMP_FIRST_US (-62135596800000000LL) /* 0001-01-01T00:00:00Z */
#define TIMESTAMP_LAST_US 253402300799999999LL    /* 9999-12-31T23:59:59.999999Z */
/* What timestamp_parse and date_parse take, for errors. */
#define TIMESTAMP_WANTED "a time of the years 1 to 9999"
#define DATE_WANTED "a date of the years 1 to 9999, such as 2025-06-28"

/* "2025-06-28T08:00:25.606288Z", "+02:00" / "+0200" / "+02" offsets, a space instead of T, no
 * seconds, 1 to 9 fraction digits (cut after six), no zone = UTC. False for anything else, or for
 * years outside 1..9999 in UTC. */
bool timestamp_parse(struct slice text, int64_t *unix_us);
/* "2025-06-28T08:00:25.606288Z"; returns the length without NUL. */
size_t timestamp_format(int64_t unix_us, char out[TIMESTAMP_TEXT_CAP]);

/* Whether a number of Lua is such a time: whole, of the years 1 to 9999. The last one is no double:
 * it is rounded to the first that is too late. */
static inline bool timestamp_is_time(double unix_us) {
    return unix_us >= (double)TIMESTAMP_FIRST_US && unix_us < (double)TIMESTAMP_LAST_US &&
           unix_us == floor(unix_us);
}

#define DATE_TEXT_LEN 10
/* "2025-06-28" (full-date of RFC 3339) of the years 1 to 9999, as days since 1970-01-01. */
bool date_parse(struct slice text, int64_t *unix_days);
/* "2025-06-28" */
void date_format(int64_t unix_days, char out[DATE_TEXT_LEN + 1]);
