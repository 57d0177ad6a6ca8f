/* migration_files: the SQL files that migrate.h applies: the program's, which the binary carries,
 * then the service's in scripts.sql. */
#pragma once

#include "base/buffer.h"
#include "base/err.h"
#include "config/config.h"

#define MIGRATION_UNNUMBERED (-1)

enum migration_owner { MIGRATION_OF_PROGRAM, MIGRATION_OF_SERVICE, MIGRATION_OWNERS };

struct migration {
    enum migration_owner owner;
    int version;        /* or MIGRATION_UNNUMBERED */
    struct buffer name; /* of the file; with the folder if it has no number */
    struct buffer sql;
};

struct migrations {
    struct migration *items;
    size_t count;
    bool on_citus;
};

/* Reads all, in the order of application. The folder of the functions may be missing. on_citus:
 * with the program's functions for Citus, and <scripts.sql>/functions/citus/NAME.sql takes the
 * place of functions/NAME.sql. ERR_INPUT names the file. The caller frees also after false. */
bool migration_files_read(const struct config *config, bool on_citus, struct migrations *migrations,
                          struct err *err);
/* The service's numbered files alone. */
bool migration_files_read_numbered(const struct config *config, struct migrations *migrations,
                                   struct err *err);
void migration_files_free(struct migrations *migrations);

/* False: the name does not begin with four digits and "_". */
bool migration_files_version(const char *name, int *version);
