/* repl_complete: completes globals, keywords, fields of tables, and in quotes names of queries and
 * modules. */
#include <ctype.h>
#include <stdlib.h>

#include "bindings/lua_names.h"
#include "base/lua_lexer.h"
#include "repl_private.h"

#define MAX_LINE 4096

struct question {
    struct repl *repl;
    const char *line; /* up to the cursor */
    struct line_words *words;
};

static bool repl_complete_in_name(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

/* ---- candidates ---------------------------------------------------------------------------- */

/* Adds the keys with the prefix, of the table at the top. */
static void repl_complete_add_keys(lua_State *L, const char *prefix, struct line_words *words) {
    size_t len = strlen(prefix);
    int table = lua_gettop(L);
    words->typed = len;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING && strncmp(lua_tostring(L, -2), prefix, len) == 0) {
            line_words_add(words, lua_tostring(L, -2));
        }
    }
}

static void repl_complete_add_keywords(const char *prefix, struct line_words *words) {
    for (size_t i = 0; i < LUA_KEYWORDS; i++) {
        if (strncmp(lua_keywords[i], prefix, strlen(prefix)) == 0) {
            line_words_add(words, lua_keywords[i]);
        }
    }
}

static int repl_complete_compare_words(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts, and drops duplicates of both globals. */
static void repl_complete_sort_words(struct line_words *words) {
    size_t kept = 0;
    qsort(words->items, words->count, sizeof *words->items, repl_complete_compare_words);
    for (size_t i = 0; i < words->count; i++) {
        if (kept > 0 && strcmp(words->items[kept - 1], words->items[i]) == 0) {
            free(words->items[i]);
        } else {
            words->items[kept++] = words->items[i];
        }
    }
    words->count = kept;
}

/* ---- where the cursor is ------------------------------------------------------------------ */

/* Begin of the string that the cursor is in; NULL: in none. */
static const char *repl_complete_open_string(const char *line) {
    const char *start = NULL;
    char quote = 0;
    for (; *line; line++) {
        if (quote && *line == '\\' && line[1]) {
            line++;
        } else if (quote && *line == quote) {
            quote = 0;
        } else if (!quote && (*line == '"' || *line == '\'')) {
            quote = *line;
            start = line + 1;
        }
    }
    return quote ? start : NULL;
}

/* Whether the text before `at` ends in `word`, then maybe a bracket and blanks. */
static bool repl_complete_follows(const char *line, const char *at, const char *word) {
    size_t len = strlen(word);
    while (at > line && strchr("( \t", at[-1])) {
        at--;
    }
    return (size_t)(at - line) >= len && strncmp(at - len, word, len) == 0;
}

/* Begin of the chain of names, dots and colons that ends at the cursor. */
static const char *repl_complete_chain_start(const char *line) {
    const char *at = line + strlen(line);
    while (at > line && (repl_complete_in_name(at[-1]) || at[-1] == '.' || at[-1] == ':')) {
        at--;
    }
    return at;
}

/* ---- fields ------------------------------------------------------------------------------- */

/* Replaces the value at the top by the table of its fields. False: none. */
static bool repl_complete_open_value(lua_State *L) {
    if (lua_type(L, -1) == LUA_TSTRING) {
        lua_pop(L, 1);
        lua_getglobal(L, "string");
    }
    if (!lua_istable(L, -1)) {
        return false;
    }
    protect_push_original(L, lua_gettop(L));
    lua_remove(L, lua_isnil(L, -1) ? -1 : -2);
    return true;
}

/* Replaces the table at the top by its field. */
static void repl_complete_enter(lua_State *L, const char *name, size_t len) {
    lua_pushlstring(L, name, len);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

/* Completes a name after `a.b.`. */
static void repl_complete_chain(lua_State *L, const struct question *question) {
    const char *at = repl_complete_chain_start(question->line);
    lua_rawgeti(L, LUA_REGISTRYINDEX, question->repl->globals_ref);
    for (bool first = true;; first = false) {
        size_t len = strcspn(at, ".:");
        if (at[len] == '\0') {
            break;
        }
        repl_complete_enter(L, at, len);
        if (first && lua_isnil(L, -1)) {
            lua_pop(L, 1);
            sandbox_push_globals(L);
            repl_complete_enter(L, at, len);
        }
        if (!repl_complete_open_value(L)) {
            return;
        }
        at += len + 1;
    }
    repl_complete_add_keys(L, at, question->words);
    if (at == repl_complete_chain_start(question->line)) {
        sandbox_push_globals(L);
        repl_complete_add_keys(L, at, question->words);
        repl_complete_add_keywords(at, question->words);
    }
}

static int repl_complete_run(lua_State *L) {
    const struct question *question = lua_touserdata(L, 1);
    const char *line = question->line, *string = repl_complete_open_string(line);
    if (!string) {
        repl_complete_chain(L, question);
    } else if (repl_complete_follows(line, string - 1, "require")) {
        names_push_modules(L);
        repl_complete_add_keys(L, string, question->words);
    } else if (repl_complete_follows(line, string - 1, ".query")) {
        names_push_queries(L);
        repl_complete_add_keys(L, string, question->words);
    }
    return 0;
}

void repl_complete(void *context, const char *line, size_t len, struct line_words *words) {
    struct repl *repl = context;
    char text[MAX_LINE];
    struct question question = {repl, text, words};
    if (len >= sizeof text) {
        return;
    }
    memcpy(text, line, len);
    text[len] = '\0';
    if (lua_cpcall(repl->instance->host.L, repl_complete_run, &question) != 0) {
        lua_pop(repl->instance->host.L, 1); /* out of memory: no words */
    }
    repl_complete_sort_words(words);
}
