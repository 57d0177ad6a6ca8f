/* functions: the program's functions for config.lua. Private to config. */
#pragma once

#include "reader.h"

/* Sets the globals:
 *   env(name, default)          the variable, or the default if it is unset or empty
 *   env_or_file(name, default)  the variable, or the text of the file that NAME_FILE names, or the
 *                               default; a file that is missing, empty or over 8 KiB is a problem
 *                               of the configuration
 *   list(text)                  the items of "a, b" or of a JSON list of strings; nil: none
 *   print(…)                    as Lua's, to standard error, with the line
 * The reader outlives the state, and receives what they read. */
void config_functions_register(struct config_reader *reader);

/* Pushes what env_or_file gives; false: nothing, not a default. L: of the reader, or a coroutine.
 */
bool config_push_secret(lua_State *L, struct config_reader *reader, const char *name);
#define CONFIG_LIST_RULE "a list that begins with [ must be a JSON list of strings"
/* Pushes what list gives. False: pushes another value. */
bool config_push_list(lua_State *L, const char *text);
/* Pushes the table of "name=value, name=value" or of a JSON object. False: pushes another value. */
bool config_push_map(lua_State *L, const char *text);
