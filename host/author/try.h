/* try: runs the events of a file through the handlers on the disk, under the sandbox, limits,
 * extraction and merge of production, in one batch. Touches only files and standard output. */
#pragma once

#include "config/config.h"

struct try_options {
    const struct config *config;
    const char *handler; /* a name, with or without "handlers/" and ".lua"; NULL: by topic */
    const char *path;    /* "-": standard input */
    const char *stubs;   /* a file that sets what the bindings reply; NULL: they fail */
    bool json;
};

/* Numbers of events by outcome. */
struct try_totals {
    size_t applied, ignored, expired, rejected;
    size_t unread; /* of a topic that no handler, or not the chosen one, declares */
};

/* Prints each outcome, then rows and statements. ERR_INPUT: handler or file are wrong;
 * ERR_INTERNAL: the scripts are. */
bool try_run(const struct try_options *options, struct try_totals *totals, struct err *err);
