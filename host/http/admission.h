/* admission: authenticates requests to the API: each needs one of http.api_keys and a service of
 * http.allowed_services. With an empty list every request is refused. Immutable but for its
 * references; any thread. */
#pragma once

#include "base/problems.h"
#include "config/config.h"
#include "base/slice.h"

enum admission_result {
    ADMISSION_GOOD,
    ADMISSION_MISSING_KEY,
    ADMISSION_WRONG_KEY,
    ADMISSION_NO_KEYS, /* http.api_keys is empty */
    ADMISSION_MISSING_SERVICE,
    ADMISSION_SERVICE_NOT_ALLOWED,
    ADMISSION_RESULTS
};

struct admission;

/* With one reference. NULL: err names the setting with a value that no request can send. */
struct admission *admission_create(const struct config *config, struct err *err);
struct admission *admission_ref(struct admission *admission);
void admission_unref(struct admission *admission); /* NULL is allowed */

/* client: the name in the client's verified certificate; NULL: none. With
 * http.client_certificate_is_key it stands for a key that is not sent. The time taken does not
 * depend on which of the two is wrong. */
enum admission_result admission_judge(const struct admission *admission, struct slice key,
                                      struct slice service, const char *client);
/* Whether all that `other` admits are admitted. */
bool admission_includes(const struct admission *admission, const struct admission *other);
/* Whether the service is allowed: then its name is no secret and may be logged. */
bool admission_knows_service(const struct admission *admission, struct slice service);

/* The message of the 401, which does not tell which of the two was wrong. A literal. */
const char *admission_message(enum admission_result result);
/* The reason for metrics and the log: "wrong_key". A literal. */
const char *admission_reason(enum admission_result result);

/* Settings of http and admin that are valid but probably wrong: no key, no service, keys that can
 * be guessed. Owned by the admission. */
const struct problems *admission_warnings(const struct admission *admission);
