/* migrate: applies the program's SQL files, then the service's, in order and only forward. A file
 * NNNN_name.sql is applied once; a file without a number (CREATE OR REPLACE) after each change. A
 * numbered file with the line `-- replaces CHECKSUM` (sha256sum) counts as applied if the text with
 * that checksum is. On Citus a file functions/citus/NAME.sql takes the place of functions/NAME.sql.
 */
#pragma once

#include "config/config.h"
#include "base/err.h"

struct citus_table;
struct pg;

/* Applies the missing files of program_schema_files, <scripts.sql>/migrations/NNNN_name.sql and
 * <scripts.sql>/functions/name.sql, each in a transaction under an advisory lock. The program's
 * files are applied again from the one whose table is missing. ERR_INPUT: a file has an error, has
 * changed since it was applied, or is older than the newest applied one, or the role has the name
 * of the program's schema. *applied counts the files applied, also before a failure. *on_citus: the
 * database has Citus, and migrate_distribute must follow. */
bool migrate_run(const struct config *config, int *applied, bool *on_citus, struct err *err);

/* citus_distribute, in a transaction under the same lock. */
bool migrate_distribute(const struct config *config, const struct citus_table *tables, size_t count,
                        int *done, struct err *err);

/* The name of the newest applied file of the service, which the caller owns; NULL: none is applied,
 * or a newer file waits to be. */
bool migrate_newest(const struct config *config, char **name, struct err *err);

/* Takes back that file by the lines `-- undo: ` that it had when it was applied, the last one
 * first, and applies its text on the disk, if it is there: both or neither. ERR_INPUT: it had no
 * such lines, another file has changed, or the new text has an error. */
bool migrate_redo(const struct config *config, const char *name, struct err *err);

/* The number after that of the newest file of the service. */
bool migrate_next_number(const struct config *config, int *number, struct err *err);

/* Counts the missing files. Writes nothing. */
bool migrate_pending(struct pg *pg, const struct config *config, int *pending, struct err *err);

/* ERR_INPUT names the missing tables of the program, and the command that creates them. */
bool migrate_check_tables(struct pg *pg, struct err *err);
