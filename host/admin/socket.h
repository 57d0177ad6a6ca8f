/* socket: a Unix socket on which the running program takes verbs from `aggregator VERB` of the same
 * user. One request a connection: a line with a verb and perhaps words; the answer is one line
 * of JSON. */
#ifndef AGG_HOST_ADMIN_SOCKET_H
#define AGG_HOST_ADMIN_SOCKET_H

#include "verb.h"

struct admin_socket;

/* Listens; a socket left behind by a dead process is replaced, a live one is an error. Each
 * client has a thread, for some verbs take long. The verbs and context outlive the socket. */
struct admin_socket *admin_socket_start(const char *path, const struct admin_verb *verbs,
                                        size_t count, void *context, struct err *err);
/* Waits for the clients' answers, and frees. False: one is not answered by the monotonic deadline.
 * Then nothing is freed, and the context must stay. */
bool admin_socket_stop(struct admin_socket *socket, int64_t deadline_us);

/* The client's side: asks, waits at most timeout_ms, appends the answer. */
bool admin_call(const char *path, const char *line, int timeout_ms, struct buffer *answer,
                struct err *err);

#endif
