/* shadow: a schema beside the live ones in the same database, with empty copies of their tables, in
 * which the view is built again. One of each kind at a time: its maker holds an advisory lock. The
 * next maker drops what an interrupted one left. */
#pragma once

#include "view/sql_session.h"
#include "view/view.h"

#define SHADOW_GROUP "shadow" /* of its offsets */

struct shadow_kind {
    const char *schema; /* a name that needs no quotes */
    int64_t lock;       /* migrate.c holds 7236014 */
    const char *makers; /* "rebuild or verify", for the error of a second maker */
    bool publishes;     /* has marks, an outbox, and all indexes for the queries of reactions */
};

struct shadow {
    const char *schema;
    struct pg *lock;   /* holds the lock, in a transaction that does nothing else */
    char *live;        /* the name of the live view's schema, quoted */
    char *search_path; /* of connections that write into the shadow; NULL: not made */
    char *qualifier;   /* theirs in place of PROGRAM_SCHEMA_QUALIFIER */
};

/* Finds the live schema, takes the lock until shadow_close, and makes the tables. False:
 * shadow_close is still to be called. */
bool shadow_create(struct shadow *shadow, struct sql_session *session,
                   const struct shadow_kind *kind, const struct view *view, struct err *err);
/* False: the connection with the lock was lost; another maker may have started. */
bool shadow_still_locked(struct shadow *shadow, struct err *err);
/* Drops the schema if it was made, unless `keep`. */
void shadow_close(struct shadow *shadow, struct sql_session *session, bool keep);
