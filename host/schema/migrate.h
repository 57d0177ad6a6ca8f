/* migrate: the program's own files, then the service's, applied in order and only forward. A file
 * NNNN_name.sql is applied once; one without a number, which must say CREATE OR REPLACE, whenever
 * its text has changed. A numbered file with the line `-- replaces CHECKSUM` stands for the text
 * with that checksum (sha256sum), where that is applied. Knows nothing of what the files do. */
#ifndef AGG_HOST_SCHEMA_MIGRATE_H
#define AGG_HOST_SCHEMA_MIGRATE_H

#include "config/config.h"
#include "base/err.h"

struct pg;

/* Applies what is missing of program_schema_files, <scripts.sql>/migrations/NNNN_name.sql and
 * <scripts.sql>/functions/name.sql, each file in a transaction, under an advisory lock. ERR_INPUT:
 * a file is broken, a numbered one has changed since it was applied, or is older than the newest
 * one applied. What was applied before a failure stays; *applied counts it. */
bool migrate_run(const struct config *config, int *applied, struct err *err);

/* How many files are missing. Writes nothing. */
bool migrate_pending(struct pg *pg, const struct config *config, int *pending, struct err *err);

#endif
