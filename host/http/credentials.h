/* credentials: a list of secrets or names, of which a request must send one. Immutable; any
 * thread. */
#pragma once

#include "config/config.h"
#include "base/slice.h"

struct credentials;

/* Copies the list without its empty entries. NULL: err names the setting and the entry that no
 * request can send. */
struct credentials *credentials_create(const char *setting, const struct config_strings *list,
                                       struct err *err);
void credentials_destroy(struct credentials *credentials);

/* True: every request is refused. */
bool credentials_are_none(const struct credentials *credentials);

/* Whether every value of `others` is in the list. */
bool credentials_include_all(const struct credentials *credentials,
                             const struct credentials *others);

/* Whether the value is in the list. The time taken depends neither on the list's values nor on
 * their lengths. */
bool credentials_include(const struct credentials *credentials, struct slice given);
