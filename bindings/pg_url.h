/* pg_url: parses Postgres URLs, for the configuration's check and for connecting. */
#pragma once

#include <libpq-fe.h>

#include "base/err.h"

/* Removes SQLAlchemy's driver (postgresql+asyncpg://); malloc'ed. */
char *pg_url_plain(const char *url);
/* The parameters, for PQconninfoFree. NULL: err, which quotes nothing of the URL. */
PQconninfoOption *pg_url_read(const char *url, struct err *err);
bool pg_url_check(const char *url, struct err *err);
/* True: the URLs differ in user and password at most. */
bool pg_url_same_place(const char *a, const char *b);
/* "host:port" of a good URL, for logs and metrics; a list of hosts stays one. */
void pg_url_name(const char *url, char *name, size_t cap);
