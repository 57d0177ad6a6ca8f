/* kept_request: what decides the response of a cached route, as one text that outlives the request:
 * its path, and the values that the response varies with. Streams and refreshes ask by it. */
#pragma once

#include "exchange.h"

#define KEPT_REQUEST_BYTES 8192 /* of a stream's, at most */

/* Appends "/path?limit=5#Accept-Language=sv": the request's path and script_append_variant. */
void kept_request_append(const struct script_route *route, const struct exchange *exchange,
                         struct buffer *text);

struct kept_request {
    struct slice path; /* in the text */
    struct router_match match;
    struct router_pairs query, headers;
    struct arena *arena; /* of the values that the declaration reads */
};

/* Reads a text and finds the route of its path among `routes`; *request borrows from both and gets
 * its route, which the caller maps. ROUTER_BAD_PARAMETER, with err, also where the values do not
 * fit the declaration. kept_request_free follows in each case. */
enum router_result kept_request_read(struct kept_request *kept, struct slice text,
                                     const struct script_route *routes, size_t count,
                                     struct script_request *request, struct err *err);
void kept_request_free(struct kept_request *kept);
