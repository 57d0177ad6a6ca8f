/* Unknown words in declarations: refused, with the nearest known one. */
#include "script_private.h"

#define MAX_WORD 32

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Edits (a letter more, less or another, or two neighbours swapped) that make one the other. */
static size_t distance(const char *a, const char *b) {
    size_t a_len = strlen(a), b_len = strlen(b);
    size_t rows[MAX_WORD + 1][MAX_WORD + 1];
    if (a_len > MAX_WORD || b_len > MAX_WORD) {
        return MAX_WORD;
    }
    for (size_t i = 0; i <= a_len; i++) {
        for (size_t j = 0; j <= b_len; j++) {
            if (i == 0 || j == 0) {
                rows[i][j] = i + j;
                continue;
            }
            size_t change = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            size_t best = smaller(change, smaller(rows[i - 1][j], rows[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = smaller(best, rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    return rows[a_len][b_len];
}

bool manifest_refuse(struct err *err, const char *owner, const char *what, const char *word,
                     const char *const *known) {
    const char *nearest = NULL;
    size_t least = strlen(word) / 2 + 1;
    struct buffer all = {0};
    for (size_t i = 0; known[i]; i++) {
        size_t edits = distance(word, known[i]);
        if (edits < least) {
            least = edits;
            nearest = known[i];
        }
        buffer_append_format(&all, "%s%s", i ? ", " : "", known[i]);
    }
    if (nearest) {
        err_set(err, ERR_INPUT, "%s: no %s \"%s\": did you mean \"%s\"?", owner, what, word,
                nearest);
    } else {
        err_set(err, ERR_INPUT, "%s: no %s \"%s\": there are %s", owner, what, word, all.data);
    }
    buffer_free(&all);
    return false;
}

static bool is_known(const char *word, const char *const *known) {
    for (size_t i = 0; known[i]; i++) {
        if (strcmp(word, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool manifest_check_keys(lua_State *L, const char *owner, const char *const *known,
                         struct err *err) {
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING && !is_known(lua_tostring(L, -2), known)) {
            manifest_refuse(err, owner, "key", lua_tostring(L, -2), known);
            lua_pop(L, 2);
            return false;
        }
    }
    return true;
}
