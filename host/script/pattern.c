/* pattern: backtracking by recursion, one level per capture or repetition. Section 5.4.1 of
 * Lua 5.1's manual defines the items. `at` is a place in the subject, `p` one in the pattern. */
#include "pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "script_private.h"

#define MAX_DEPTH 200
#define STEPS_BETWEEN_CHECKS 10000 /* about 50 µs */

static const char *pattern_match_here(struct pattern_match *m, const char *at, const char *p);

static void pattern_spend(struct pattern_match *m, size_t steps) {
    m->steps += steps;
    if (m->steps >= STEPS_BETWEEN_CHECKS) {
        m->steps = 0;
        lua_host_check_time(m->L);
    }
}

/* ---- one character ------------------------------------------------------------------------ */

static bool pattern_in_class(unsigned char c, unsigned char class) {
    static const struct {
        char letter;
        int (*has)(int c);
    } classes[] = {{'a', isalpha}, {'c', iscntrl}, {'d', isdigit}, {'g', isgraph}, {'l', islower},
                   {'p', ispunct}, {'s', isspace}, {'u', isupper}, {'w', isalnum}, {'x', isxdigit}};
    int letter = tolower(class);
    bool in = c == '\0';
    size_t i = 0;
    while (i < sizeof classes / sizeof *classes && classes[i].letter != letter) {
        i++;
    }
    if (i < sizeof classes / sizeof *classes) {
        in = classes[i].has(c) != 0;
    } else if (letter != 'z') {
        return class == c;
    }
    return isupper(class) ? !in : in;
}

/* The end of the single-character item at p: c, %c or [set]. */
static const char *pattern_item_end(struct pattern_match *m, const char *p) {
    const char *end = m->pattern_end;
    if (*p == '%') {
        if (p + 1 >= end) {
            luaL_error(m->L, "malformed pattern (ends with '%%')");
        }
        return p + 2;
    }
    if (*p != '[') {
        return p + 1;
    }
    p += p[1] == '^' ? 2 : 1;
    do { /* the first character may be ] */
        if (p >= end) {
            luaL_error(m->L, "malformed pattern (missing ']')");
        }
        p += *p == '%' && p + 1 < end ? 2 : 1;
    } while (p >= end || *p != ']');
    return p + 1;
}

/* p is the opening bracket, last the closing one. */
static bool pattern_in_set(struct pattern_match *m, unsigned char c, const char *p,
                           const char *last) {
    bool wanted = p[1] != '^';
    pattern_spend(m, (size_t)(last - p));
    for (p += wanted ? 1 : 2; p < last; p++) {
        if (*p == '%') {
            if (pattern_in_class(c, (unsigned char)*++p)) {
                return wanted;
            }
        } else if (p[1] == '-' && p + 2 < last) {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2]) {
                return wanted;
            }
            p += 2;
        } else if ((unsigned char)*p == c) {
            return wanted;
        }
    }
    return !wanted;
}

static bool pattern_matches_one(struct pattern_match *m, const char *at, const char *p,
                                const char *end) {
    pattern_spend(m, 1);
    if (at >= m->subject_end) {
        return false;
    }
    unsigned char c = (unsigned char)*at;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return pattern_in_class(c, (unsigned char)p[1]);
    case '[':
        return pattern_in_set(m, c, p, end - 1);
    default:
        return (unsigned char)*p == c;
    }
}

/* ---- repetitions -------------------------------------------------------------------------- */

/* The most first, then fewer. */
static const char *pattern_repeat_most(struct pattern_match *m, const char *at, const char *p,
                                       const char *end) {
    ptrdiff_t count = 0;
    while (pattern_matches_one(m, at + count, p, end)) {
        count++;
    }
    for (; count >= 0; count--) {
        const char *found = pattern_match_here(m, at + count, end + 1);
        if (found) {
            return found;
        }
    }
    return NULL;
}

/* None first, then more. */
static const char *pattern_repeat_least(struct pattern_match *m, const char *at, const char *p,
                                        const char *end) {
    for (;; at++) {
        const char *found = pattern_match_here(m, at, end + 1);
        if (found) {
            return found;
        }
        if (!pattern_matches_one(m, at, p, end)) {
            return NULL;
        }
    }
}

/* ---- captures and the like ---------------------------------------------------------------- */

static const char *pattern_open_capture(struct pattern_match *m, const char *at, const char *p,
                                        ptrdiff_t kind) {
    if (m->level >= PATTERN_MAX_CAPTURES) {
        luaL_error(m->L, "too many captures");
    }
    m->captures[m->level].at = at;
    m->captures[m->level].len = kind;
    m->level++;
    const char *found = pattern_match_here(m, at, p);
    if (!found) {
        m->level--;
    }
    return found;
}

static const char *pattern_close_capture(struct pattern_match *m, const char *at, const char *p) {
    int open = m->level - 1;
    while (open >= 0 && m->captures[open].len != PATTERN_CAPTURE_OPEN) {
        open--;
    }
    if (open < 0) {
        luaL_error(m->L, "invalid pattern capture");
        return NULL;
    }
    m->captures[open].len = at - m->captures[open].at;
    const char *found = pattern_match_here(m, at, p);
    if (!found) {
        m->captures[open].len = PATTERN_CAPTURE_OPEN;
    }
    return found;
}

/* %1 to %9: the captured text again. */
static const char *pattern_match_again(struct pattern_match *m, const char *at, char digit) {
    int index = digit - '1';
    if (index < 0 || index >= m->level || m->captures[index].len == PATTERN_CAPTURE_OPEN) {
        luaL_error(m->L, "invalid capture index");
    }
    ptrdiff_t len = m->captures[index].len;
    if (len < 0) {
        return NULL; /* a position has no text */
    }
    pattern_spend(m, (size_t)len);
    bool same = m->subject_end - at >= len && memcmp(m->captures[index].at, at, (size_t)len) == 0;
    return same ? at + len : NULL;
}

