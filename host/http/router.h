/* router: from a path to a route and its parameters. */
#ifndef AGG_HOST_HTTP_ROUTER_H
#define AGG_HOST_HTTP_ROUTER_H

#include "../script/script.h"

#define ROUTER_MAX_PAIRS 16
#define ROUTER_VALUE_BYTES 257

enum router_result { ROUTER_FOUND, ROUTER_NOT_FOUND, ROUTER_WRONG_METHOD, ROUTER_BAD_PARAMETER };

/* Name-value pairs with their own decoded bytes. */
struct router_pairs {
    struct script_pair items[ROUTER_MAX_PAIRS];
    char values[ROUTER_MAX_PAIRS][ROUTER_VALUE_BYTES];
    char names[ROUTER_MAX_PAIRS][64];
    size_t count;
};

/* HEAD finds GET's routes. Parameters are percent-decoded: 1 to 256 bytes of UTF-8 without control
 * characters, else ROUTER_BAD_PARAMETER. */
enum router_result router_find(const struct script_route *routes, size_t count, const char *method,
                               const char *path, size_t *route, struct router_pairs *params);
/* False for bad encoding, or more or longer pairs than there is room for. */
bool router_parse_query(const char *query, struct router_pairs *pairs);

#endif
