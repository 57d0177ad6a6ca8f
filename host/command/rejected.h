/* rejected: what rejected.c and rejected_retry.c share. */
#ifndef AGG_HOST_COMMAND_REJECTED_H
#define AGG_HOST_COMMAND_REJECTED_H

#include "command.h"
#include "view/sql_session.h"

/* What rejected_fill's parameters select: $1 topic, $2 reason, $3 ids; NULL: any. */
#define REJECTED_SELECTED                                                                          \
    "($1::text IS NULL OR topic = $1::text) AND ($2::text IS NULL OR reason = $2::text) AND "      \
    "($3::text[] IS NULL OR topic || '/' || partition || '/' || \"offset\" = ANY ($3::text[]))"

struct rejected {
    const struct command *command;
    struct sql_session *session;
};

/* Starts the session's parameters with what the command line selects. */
void rejected_fill(const struct rejected *rejected);
/* Sends the selected events through the present scripts; what is applied leaves the table. */
bool rejected_retry(const struct rejected *rejected, struct err *err);

#endif
