/* rejected: shared by rejected.c and rejected_retry.c. */
#pragma once

#include "stored/rejected.h"
#include "selection.h"

/* Sends the selected events through the present scripts; applied ones leave the table. */
bool rejected_retry(struct selection *selection, struct err *err);
