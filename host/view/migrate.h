/* migrate: the schema's numbered files, applied in order and only forward. Knows the folder and
 * the table schema_migrations, nothing of what the files do. */
#ifndef AGG_HOST_VIEW_MIGRATE_H
#define AGG_HOST_VIEW_MIGRATE_H

#include "../config/config.h"
#include "../base/err.h"

struct pg;

/* Applies the files of <scripts.sql>/migrations that are missing, each in a transaction, under an
 * advisory lock. ERR_INPUT: a file is broken, has changed since it was applied, or is older than
 * the newest one applied. What was applied before a failure stays; *applied counts it. */
bool migrate_run(const struct config *config, int *applied, struct err *err);

/* How many files are missing. Writes nothing. */
bool migrate_pending(struct pg *pg, const struct config *config, int *pending, struct err *err);

#endif
