/* fuel: the time limit of compiled code. LuaJIT's compiled code calls no hook. So when a script's
 * text is loaded, a call of a guard is put at the head of each function and loop, and before each
 * goto. The guard counts down; at zero it reads the clock, and raises after the deadline. */
#pragma once

#include <lua.h>

#include "base/slice.h"

/* The guard's name in scripts: one byte that stands in no UTF-8 text. The lexer of LuaJIT takes it
 * for a name, and fuel_load refuses a script that has it. */
#define FUEL_GUARD "\xF5"

/* A script's text; borrowed. NUL-terminated. */
struct fuel_source {
    struct slice text;
    const char *chunk_name; /* "@path" */
    bool interpreted;       /* its functions are never compiled */
};

/* Creates the guard of a state whose compiler is on. May raise. */
void fuel_open(lua_State *L);
/* For __index of globals: pushes the guard if the key at `at` is its name. False: pushes nothing.
 */
bool fuel_find_global(lua_State *L, int at);
/* Loads a script's text, with guards if the state's compiler is on, as luaL_loadbufferx does with
 * "t": 0, and the function at the top; or an error code, and the message. Lines keep their numbers,
 * and a syntax error is that of the text without guards. Every text of a script is loaded here. */
int fuel_load(lua_State *L, const struct fuel_source *source);
