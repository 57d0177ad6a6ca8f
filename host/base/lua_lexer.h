/* lua_lexer: splits a Lua text into tokens, to find the line of a declaration. */
#pragma once

#include "slice.h"

/* NAME: a name, keyword, number or short string. OTHER: one character, a comparison or a long
 * string. */
enum lua_token { LUA_TOKEN_END, LUA_TOKEN_NAME, LUA_TOKEN_OTHER };

struct lua_lexer {
    const char *at;    /* begin: the text, NUL-terminated */
    int line;          /* begin: 1 */
    int token_line;    /* where the token begins */
    struct slice text; /* of a NAME; a string's without its quotes */
    char quote;        /* of a NAME that is a string: its quote; else NUL */
    char mark;         /* of an OTHER: its character, '?' for a comparison */
};

enum lua_token lua_lexer_next(struct lua_lexer *lexer);
