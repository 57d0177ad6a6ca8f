/* verbs: the table of admin verbs. */
#pragma once

#include "monitor/health.h"
#include "monitor/figures.h"
#include "http/certificates.h"
#include "http/http_server.h"
#include "ingest/ingest.h"
#include "outbox/relay.h"
#include "reload/reload.h"
#include "explain.h"
#include "tap_verbs.h"

/* Everything in it must outlive socket and site. */
struct admin_context {
    const struct config *config;
    int64_t started_us;  /* Unix */
    int64_t up_since_us; /* the same moment, monotonic */
    struct health *health;
    struct figures *figures;
    struct ingest *ingest;
    struct outbox_relay *relay; /* NULL: another process publishes */
    struct reactor *reactor;
    struct retention *retention;
    struct api *api;
    struct http_server *http;
    struct certificates *certificates;       /* of the API's listener */
    struct certificates *admin_certificates; /* NULL: there is no such listener */
    struct heartbeat *heartbeat;
    struct reload *reload;
    struct admin_child explain, retry;
    struct admin_tap *tap;
    struct upgrade *upgrade;
};

/* The verbs' context is a struct admin_context. */
const struct admin_verb *admin_verbs(size_t *count);
