/* places: checks settings that name servers with the parsers that connect to them. Private to
 * config. */
#pragma once

#include "fields.h"

/* True for every other kind. An error never quotes a part of a password. */
bool config_check_place(enum config_kind kind, const char *text, struct err *err);
