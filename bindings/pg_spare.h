/* pg_spare: connections lent for one query or transaction. One that comes back stays open for
 * whoever wants the same next, which are often other scripts than before: a new connection has
 * nothing parsed and planned, and nothing of the catalogue at hand. Any thread. */
#ifndef AGG_BINDINGS_PG_SPARE_H
#define AGG_BINDINGS_PG_SPARE_H

#include "pg.h"

/* Perhaps not connected yet, or no longer: pg_wake it. */
struct pg *pg_borrow(const struct pg_options *options);
/* Between two groups and outside a transaction. One that is not connected is destroyed. */
void pg_give_back(struct pg *pg);
/* Closes those that nobody uses. */
void pg_close_spare(void);

#endif
