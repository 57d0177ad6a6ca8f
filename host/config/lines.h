/* lines: finds a key in the text of config.lua, for errors: Lua does not keep its line. */
#pragma once

#include "base/slice.h"

/* The line of the last `section = { … key = …` or `section.key = …`; of the section if the key is
 * missing or "". 0: not found, for example because the file computes the table. */
int config_line_of(const char *text, const char *section, const char *key);

/* The string literal of the key, escapes not decoded; len 0: none. Also of a text that Lua refuses.
 */
struct slice config_string_of(const char *text, const char *section, const char *key);
