/* builtin_paths: the paths that the program answers itself: /healthz, /readyz (and its two halves),
 * /metrics, /openapi.json, and `OPTIONS *`. What health and metrics say is asked of the functions
 * given. */
#ifndef AGG_HOST_HTTP_BUILTIN_PATHS_H
#define AGG_HOST_HTTP_BUILTIN_PATHS_H

#include "config/config.h"
#include "script/script.h"
#include "exchange.h"

struct builtin_paths;
struct health; /* the functions' own */

enum health_question {
    HEALTH_ALIVE,
    HEALTH_READY,   /* it answers, and consumes but for topics that wait */
    HEALTH_READS,   /* it answers */
    HEALTH_CONSUMES /* it consumes all topics */
};

struct builtin_sources {
    struct health *health;
    /* Whether health_report would not wait. */
    bool (*health_is_fresh)(struct health *health);
    /* Appends the JSON answer; false: answer 503. Waits for timeout_ms at most, for HEALTH_ALIVE
     * not at all. */
    bool (*health_report)(struct health *health, enum health_question question, int timeout_ms,
                          struct buffer *json);
    /* Appends the page of /metrics. service: service.name. */
    void (*metrics)(struct buffer *page, const char *service);
};

/* Reads openapi.json beside the scripts. The config outlives it, and so does the health. */
struct builtin_paths *builtin_paths_create(const struct config *config,
                                           const struct builtin_sources *sources);
void builtin_paths_destroy(struct builtin_paths *paths);

/* Whether the path is one of the program's, whatever a route says. */
bool builtin_paths_include(const char *path);

/* False, with a line for each: routes that declare such a path are never asked. */
bool builtin_paths_leave_routes(const struct script_generation *generation, struct err *err);

/* False: the path is none of the program's. Else sets the exchange's endpoint, and its response or
 * plan; the paths must stay until the plan is released. */
bool builtin_paths_plan(struct builtin_paths *paths, struct exchange *exchange);

#endif
