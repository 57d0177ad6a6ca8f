/* live: what the running program answers, as text for the terminal of standard output. */
#pragma once

#include <stdio.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/slice.h"

/* Asks the running program over its socket. `answer` is emptied first. False, with ERR_INPUT: the
 * program refused, with this text. */
bool live_ask(const char *socket, const char *verb, struct buffer *answer, struct err *err);
/* For an answer that a report cannot show, as of an older release: replaces the report's error,
 * which is logged at level debug. Returns false. */
bool live_misread(const char *socket, struct err *err);

struct live_size {
    int columns, rows; /* 0: standard output is no terminal */
};
struct live_size live_terminal_size(void);
/* Standard output is a terminal that obeys control sequences: not one with TERM=dumb or without
 * TERM. */
bool live_terminal_obeys(void);

/* Begins the object that a report gets: "columns", "rows" and "colour": false without a terminal,
 * on a dumb one, and with NO_COLOR (no-color.org). The caller adds members and the bracket. */
void live_begin(struct buffer *json);

/* Prints the object by the chunk, which gets the helpers of report_text.lua. Strings of the object
 * may hold anything: the chunk cleans them. */
bool live_print(const char *name, struct slice chunk, const struct buffer *json, FILE *out,
                struct err *err);
