/* schema_check: checks the database's schema against the view, and each query of the scripts. */
#pragma once

#include "script/script.h"
#include "view/sql_session.h"

enum schema_depth {
    SCHEMA_PREPARE, /* prepares each query: while the program runs */
    /* Also runs each once with NULL parameters, and rolls back. Errors that the NULLs may cause,
       and timeouts, are ignored. Sequences advance. */
    SCHEMA_RUN,
};

/* ERR_INPUT names the columns, and the queries' files with Postgres' message; ERR_UNAVAILABLE: no
 * connection to the database. */
bool schema_check(struct sql_session *session, const struct script_generation *generation,
                  enum schema_depth depth, struct err *err);
