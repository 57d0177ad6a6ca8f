/* lines: where in config.lua a key is written, for messages. Lua does not keep the lines of
 * a table's fields, so the text is read: comments, strings and nesting are understood, programs
 * that compute the configuration in other ways are not (0 then). */
#ifndef AGG_HOST_CONFIG_LINES_H
#define AGG_HOST_CONFIG_LINES_H

/* The largest configuration file that is read. */
#define CONFIG_TEXT_MAX_BYTES (1024UL * 1024)

/* The line of `section = { … key = …`, or of `section.key = …`; of the section where the key is not
 * there or "". The last one counts, as in Lua. 0: not found, or the file cannot be read. */
int config_line_of(const char *path, const char *section, const char *key);

#endif
