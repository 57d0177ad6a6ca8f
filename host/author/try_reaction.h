/* try_reaction: a reaction on the disk called for rows of a file, as production calls it for those
 * of its query. Touches nothing but the file and standard output. */
#ifndef AGG_HOST_AUTHOR_TRY_REACTION_H
#define AGG_HOST_AUTHOR_TRY_REACTION_H

#include <stddef.h>

#include "config/config.h"

struct try_reaction_options {
    const struct config *config;
    const char *reaction; /* a name, with or without "reactions/" and ".lua" */
    const char *path;     /* of a JSON object, or a list of them; "-": standard input */
    bool json;
};

/* Prints what would be published of each row. *failed: the rows for which the reaction fails.
 * False: err says what cannot be done; ERR_INPUT where the question is wrong (reaction, file),
 * ERR_INTERNAL where the scripts are. */
bool try_reaction_run(const struct try_reaction_options *options, size_t *failed, struct err *err);

#endif
