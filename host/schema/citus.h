/* citus: the extension of Postgres that spreads tables over several servers. A database without it
 * is asked one question more by migrations, by `check`, by what citus_allows is asked about, and by
 * nothing else. */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct pg;

enum citus_node { CITUS_NONE, CITUS_COORDINATOR, CITUS_WORKER };

/* What the server of this connection is. CITUS_NONE: the database lacks the extension. */
bool citus_find(struct pg *pg, enum citus_node *node, struct err *err);

/* What works on one server alone. */
enum citus_lack {
    CITUS_LACKS_RETENTION,
    CITUS_LACKS_SHADOW /* verify, rebuild, diff and shadow runs */
};

/* False: the database has Citus, or *err says why that is unknown. The error says why it does not
 * work there, and what to do instead. */
bool citus_allows(struct pg *pg, enum citus_lack lack, struct err *err);

/* A table whose rows are spread by the hash of the column. */
struct citus_table {
    const char *name, *column;
};

/* On the coordinator, after migrate_run: spreads these tables, puts the program's own ones on one
 * node, and makes the service's other tables and all functions known to every node. Changes nothing
 * that has been distributed before. *done counts what it changed, and each is logged. */
bool citus_distribute(struct pg *pg, const struct citus_table *tables, size_t count, int *done,
                      struct err *err);
