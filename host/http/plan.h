/* plan: the part of a request that may wait. A site makes it on the loop, a worker carries it out.
 */
#pragma once

#include "base/buffer.h"
#include "cache/cache.h"
#include "router.h"

struct exchange;

struct plan {
    /* Makes the response; may wait until the deadline. NULL: there is a response already. */
    void (*carry_out)(void *context, struct exchange *exchange);
    /* Called once, after carry_out or instead of it; may be NULL. */
    void (*release)(void *held);
    bool runs_script; /* whose queries may hang: some threads carry out none */
    bool takes_body;  /* the request's body is received before carry_out; else it is not read */
    void *context;    /* of carry_out */
    void *held;       /* of release */
    struct router_match match; /* .route may index another table of paths */
    struct router_pairs query;
    struct cache_key key;   /* no text: the route is not cached */
    struct buffer key_text; /* the key's text; its memory is reused */
};
