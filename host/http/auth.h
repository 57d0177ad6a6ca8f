/* auth: who may ask. Immutable after creation; any thread. */
#ifndef AGG_HOST_HTTP_AUTH_H
#define AGG_HOST_HTTP_AUTH_H

#include "../config.h"
#include "../slice.h"

struct auth;

/* Copies the keys and service ids. An error when one is longer than 255 bytes. */
struct auth *auth_create(const struct config *config, struct err *err);
void auth_destroy(struct auth *auth);

/* NULL when both are right, else the message of the 401: missing (or empty) before invalid, the key
 * before the service id. The time taken depends on neither the known values nor their lengths. */
const char *auth_refusal(const struct auth *auth, struct slice key, struct slice service_id);

#endif
