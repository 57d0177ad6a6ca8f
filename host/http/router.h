/* router: finds a path's route and parameters; parses query strings. Pure. */
#pragma once

#include "script/script.h"
#include "response.h"

#define ROUTER_MAX_PAIRS 16

/* Name-value pairs with their decoded bytes. Decoding never lengthens: a request target fits. */
struct router_pairs {
    struct script_pair items[ROUTER_MAX_PAIRS];
    size_t count;
    size_t used;
    char bytes[REQUEST_MAX_TARGET_BYTES + 1];
};

enum router_result { ROUTER_FOUND, ROUTER_NOT_FOUND, ROUTER_WRONG_METHOD, ROUTER_BAD_PARAMETER };

struct router_match {
    size_t route; /* for FOUND, BAD_PARAMETER */
    struct router_pairs params;
    char allow[RESPONSE_ALLOW_BYTES]; /* for WRONG_METHOD: "GET, HEAD" */
};

/* HEAD finds GET's routes. Parameters are percent-decoded; ROUTER_BAD_PARAMETER: one is not UTF-8
 * or has a control character. Names are borrowed from the pattern. */
enum router_result router_find(const struct script_route *routes, size_t count,
                               const struct request *request, struct router_match *match);

/* Sets the response to a request without a route. */
void router_refuse(enum router_result result, const struct router_match *match,
                   struct response *response);

/* NULL, or why the query string is invalid (a literal). An empty string has no pairs. */
const char *router_parse_query(struct slice query, struct router_pairs *pairs);
