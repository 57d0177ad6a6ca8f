#include "unavailable.h"

#include <string.h>

/* A client does not learn which system behind the program failed. */
static const struct {
    const char *name;
    const char *message;
} unavailable_reasons[UNAVAILABLE_REASONS] = {
    [UNAVAILABLE_NOT] = {"none", NULL},
    [UNAVAILABLE_CONNECTIONS] = {"connections", "Too many connections"},
    [UNAVAILABLE_WORKERS] = {"workers", "Too many requests are waiting"},
    [UNAVAILABLE_STREAMS] = {"streams", "Too many responses are being streamed"},
    [UNAVAILABLE_BODIES] = {"request_bodies", "Too many request bodies are under way"},
    [UNAVAILABLE_STATES] = {"script_states", "Too many requests are waiting for a script"},
    [UNAVAILABLE_DATABASE_BUSY] = {"database_busy", "Service unavailable"},
    [UNAVAILABLE_DEPENDENCY] = {"dependency", "Service unavailable"},
    [UNAVAILABLE_TIMEOUT] = {"timeout", "Service unavailable"},
    [UNAVAILABLE_NOT_READY] = {"not_ready", NULL},
    [UNAVAILABLE_NO_ROUTES] = {"no_routes", "This process answers no routes"},
    [UNAVAILABLE_ROUTE] = {"route", NULL},
};

enum unavailable unavailable_of(const struct err *err) {
    switch (err->kind) {
    case ERR_BUSY:
        return UNAVAILABLE_STATES;
    case ERR_UNAVAILABLE:
        /* Class 53: insufficient resources. */
        return strncmp(err->sqlstate, "53", 2) == 0 ? UNAVAILABLE_DATABASE_BUSY
                                                    : UNAVAILABLE_DEPENDENCY;
    case ERR_TIMEOUT:
        return UNAVAILABLE_TIMEOUT;
    default:
        return UNAVAILABLE_NOT;
    }
}

const char *unavailable_name(enum unavailable reason) {
    return unavailable_reasons[reason].name;
}

const char *unavailable_message(enum unavailable reason) {
    return unavailable_reasons[reason].message;
}
