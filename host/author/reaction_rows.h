/* reaction_rows: asks the database for the rows of a reaction's query, read-only. */
#pragma once

#include "bindings/pg_rows.h"
#include "script/script.h"

struct reaction_keys {
    const char *const *items;
    size_t count;
};

/* *path gets that of the query, borrowed from the generation. The caller frees *rows. False: err
 * names the query, or the database. */
bool reaction_rows_ask(const struct script_generation *generation,
                       const struct script_reaction *reaction, const struct reaction_keys *keys,
                       const char **path, struct pg_result **rows, struct err *err);
/* Whether a row has the key. */
bool reaction_rows_have(const struct pg_result *rows, struct slice key);
