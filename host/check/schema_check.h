/* schema_check: whether scripts fit the database: its schema against their view, and each of their
 * queries. */
#ifndef AGG_HOST_VIEW_SCHEMA_CHECK_H
#define AGG_HOST_VIEW_SCHEMA_CHECK_H

#include "script/script.h"
#include "view/sql_session.h"

enum schema_depth {
    SCHEMA_PREPARE, /* each query is prepared: while the program runs */
    /* Each is run once, too, its parameters NULL, in a transaction that is rolled back. What may be
     * the fault of the NULLs is no problem, nor is a query that takes long. Sequences move on. */
    SCHEMA_RUN,
};

/* ERR_INPUT names all columns, and queries' files with what Postgres says of them; ERR_UNAVAILABLE:
 * the database could not be asked. */
bool schema_check(struct sql_session *session, const struct script_generation *generation,
                  enum schema_depth depth, struct err *err);

#endif
