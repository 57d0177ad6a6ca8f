/* pg_spare: pool of connections, across generations of scripts: a new connection has no prepared
 * statements and no catalog cache. Any thread. */
#pragma once

#include "pg.h"

/* For one query or transaction. It may be disconnected: call pg_wake. */
struct pg *pg_borrow(const struct pg_options *options);
/* Outside a group and a transaction. Destroys a disconnected one. */
void pg_give_back(struct pg *pg);
void pg_close_spare(void); /* closes the unused ones */
