/* redis_refusal: what Redis refuses although it answers: the user lacks a right, the server is a
 * member of a cluster or a replica, or is out of memory. Every error that Redis replies passes
 * here: it is counted, logged when it begins, and known for as long as it goes on. Any thread. */
#ifndef AGG_BINDINGS_REDIS_REFUSAL_H
#define AGG_BINDINGS_REDIS_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>

#define REDIS_REFUSAL_TEXT_CAP 160

/* An error as Redis sent it; one that is the command's own fault is passed by. */
void redis_refusal_note(const char *error);
/* What was refused within the last 15 seconds, in words without host, user or key; false: nothing.
 * What uses Redis for the service asks it again within that time. */
bool redis_refusal_now(char text[REDIS_REFUSAL_TEXT_CAP]);

#endif
