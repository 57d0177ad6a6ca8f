/* Shared by the files of the console. */
#pragma once

#include "repl.h"
#include "script/script_private.h"

struct repl {
    struct script_generation *generation;
    struct script_instance *instance;
    int globals_ref;      /* the lines' globals: bindings, and what they assign */
    int show_ref;         /* the function that shows a value */
    int complete_ref;     /* the function that completes a line */
    struct buffer output; /* scratch; here, so that a raised error leaks nothing */
};

/* Push the functions of repl_show.lua and repl_complete.lua. */
void repl_show_push(lua_State *L);
void repl_complete_push(lua_State *L, int globals_ref);
/* Pushes the chunk; raises if it has an error. */
void repl_push_chunk(lua_State *L, const unsigned char *chunk, size_t len, const char *name);
/* Pushes two functions for chunks: original(value), the table behind a proxy or nil, and next. */
void repl_push_raw(lua_State *L);
