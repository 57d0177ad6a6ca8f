/* route_response: makes the response to a client of what a route returned. */
#pragma once

#include "script/script.h"
#include "response.h"

/* The vocabulary of a request's caller, by http.vocabularies; NULL: none. */
const char *route_response_vocabulary(const struct config_pairs *vocabularies,
                                      const struct script_route *route, struct slice caller);
/* Takes the reference; translates the body into the caller's vocabulary. */
void route_response_set(struct response *response, const struct request *request,
                        struct cached_response *cached, const struct script_route *route,
                        const struct config_pairs *vocabularies);
/* Takes the lines. They end the head: an empty line follows them. */
void route_response_set_headers(struct response *response, const struct script_headers *headers);
/* 503 or 500: the route gave no response. */
void route_response_set_failure(struct response *response, const struct err *err);
