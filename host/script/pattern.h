/* pattern: Lua 5.1's patterns over bytes, with a time limit. Matching may take exponential time
 * ("a?" n times and "a" n times, on n letters), and no hook fires inside C, so the matcher calls
 * lua_host_check_time. */
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#define PATTERN_MAX_CAPTURES 32

struct pattern_match {
    lua_State *L; /* for errors and the time */
    const char *subject, *subject_end;
    const char *pattern, *pattern_end; /* ends in a NUL */
    int level;                         /* captures begun */
    struct {
        const char *at;
        ptrdiff_t len; /* or one of the two below */
    } captures[PATTERN_MAX_CAPTURES];
    int depth;
    size_t steps; /* since the last check of the time */
};
#define PATTERN_CAPTURE_OPEN (-1)
#define PATTERN_CAPTURE_POSITION (-2)

/* Whether the pattern has no special character. */
bool pattern_is_plain(const char *pattern, size_t len);

/* The end of a match that begins at `at`, or NULL. Raises for a bad pattern. */
const char *pattern_match_at(struct pattern_match *match, const char *at);

/* The begin of the first match at or after `at` (only at it if the pattern begins with ^), or NULL;
 * sets *end. */
const char *pattern_find(struct pattern_match *match, const char *at, const char **end);

/* Pushes a capture; index 0 of a pattern without captures is the whole match. */
void pattern_push_capture(struct pattern_match *match, int index, const char *begin,
                          const char *end);
/* Pushes all captures (without any the whole match, unless begin is NULL); returns their number. */
int pattern_push_captures(struct pattern_match *match, const char *begin, const char *end);
