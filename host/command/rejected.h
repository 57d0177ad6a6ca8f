/* rejected: shared by rejected.c and rejected_retry.c. */
#ifndef AGG_HOST_COMMAND_REJECTED_H
#define AGG_HOST_COMMAND_REJECTED_H

#include "stored/rejected.h"
#include "selection.h"

/* Sends the selected events through the present scripts; applied ones leave the table. */
bool rejected_retry(struct selection *selection, struct err *err);

#endif
