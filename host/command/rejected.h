/* rejected: shared by rejected.c and rejected_retry.c. */
#ifndef AGG_HOST_COMMAND_REJECTED_H
#define AGG_HOST_COMMAND_REJECTED_H

#include "selection.h"

/* With the parameters of selection_fill; the second one is the reason. */
#define REJECTED_SELECTED                                                                          \
    "($1::text IS NULL OR topic = $1::text) AND ($2::text IS NULL OR reason = $2::text) AND "      \
    "($3::text[] IS NULL OR topic || '/' || partition || '/' || \"offset\" = ANY ($3::text[]))"

/* Sends the selected events through the present scripts; applied ones leave the table. */
bool rejected_retry(struct selection *selection, struct err *err);

#endif
