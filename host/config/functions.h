/* functions: what config.lua may call besides Lua's own base, string and table libraries. */
#ifndef AGG_HOST_CONFIG_FUNCTIONS_H
#define AGG_HOST_CONFIG_FUNCTIONS_H

#include <lua.h>

#include "config.h"

/* Globals of the state:
 *   env(name, default)   the variable where it is set and not empty, else the default
 *   env_or_file(name)    the variable, or the contents of the file that NAME_FILE names without the
 *                        line end, or nil; a file that is missing, empty or over 8 KiB raises
 *   list(text)           the items of "a, b" or of a JSON list of strings; nil gives none
 * `files` gets the names of the files that env_or_file reads; it outlives the state. */
void config_functions_register(lua_State *L, struct config_strings *files);

#endif
