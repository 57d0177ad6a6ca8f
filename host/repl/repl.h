/* repl: a console's Lua state: the sandbox, modules and limits of production, a state of its own.
 * What lines assign stays for the next ones. Postgres is read-only in it. One thread. */
#ifndef AGG_HOST_SCRIPT_REPL_H
#define AGG_HOST_SCRIPT_REPL_H

#include "bindings/line_editor.h"
#include "config/config.h"
#include "base/err.h"

struct repl;

/* Loads the scripts, for `require`. NULL: err names file:line and what to do. */
struct repl *repl_create(const struct config *config, struct err *err);
void repl_destroy(struct repl *repl);

enum repl_result { REPL_DONE, REPL_INCOMPLETE, REPL_FAILED };
/* Runs an expression, `=expression` or statements, within the time of one request; prints values to
 * standard output and errors, with their traceback, to standard error. Its first line has the
 * number `line`. INCOMPLETE: nothing was run, the text wants another line. */
enum repl_result repl_run(struct repl *repl, const char *text, int line);
/* Ends the run under way; a signal handler may call it. */
void repl_interrupt(void);

/* A line_complete; the context is the repl. */
void repl_complete(void *repl, const char *line, size_t len, struct line_words *words);

#endif
