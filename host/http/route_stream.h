/* route_stream: carries out a request to a route that declares `stream`: its response may be made
 * while it is sent. On a worker. */
#pragma once

#include "script/script.h"
#include "exchange.h"

struct route_stream_source {
    struct script_pool *pool;
    const struct script_route *route;
    const struct config *config; /* of the route's generation */
};

/* 503 if http.max_streams are under way. A response that ends within its first piece is an ordinary
 * one, and so is an error up to there. */
void route_stream_carry_out(const struct route_stream_source *source, struct exchange *exchange);