/* %bxy: from x to the y that balances it. */
static const char *pattern_match_balanced(struct pattern_match *m, const char *at, const char *p) {
    if (p + 3 >= m->pattern_end) {
        luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
    }
    if (at >= m->subject_end || *at != p[2]) {
        return NULL;
    }
    int open = 1;
    while (++at < m->subject_end) {
        pattern_spend(m, 1);
        if (*at == p[3]) {
            if (--open == 0) {
                return at + 1;
            }
        } else if (*at == p[2]) {
            open++;
        }
    }
    return NULL;
}

/* %f[set]: between a character outside the set and one inside. */
static bool pattern_at_frontier(struct pattern_match *m, const char *at, const char *p,
                                const char **end) {
    if (*p != '[') {
        luaL_error(m->L, "missing '[' after '%%f' in pattern");
    }
    *end = pattern_item_end(m, p);
    unsigned char before = at == m->subject ? '\0' : (unsigned char)at[-1];
    unsigned char here = at == m->subject_end ? '\0' : (unsigned char)*at;
    return !pattern_in_set(m, before, p, *end - 1) && pattern_in_set(m, here, p, *end - 1);
}

/* ---- the pattern from p on ---------------------------------------------------------------- */

/* %b, %f and %1: moves both places past the item. False: no match. */
static bool pattern_match_special(struct pattern_match *m, const char **at, const char **p) {
    if ((*p)[1] == 'f') {
        return pattern_at_frontier(m, *at, *p + 2, p);
    }
    bool balanced = (*p)[1] == 'b';
    *at = balanced ? pattern_match_balanced(m, *at, *p) : pattern_match_again(m, *at, (*p)[1]);
    *p += balanced ? 4 : 2;
    return *at != NULL;
}

static bool pattern_is_special(const char *p) {
    return p[0] == '%' && (p[1] == 'b' || p[1] == 'f' || isdigit((unsigned char)p[1]));
}

static const char *pattern_match_items(struct pattern_match *m, const char *at, const char *p) {
    while (p < m->pattern_end) {
        if (*p == '(') {
            return p[1] == ')' ? pattern_open_capture(m, at, p + 2, PATTERN_CAPTURE_POSITION)
                               : pattern_open_capture(m, at, p + 1, PATTERN_CAPTURE_OPEN);
        }
        if (*p == ')') {
            return pattern_close_capture(m, at, p + 1);
        }
        if (*p == '$' && p + 1 == m->pattern_end) {
            return at == m->subject_end ? at : NULL;
        }
        if (pattern_is_special(p)) {
            if (!pattern_match_special(m, &at, &p)) {
                return NULL;
            }
            continue;
        }
        const char *end = pattern_item_end(m, p);
        char suffix = end < m->pattern_end ? *end : '\0';
        if (suffix == '*') {
            return pattern_repeat_most(m, at, p, end);
        }
        if (suffix == '-') {
            return pattern_repeat_least(m, at, p, end);
        }
        bool one = pattern_matches_one(m, at, p, end);
        if (suffix == '+') {
            return one ? pattern_repeat_most(m, at + 1, p, end) : NULL;
        }
        if (suffix == '?') {
            const char *found = one ? pattern_match_here(m, at + 1, end + 1) : NULL;
            if (found) {
                return found;
            }
            p = end + 1;
        } else if (one) {
            at++;
            p = end;
        } else {
            return NULL;
        }
    }
    return at;
}

static const char *pattern_match_here(struct pattern_match *m, const char *at, const char *p) {
    if (++m->depth > MAX_DEPTH) {
        luaL_error(m->L, "pattern too complex");
    }
    pattern_spend(m, 1);
    const char *found = pattern_match_items(m, at, p);
    m->depth--;
    return found;
}

const char *pattern_match_at(struct pattern_match *match, const char *at) {
    match->level = 0;
    match->depth = 0;
    return pattern_match_here(match, at, match->pattern);
}

const char *pattern_find(struct pattern_match *match, const char *at, const char **end) {
    const char *pattern = match->pattern;
    bool anchored = pattern < match->pattern_end && *pattern == '^';
    match->pattern += anchored;
    do {
        *end = pattern_match_at(match, at);
    } while (!*end && !anchored && ++at <= match->subject_end);
    match->pattern = pattern;
    return *end ? at : NULL;
}

bool pattern_is_plain(const char *pattern, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (pattern[i] && strchr("^$*+?.([%-", pattern[i])) {
            return false;
        }
    }
    return true;
}

void pattern_push_capture(struct pattern_match *match, int index, const char *begin,
                          const char *end) {
    lua_State *L = match->L;
    if (index >= match->level) {
        if (index != 0) {
            luaL_error(L, "invalid capture index");
        }
        lua_pushlstring(L, begin, (size_t)(end - begin));
        return;
    }
    ptrdiff_t len = match->captures[index].len;
    if (len == PATTERN_CAPTURE_OPEN) {
        luaL_error(L, "unfinished capture");
    } else if (len == PATTERN_CAPTURE_POSITION) {
        lua_pushinteger(L, match->captures[index].at - match->subject + 1);
    } else {
        lua_pushlstring(L, match->captures[index].at, (size_t)len);
    }
}

int pattern_push_captures(struct pattern_match *match, const char *begin, const char *end) {
    int count = match->level == 0 && begin ? 1 : match->level;
    luaL_checkstack(match->L, count, "too many captures");
    for (int i = 0; i < count; i++) {
        pattern_push_capture(match, i, begin, end);
    }
    return count;
}
