/* pg_url: what a Postgres URL says. The one reader of it: the check of a configuration
 * refuses what a connection would refuse. */
#ifndef AGG_BINDINGS_PG_URL_H
#define AGG_BINDINGS_PG_URL_H

#include <libpq-fe.h>

#include "base/err.h"

/* The URL without the name of SQLAlchemy's driver (postgresql+asyncpg://); malloc'ed. */
char *pg_url_plain(const char *url);
/* Its parameters, for PQconninfoFree. NULL: err says so without its text, which may hold parts of a
 * password. */
PQconninfoOption *pg_url_read(const char *url, struct err *err);
/* The same, without them. */
bool pg_url_check(const char *url, struct err *err);
/* Whether both lead to the same database of the same servers in the same way: all but user and
 * password is alike. */
bool pg_url_same_place(const char *a, const char *b);

#endif
