/* try_route: sends one request to a route on the disk, without a server: its declaration, limits
 * and response are those of production. Postgres is read-only; the cache is not used, and no
 * credentials are asked for. */
#pragma once

#include <stddef.h>

#include "config/config.h"

struct try_route_options {
    const struct config *config;
    const char *method;         /* NULL: GET, or POST with a body */
    const char *target;         /* the path, with its query */
    const char *const *headers; /* "Name: value" */
    size_t header_count;
    const char *body;  /* a file, or "-": standard input; NULL: none */
    const char *stubs; /* a file that sets what the bindings reply; NULL: the database replies */
    bool json;
};

/* Prints the response, and what the route asked. *status: of the response. True with
 * ERR_UNAVAILABLE: a query failed because the database cannot be reached. False: ERR_INPUT: the
 * request or the stubs are wrong; ERR_INTERNAL: the scripts are. */
bool try_route_run(const struct try_route_options *options, int *status, struct err *err);
