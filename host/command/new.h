/* new: shared by the files of `aggregator new`. */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* False: ERR_INPUT says what NAME takes. */
bool new_check_name(const char *name, struct err *err);
