/* redis_server: the server that all connections of one URL use. Behind one name another server may
 * take over (a failover, a restart). Cached responses are right only if the subscription, the audit
 * and the readers of one process use one server: a connection that finds another run id has all
 * others replaced. A server without a run id, or a user without the right to read it, changes
 * nothing. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct redis_server;

/* The one of the URL, made at first use; redis_server_unref frees it with the last reference. */
struct redis_server *redis_server_of(const char *url);
void redis_server_unref(struct redis_server *server);

/* How often another server has taken over. */
unsigned redis_server_changes(const struct redis_server *server);
/* A new connection has found the run id, a hash; 0: unknown. *changes is the number that it belongs
 * to. False: two servers answer in turn under one name; wait before the next attempt. */
bool redis_server_note(struct redis_server *server, uint64_t run, unsigned *changes);
