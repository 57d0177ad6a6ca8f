/* unavailable: the reasons for a 503. Pure. */
#pragma once

#include "base/err.h"

enum unavailable {
    UNAVAILABLE_NOT,           /* the response is no 503 */
    UNAVAILABLE_CONNECTIONS,   /* all of http.max_connections are in use */
    UNAVAILABLE_WORKERS,       /* no thread of http.threads was free in time */
    UNAVAILABLE_STREAMS,       /* all of http.max_streams are under way */
    UNAVAILABLE_BODIES,        /* no room in http.request_bodies_max_mb */
    UNAVAILABLE_STATES,        /* no Lua state of http.states was free in time */
    UNAVAILABLE_DATABASE_BUSY, /* Postgres has no connection, memory or disk left */
    UNAVAILABLE_DEPENDENCY,    /* an outside system that the route needs */
    UNAVAILABLE_TIMEOUT,       /* an outside system did not reply in time */
    UNAVAILABLE_NOT_READY,     /* a dependency that /healthz or /readyz checks; the body names it */
    UNAVAILABLE_NO_ROUTES,     /* http.routes is false: this process only ingests */
    UNAVAILABLE_ROUTE,         /* the route or admin verb itself answered 503 */
    UNAVAILABLE_REASONS
};

/* UNAVAILABLE_NOT: the failure is an error of a script or of the program, and becomes a 500. */
enum unavailable unavailable_of(const struct err *err);

/* For metrics and the log: "database_busy". A literal. */
const char *unavailable_name(enum unavailable reason);

/* For the client; NULL where the response has a body of its own. A literal. */
const char *unavailable_message(enum unavailable reason);
