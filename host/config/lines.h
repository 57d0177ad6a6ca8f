/* lines: finds the line of a key in the text of config.lua, for errors: Lua does not keep it. */
#ifndef AGG_HOST_CONFIG_LINES_H
#define AGG_HOST_CONFIG_LINES_H

/* The line of the last `section = { … key = …` or `section.key = …`; of the section if the key is
 * missing or "". 0: not found, for example because the file computes the table. */
int config_line_of(const char *text, const char *section, const char *key);

#endif
