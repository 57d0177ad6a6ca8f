/* problem: problem documents (RFC 9457), for clients whose Accept names application/problem+json.
 */
#pragma once

#include "response.h"

/* Replaces the body {"error": …} of an error: `error` and further members stay, beside type, title,
 * status, detail and instance, the request's path. Does nothing for other bodies, for those with a
 * Content-Type of their own, and where the client did not ask. An error that caches may keep varies
 * with Accept. */
void problem_apply(struct response *response, const struct request *request);
