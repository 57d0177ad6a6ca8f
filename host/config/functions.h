/* functions: the program's functions for config.lua. Private to config. */
#ifndef AGG_HOST_CONFIG_FUNCTIONS_H
#define AGG_HOST_CONFIG_FUNCTIONS_H

#include <lua.h>

#include "config.h"

/* Sets the globals:
 *   env(name, default)   the variable, or the default if it is unset or empty
 *   env_or_file(name)    the variable, or the text of the file that NAME_FILE names, or nil; a file
 *                        that is missing, empty or over 8 KiB raises
 *   list(text)           the items of "a, b" or of a JSON list of strings; nil: none
 * `files`, which outlives the state, receives the paths that env_or_file reads. */
void config_functions_register(lua_State *L, struct config_strings *files);

#endif
