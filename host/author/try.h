/* try: events of a file through the handlers on disk, in the sandbox, limits, extraction and merge
 * of production, in one batch. Touches nothing but the file and standard output. */
#ifndef AGG_HOST_AUTHOR_TRY_H
#define AGG_HOST_AUTHOR_TRY_H

#include "config/config.h"

struct try_options {
    const struct config *config;
    const char *handler; /* a name, with or without "handlers/" and ".lua"; NULL: by topic */
    const char *path;    /* "-": standard input */
    bool json;
};

/* What became of the events, by number. */
struct try_totals {
    size_t applied, ignored, rejected;
    size_t unread; /* of a topic that no handler declares, or not the one asked for */
};

/* Prints what came of each event, then rows and statements. False: err says what cannot be done;
 * ERR_INPUT where the question is wrong (handler, file), ERR_INTERNAL where the scripts are. */
bool try_run(const struct try_options *options, struct try_totals *totals, struct err *err);

#endif
