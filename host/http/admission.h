/* admission: who is let in to the API: callers that know one of http.api_keys, for a service of
 * http.allowed_services. An empty list lets nobody in. Immutable but for its references; any
 * thread.
 */
#ifndef AGG_HOST_HTTP_ADMISSION_H
#define AGG_HOST_HTTP_ADMISSION_H

#include "base/problems.h"
#include "config/config.h"
#include "base/slice.h"

enum admission_result {
    ADMISSION_GOOD,
    ADMISSION_MISSING_KEY,
    ADMISSION_WRONG_KEY,
    ADMISSION_NO_KEYS, /* none is configured */
    ADMISSION_MISSING_SERVICE,
    ADMISSION_SERVICE_NOT_ALLOWED,
    ADMISSION_RESULTS
};

struct admission;

/* With one reference. NULL: err names the setting that no request could meet. */
struct admission *admission_create(const struct config *config, struct err *err);
struct admission *admission_ref(struct admission *admission);
void admission_unref(struct admission *admission); /* NULL is taken */

/* What a request's fields come to. The time taken does not tell which of the two was wrong. */
enum admission_result admission_judge(const struct admission *admission, struct slice key,
                                      struct slice service);
/* Whether the name is of an allowed service: it is no secret then, and may be logged. */
bool admission_knows_service(const struct admission *admission, struct slice service);

/* What the client is told with the 401: not which of the two was wrong. A literal. */
const char *admission_message(enum admission_result result);
/* The reason for metrics and the log: "wrong_key". A literal. */
const char *admission_reason(enum admission_result result);

/* What the configuration may say and hardly means: no key or service at all, keys that can be
 * guessed; of http and admin. As long as the admission. */
const struct problems *admission_warnings(const struct admission *admission);

#endif
