/* router: from a path to a route and its parameters, from a query string to its pairs. Pure. */
#ifndef AGG_HOST_HTTP_ROUTER_H
#define AGG_HOST_HTTP_ROUTER_H

#include "script/script.h"
#include "response.h"

#define ROUTER_MAX_PAIRS 16

/* Name-value pairs; the decoded bytes are their own. Decoding never lengthens, so what fits into a
 * request target fits in here. */
struct router_pairs {
    struct script_pair items[ROUTER_MAX_PAIRS];
    size_t count;
    size_t used;
    char bytes[REQUEST_MAX_TARGET_BYTES + 1];
};

enum router_result { ROUTER_FOUND, ROUTER_NOT_FOUND, ROUTER_WRONG_METHOD, ROUTER_BAD_PARAMETER };

struct router_match {
    size_t route; /* FOUND, BAD_PARAMETER */
    struct router_pairs params;
    char allow[RESPONSE_ALLOW_BYTES]; /* WRONG_METHOD: "GET, HEAD" */
};

/* HEAD finds GET's routes. Parameters are percent-decoded: one byte or more of UTF-8 without
 * control characters, else ROUTER_BAD_PARAMETER. The pattern's names are borrowed. */
enum router_result router_find(const struct script_route *routes, size_t count,
                               const struct request *request, struct router_match *match);

/* What is answered where no route was found. */
void router_refuse(enum router_result result, const struct router_match *match,
                   struct response *response);

/* NULL, or why the query string is not acceptable (a literal). An empty string has no pairs. */
const char *router_parse_query(struct slice query, struct router_pairs *pairs);

#endif
