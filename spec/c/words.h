/* words: sets of names from Lua tables, error messages and definition files, and their differences.
 */
#pragma once

#include <ctype.h>
#include <lua.h>

#include "test.h"

#define WORDS_MAX 160

struct words {
    char items[WORDS_MAX][96];
    size_t count;
};

static inline bool words_have(const struct words *words, const char *word) {
    for (size_t i = 0; i < words->count; i++) {
        if (strcmp(words->items[i], word) == 0) {
            return true;
        }
    }
    return false;
}

static inline void words_add(struct words *words, const char *word, size_t len) {
    char text[sizeof words->items[0]];
    snprintf(text, sizeof text, "%.*s", (int)len, word);
    if (!words_have(words, text) && words->count < WORDS_MAX) {
        memcpy(words->items[words->count++], text, sizeof text);
    }
}

static inline size_t words_name_len(const char *text) {
    size_t len = 0;
    while (isalnum((unsigned char)text[len]) || text[len] == '_') {
        len++;
    }
    return len;
}

/* The string keys of the table at the top of the stack. */
static inline void words_add_keys(struct words *words, lua_State *L) {
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            words_add(words, lua_tostring(L, -2), lua_objlen(L, -2));
        }
    }
}

/* What stands in double quotes between two places of a text. */
static inline void words_add_quoted(struct words *words, const char *at, const char *end) {
    while (at && (at = strchr(at, '"')) && at < end) {
        size_t len = strcspn(at + 1, "\"");
        words_add(words, at + 1, len);
        at += len + 2;
    }
}

/* "… there are a, b, c", which ends a line of the message. */
static inline void words_add_listed(struct words *words, const char *message) {
    const char *at = strstr(message, "there are ");
    for (at = at ? at + strlen("there are ") : ""; *at && *at != '\n'; at += strspn(at, ", ")) {
        size_t len = strcspn(at, ",\n");
        words_add(words, at, len);
        at += len;
    }
}

/* The line behind the one at `line`; NULL behind the last. */
static inline const char *words_next_line(const char *line) {
    const char *end = strchr(line, '\n');
    return end && end[1] ? end + 1 : NULL;
}

/* Names that a definition file gives below `prefix`, "pg." or "": functions and values. */
static inline void words_add_defined(struct words *words, const char *text, const char *prefix) {
    static const char keyword[] = "function ";
    for (const char *line = text; line; line = words_next_line(line)) {
        bool is_function = strncmp(line, keyword, sizeof keyword - 1) == 0;
        const char *name = line + (is_function ? sizeof keyword - 1 : 0);
        if (strncmp(name, prefix, strlen(prefix)) == 0) {
            name += strlen(prefix);
            size_t len = words_name_len(name);
            const char *behind = is_function ? "(" : " = ";
            if (len > 0 && strncmp(name + len, behind, strlen(behind)) == 0) {
                words_add(words, name, len);
            }
        }
    }
}

/* The block of comment lines of a class, from its second line; "" and a failure where it is not. */
static inline const char *words_find_class(const char *text, const char *name) {
    static const char tag[] = "---@class ";
    for (const char *line = text; line; line = words_next_line(line)) {
        const char *at = line + sizeof tag - 1;
        if (strncmp(line, tag, sizeof tag - 1) == 0 && strncmp(at, name, strlen(name)) == 0 &&
            strchr("\n:", at[strlen(name)])) {
            return words_next_line(line);
        }
    }
    TEST_FAIL("no class %s is defined", name);
    return "";
}

/* The lines of a class' fields: the one of the named field, or NULL. Adds the names to `words`
 * unless it is NULL. */
static inline const char *words_add_fields(struct words *words, const char *text, const char *class,
                                           const char *wanted) {
    static const char tag[] = "---@field ";
    const char *found = NULL, *line = words_find_class(text, class);
    for (; line && strncmp(line, tag, sizeof tag - 1) == 0; line = words_next_line(line)) {
        const char *name = line + sizeof tag - 1;
        size_t len = words_name_len(name);
        if (len > 0 && words) {
            words_add(words, name, len);
        }
        if (wanted && strlen(wanted) == len && strncmp(name, wanted, len) == 0) {
            found = name;
        }
    }
    return found;
}

/* Says of each difference what to do. */
static inline void words_check_same(const char *owner, const struct words *real,
                                    const struct words *defined) {
    for (size_t i = 0; i < real->count; i++) {
        if (!words_have(defined, real->items[i])) {
            TEST_FAIL("%s: \"%s\" is not in docs/types: define it", owner, real->items[i]);
        }
    }
    for (size_t i = 0; i < defined->count; i++) {
        if (!words_have(real, defined->items[i])) {
            TEST_FAIL("%s: docs/types has \"%s\", the program has not: take it out", owner,
                      defined->items[i]);
        }
    }
    if (real->count == 0) {
        TEST_FAIL("%s: nothing was found to compare", owner);
    }
}
