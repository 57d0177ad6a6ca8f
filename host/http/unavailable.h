/* unavailable: why a request is answered 503. Pure. */
#ifndef AGG_HOST_HTTP_UNAVAILABLE_H
#define AGG_HOST_HTTP_UNAVAILABLE_H

#include "base/err.h"

enum unavailable {
    UNAVAILABLE_NOT,           /* the response is no 503 */
    UNAVAILABLE_CONNECTIONS,   /* all of http.max_connections are being answered */
    UNAVAILABLE_WORKERS,       /* none of http.threads took it in time */
    UNAVAILABLE_STATES,        /* none of http.states came free in time */
    UNAVAILABLE_DATABASE_BUSY, /* Postgres has no connection, memory or room left */
    UNAVAILABLE_DEPENDENCY,    /* an outside system that the route asked */
    UNAVAILABLE_TIMEOUT,       /* likewise, and its time is over */
    UNAVAILABLE_NOT_READY,     /* what /healthz or /readyz looks at; the body says which */
    UNAVAILABLE_ROUTE,         /* a route or a verb answers 503 of its own */
    UNAVAILABLE_REASONS
};

/* The reason of a failure; UNAVAILABLE_NOT where it is a fault of a script or of the program. */
enum unavailable unavailable_of(const struct err *err);

/* For metrics and the log: "database_busy". A literal. */
const char *unavailable_name(enum unavailable reason);

/* What the client reads; NULL where the response has a body of its own. A literal. */
const char *unavailable_message(enum unavailable reason);

#endif
