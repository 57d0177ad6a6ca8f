/* credentials: a list of secrets or names that a request must know one of. Immutable after
 * creation; any thread. */
#ifndef AGG_HOST_HTTP_CREDENTIALS_H
#define AGG_HOST_HTTP_CREDENTIALS_H

#include "config/config.h"
#include "base/slice.h"

struct credentials;

/* Copies the list; empty entries let nobody in. An error, which names the setting, when one is
 * longer than 255 bytes, holds a control character, or begins or ends with a blank. */
struct credentials *credentials_create(const char *setting, const struct config_strings *list,
                                       struct err *err);
void credentials_destroy(struct credentials *credentials);

/* True: nobody is let in. */
bool credentials_are_none(const struct credentials *credentials);

/* Whether the value is one of the list. The time taken depends on neither the known values nor
 * their lengths. */
bool credentials_include(const struct credentials *credentials, struct slice given);

#endif
