/* pattern: Lua 5.1's patterns over bytes, on a budget. Matching can take longer than anyone waits
 * ("a?" n times and "a" n times, on n letters), and inside C no hook fires: this matcher looks at
 * the clock as it goes (lua_host_check_time), which Lua's own does not. */
#ifndef AGG_HOST_SCRIPT_PATTERN_H
#define AGG_HOST_SCRIPT_PATTERN_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#define PATTERN_MAX_CAPTURES 32

struct pattern_match {
    lua_State *L; /* for errors in the pattern, and the clock */
    const char *subject, *subject_end;
    const char *pattern, *pattern_end; /* ends in a NUL */
    int level;                         /* captures begun */
    struct {
        const char *at;
        ptrdiff_t len; /* or one of the two below */
    } captures[PATTERN_MAX_CAPTURES];
    int depth;
    size_t steps; /* since the clock was looked at */
};
#define PATTERN_CAPTURE_OPEN (-1)
#define PATTERN_CAPTURE_POSITION (-2)

/* Whether any character of it means something other than itself. */
bool pattern_is_plain(const char *pattern, size_t len);

/* The end of a match that begins exactly at `at`, or NULL. Raises what is wrong with the pattern.
 */
const char *pattern_match_at(struct pattern_match *match, const char *at);

/* The first match at or after `at` (only at it where the pattern begins with ^): its begin, or
 * NULL; *end is set. */
const char *pattern_find(struct pattern_match *match, const char *at, const char **end);

/* Pushes capture `index`; index 0 of a pattern without captures is the whole match. */
void pattern_push_capture(struct pattern_match *match, int index, const char *begin,
                          const char *end);
/* Pushes all of them (of a pattern without any the whole match, unless begin is NULL); returns how
 * many. */
int pattern_push_captures(struct pattern_match *match, const char *begin, const char *end);

#endif
