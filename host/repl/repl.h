/* repl: the console's Lua state, with production's sandbox, modules and limits. Assignments stay
 * for later lines. Postgres is read-only. One thread. */
#pragma once

#include "bindings/line_editor.h"
#include "config/config.h"
#include "base/err.h"

struct repl;

/* Loads the scripts, for `require`. NULL: err names file:line and what to do. */
struct repl *repl_create(const struct config *config, struct err *err);
void repl_destroy(struct repl *repl);

enum repl_result { REPL_DONE, REPL_INCOMPLETE, REPL_FAILED };
/* Runs an expression, `=expression` or statements, within a request's time limit. Prints values to
 * standard output, errors with traceback to standard error. `line` is the number of its first line.
 * INCOMPLETE: nothing ran, the text needs another line. */
enum repl_result repl_run(struct repl *repl, const char *text, int line);
/* Ends the current run; for signal handlers. */
void repl_interrupt(void);

/* A line_complete; the context is the repl. */
void repl_complete(void *repl, const char *line, size_t len, struct line_words *words);
