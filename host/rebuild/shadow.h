/* shadow: a schema beside the live ones in the same database, with empty tables of the same form,
 * the view's and the program's own, into which the view is built anew. Only one of each kind at a
 * time: its maker holds an advisory lock. What was left where one was interrupted is dropped by the
 * next. */
#ifndef AGG_HOST_REBUILD_SHADOW_H
#define AGG_HOST_REBUILD_SHADOW_H

#include "view/sql_session.h"
#include "view/view.h"

#define SHADOW_GROUP "shadow" /* whose offsets stand in it */

struct shadow_kind {
    const char *schema; /* a name that needs no quotes */
    int64_t lock;       /* migrate.c holds 7236014 */
    const char *makers; /* "rebuild or verify", for whoever comes second */
    bool
        publishes; /* with marks and an outbox of its own, and all indexes for reactions' queries */
};

struct shadow {
    const char *schema;
    struct pg *lock;   /* holds the lock in a transaction that does nothing else */
    char *live;        /* the name of the live view's schema, quoted */
    char *search_path; /* of connections that write into the shadow; NULL: it is not ours */
    char *qualifier;   /* which they have in the place of PROGRAM_SCHEMA_QUALIFIER */
};

/* Finds the live schema, takes the lock until shadow_close, and makes the tables. False:
 * shadow_close is still to be called. */
bool shadow_create(struct shadow *shadow, struct sql_session *session,
                   const struct shadow_kind *kind, const struct view *view, struct err *err);
/* False: the connection that held the lock was lost, another may be at work meanwhile. */
bool shadow_still_locked(struct shadow *shadow, struct err *err);
/* Drops the schema, if this one has made it and it shall not be kept. */
void shadow_close(struct shadow *shadow, struct sql_session *session, bool keep);

#endif
