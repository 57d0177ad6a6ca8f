#include "lua_lexer.h"

#include <ctype.h>

/* LuaJIT's names may have any byte above 0x7F. */
static bool lua_lexer_is_name(char c) {
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static void lua_lexer_advance(struct lua_lexer *lexer, size_t count) {
    for (; count > 0 && *lexer->at; count--, lexer->at++) {
        lexer->line += *lexer->at == '\n';
    }
}

/* The number of '=' in the opening long bracket at `at`; -1: none. */
static int lua_lexer_long_bracket(const char *at) {
    size_t level = at[0] == '[' ? strspn(at + 1, "=") : 0;
    return at[0] == '[' && at[1 + level] == '[' ? (int)level : -1;
}

static void lua_lexer_skip_long(struct lua_lexer *lexer, int level) {
    const char *end = strchr(lexer->at, ']');
    while (end && (strspn(end + 1, "=") != (size_t)level || end[1 + level] != ']')) {
        end = strchr(end + 1, ']');
    }
    lua_lexer_advance(lexer, end ? (size_t)(end - lexer->at + level) + 2 : strlen(lexer->at));
}

static void lua_lexer_skip_blank(struct lua_lexer *lexer) {
    for (;;) {
        lua_lexer_advance(lexer, strspn(lexer->at, " \t\r\n\f\v"));
        if (strncmp(lexer->at, "--", 2) != 0) {
            return;
        }
        lua_lexer_advance(lexer, 2);
        int level = lua_lexer_long_bracket(lexer->at);
        if (level >= 0) {
            lua_lexer_skip_long(lexer, level);
        } else {
            lua_lexer_advance(lexer, strcspn(lexer->at, "\r\n"));
        }
    }
}

static void lua_lexer_skip_string(struct lua_lexer *lexer) {
    char quote = lexer->quote = *lexer->at;
    const char *end = lexer->at + 1;
    while (*end && *end != quote) {
        end += *end == '\\' && end[1] ? 2 : 1;
    }
    lexer->text = (struct slice){lexer->at + 1, (size_t)(end - lexer->at - 1)};
    lua_lexer_advance(lexer, (size_t)(end - lexer->at) + 1);
}

enum lua_token lua_lexer_next(struct lua_lexer *lexer) {
    lua_lexer_skip_blank(lexer);
    lexer->token_line = lexer->line;
    const char *at = lexer->at;
    size_t len = 0;
    lexer->quote = '\0';
    while (lua_lexer_is_name(at[len])) {
        len++;
    }
    if (len > 0) {
        lexer->text = (struct slice){at, len};
        lua_lexer_advance(lexer, len);
        return LUA_TOKEN_NAME;
    }
    if (*at == '"' || *at == '\'') {
        lua_lexer_skip_string(lexer);
        return LUA_TOKEN_NAME;
    }
    lexer->mark = *at;
    if (lua_lexer_long_bracket(at) >= 0) {
        lua_lexer_skip_long(lexer, lua_lexer_long_bracket(at));
    } else if (at[0] && strchr("=~<>", at[0]) && at[1] == '=') { /* a comparison */
        lexer->mark = '?';
        lua_lexer_advance(lexer, 2);
    } else {
        lua_lexer_advance(lexer, 1);
    }
    return lexer->mark ? LUA_TOKEN_OTHER : LUA_TOKEN_END;
}
