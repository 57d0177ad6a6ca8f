/* show: a canary's result for people. */
#ifndef AGG_HOST_CANARY_SHOW_H
#define AGG_HOST_CANARY_SHOW_H

#include <stdio.h>

#include "base/err.h"
#include "base/slice.h"

/* Prints the JSON object of canary_run as text. False: it is none. */
bool canary_show(struct slice json, FILE *out, struct err *err);

#endif
