/* request_body: whether a route accepts the body that a request's head announces. */
#pragma once

#include "script/script.h"
#include "response.h"

/* body: NULL: the route has none. False: the response is 411, 413 or 415, and the connection
 * closes after it: the body is not to be read. */
bool request_body_fits(struct request *request, const struct script_body *body,
                       struct response *response);
