/* redis_session: opens a session with a server that the program can use: finds the primary by
 * Sentinels if the URL names them, logs in, and looks which server this is. */
#pragma once

#include "redis_link.h"
#include "redis_server.h"

struct redis_session {
    struct redis_server *server; /* of the URL; borrowed */
    size_t sentinel;             /* the one of the address that replied last */
    bool warns;                  /* the next opening warns of a Redis that evicts keys */
    unsigned changes;            /* redis_server_changes at the opening of the session */
    bool refused;                /* the server refused login or database */
    bool unfit; /* the server is a node of a cluster, or a Sentinel: its URL has to be changed */
};

/* Sends no command of the caller before the server is known to be fit: a failure leaves no unknown
 * outcome. Sets host and port of an address with Sentinels. The kind of err is ERR_UNAVAILABLE, or
 * ERR_TIMEOUT. */
bool redis_session_open(struct redis_session *session, struct redis_link *link,
                        struct redis_address *address, int64_t deadline_us, struct err *err);
