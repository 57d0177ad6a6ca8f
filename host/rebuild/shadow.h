/* shadow: a schema beside the live one in the same database, with empty tables of the same form,
 * into which the view is built anew. Only one at a time: its maker holds an advisory lock. What an
 * interrupted rebuild has left is dropped by the next. */
#ifndef AGG_HOST_REBUILD_SHADOW_H
#define AGG_HOST_REBUILD_SHADOW_H

#include "../sql_session.h"
#include "../view.h"

#define SHADOW_SCHEMA "aggregator_rebuild"
#define SHADOW_GROUP "rebuild"

struct shadow {
    char *live;        /* the live schema's name, quoted */
    char *search_path; /* of connections that write into the shadow */
};

/* Finds the live schema, takes the lock for the life of the session, and makes the tables. */
bool shadow_create(struct shadow *shadow, struct sql_session *session, const struct view *view,
                   struct err *err);
bool shadow_drop(struct sql_session *session, struct err *err);
void shadow_free(struct shadow *shadow);

#endif
