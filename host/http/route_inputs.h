/* route_inputs: makes the request that a script gets of an exchange: its parameters, query, headers
 * and body, checked by the route's declaration. On a worker. */
#pragma once

#include "base/arena.h"
#include "script/script.h"
#include "exchange.h"

struct route_inputs {
    struct arena *arena; /* of the values; NULL: it was not needed */
};

/* Sets the request's path parameters, query and declared headers, unchecked; on any thread. It
 * borrows from the exchange and the inputs. route_inputs_free follows. */
void route_inputs_take(struct route_inputs *inputs, const struct script_route *route,
                       const struct exchange *exchange, struct script_request *request);
/* Sets all of the request but its route and correlation id; it borrows from the exchange and the
 * inputs. False: ERR_INPUT, a sentence for the client. route_inputs_free follows in both cases. */
bool route_inputs_read(struct route_inputs *inputs, const struct script_route *route,
                       const struct exchange *exchange, struct script_request *request,
                       struct err *err);
void route_inputs_free(struct route_inputs *inputs);
/* The request does not fit the route's declaration: 400; err is a sentence for the client. The log
 * gets the part and the path, which are declared, and no value. */
void route_inputs_set_refused(struct exchange *exchange, const struct script_inputs *inputs,
                              const struct err *err);
