/* key_sites: the keys of stores in compiled code. LuaJIT before September 2023 (its commit
 * 7f9907b4) stores under NaN there and raises no error. A table that has such a key raises when it
 * grows, half grown and from a wrong frame, which may end the process. So a computed key goes
 * through a function that leaves compiled code for NaN:
 *
 *     t[x + 1] = 2    becomes    t[KEY_GUARD(x + 1)] = 2
 *
 * The interpreter raises the error then. Reads need none. */
#pragma once

#include <lua.h>
#include <stdbool.h>

#include "base/buffer.h"

/* The function's name in scripts: a byte that stands in no UTF-8 text, as FUEL_GUARD. */
#define KEY_GUARD "\xF7"

/* Creates the function of a state whose compiler is on. May raise. */
void key_sites_open(lua_State *L);
/* For __index of globals: pushes the function if the name is KEY_GUARD. False: pushes nothing. */
bool key_sites_find_global(lua_State *L, const char *name);
/* Appends the text with calls, and a local for the function, in the same lines. `text` is
 * NUL-terminated, without a first line that begins with #. False: appends nothing, no key needs it.
 */
bool key_sites_write(const char *text, struct buffer *out);
