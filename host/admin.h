/* admin: a Unix socket on which the running program takes commands from `aggregator VERB` of the
 * same user. One request a connection: a line with a verb; the answer is one line of JSON. */
#ifndef AGG_HOST_ADMIN_H
#define AGG_HOST_ADMIN_H

#include "buffer.h"
#include "err.h"

struct admin;

struct admin_verb {
    const char *name;
    /* Appends a JSON object. Runs on the admin thread. */
    void (*answer)(void *context, struct buffer *json);
};

/* Listens; a socket left behind by a dead process is replaced, a live one is an error. The verbs
 * and context outlive the admin. */
struct admin *admin_start(const char *path, const struct admin_verb *verbs, size_t count,
                          void *context, struct err *err);
void admin_stop(struct admin *admin);

/* The client's side: asks, waits at most timeout_ms, appends the answer. */
bool admin_call(const char *path, const char *verb, int timeout_ms, struct buffer *answer,
                struct err *err);

#endif
