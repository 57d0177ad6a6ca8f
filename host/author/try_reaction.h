/* try_reaction: calls a reaction on the disk for the rows of a file, or for those that its query
 * gives for keys, as production does. Writes standard output alone; the database is read-only. */
#pragma once

#include <stddef.h>

#include "config/config.h"

struct try_reaction_options {
    const struct config *config;
    const char *reaction; /* a name, with or without "reactions/" and ".lua" */
    const char *path;     /* of a JSON object, or a list of them; "-": standard input; NULL: keys */
    const char *const *keys; /* for :keys of its query */
    size_t key_count;
    bool json;
};

/* Prints what each row would publish. *failed: the number of rows for which the reaction fails.
 * ERR_INPUT: reaction or file are wrong; ERR_INTERNAL: the scripts are; others: of the database. */
bool try_reaction_run(const struct try_reaction_options *options, size_t *failed, struct err *err);
