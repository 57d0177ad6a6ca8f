/* plan: what a site has found out of a request, for the worker that answers it. */
#ifndef AGG_HOST_HTTP_PLAN_H
#define AGG_HOST_HTTP_PLAN_H

#include "base/buffer.h"
#include "cache/cache.h"
#include "router.h"

struct exchange;

/* Made by a site on the loop, carried out on a worker. What a site does not set is not looked at.
 */
struct plan {
    /* Makes the response; may wait until the exchange's deadline. NULL: the response is made
     * already. */
    void (*carry_out)(void *context, struct exchange *exchange);
    /* Called once, after carry_out or instead of it; NULL: there is nothing to release. */
    void (*release)(void *held);
    void *context;             /* of carry_out */
    void *held;                /* of release */
    struct router_match match; /* or .route alone: one of another table of paths */
    struct router_pairs query;
    struct cache_key key;   /* absent where the route is not cached */
    struct buffer key_text; /* what the key points to; its room is kept for the next request */
};

#endif
