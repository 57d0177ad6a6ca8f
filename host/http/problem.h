/* problem: problem documents (RFC 9457), for clients whose Accept names application/problem+json.
 */
#pragma once

#include "response.h"

/* Replaces the body {"error": …} of an error: `error` stays, beside type, title, status, detail and
 * instance, the request's path. Does nothing for other bodies, and where the client did not ask. */
void problem_apply(struct response *response, const struct request *request);
