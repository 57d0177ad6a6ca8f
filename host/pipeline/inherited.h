/* inherited: the last commits of partitions that have come to this worker, where their former owner
 * has not announced them to the caches: it was killed, or did not learn the end of its commit. The
 * worker announces them before it commits, since its own commits replace what is known of them. The
 * pipeline's thread, outside of transactions. */
#pragma once

struct pipeline;

/* After offsets_load. Waits for Redis and, if a commit is late, for the database. A failure drops
 * no response: the next announcement or an audit does. */
void inherited_announce(struct pipeline *pipeline);
