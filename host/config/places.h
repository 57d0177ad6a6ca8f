/* places: whether a setting that names servers can be read by what connects to them. Private to
 * the configuration. */
#ifndef AGG_HOST_CONFIG_PLACES_H
#define AGG_HOST_CONFIG_PLACES_H

#include "fields.h"

/* True of every other kind, too. False: err says what is wrong, without a text that may be a part
 * of a password. */
bool config_check_place(enum config_kind kind, const char *text, struct err *err);

#endif
