/* report: the result of a shadow run as text. */
#ifndef AGG_HOST_SHADOW_RUN_REPORT_H
#define AGG_HOST_SHADOW_RUN_REPORT_H

#include <stdio.h>

#include "base/err.h"
#include "base/slice.h"

/* Prints the JSON object of shadow_run as text. False: err says what is wrong with it. */
bool shadow_run_print(struct slice json, FILE *out, struct err *err);

#endif
