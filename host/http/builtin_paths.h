/* builtin_paths: paths of the program itself: /healthz, /readyz, /readyz/read, /readyz/consume,
 * /metrics, /openapi.json and `OPTIONS *`. */
#pragma once

#include "config/config.h"
#include "script/script.h"
#include "exchange.h"

struct builtin_paths;
struct health;

enum health_question {
    HEALTH_ALIVE,
    HEALTH_READY,   /* serves requests and consumes; topics may be missing */
    HEALTH_READS,   /* serves requests */
    HEALTH_CONSUMES /* serves requests and consumes all topics */
};

struct builtin_sources {
    struct health *health;
    /* True: health_report would not wait. */
    bool (*health_is_fresh)(struct health *health);
    /* Appends the JSON body; false: answer 503. Waits at most timeout_ms; HEALTH_ALIVE never
     * waits. */
    bool (*health_report)(struct health *health, enum health_question question, int timeout_ms,
                          struct buffer *json);
    /* Appends the body of /metrics. */
    void (*metrics)(struct health *health, const struct config *config, struct buffer *page);
};

/* NULL: the API cannot be described (api_description.h). The sources must outlive the paths. */
struct builtin_paths *builtin_paths_create(const struct script_generation *generation,
                                           const struct builtin_sources *sources, struct err *err);
void builtin_paths_destroy(struct builtin_paths *paths);

bool builtin_paths_include(const char *path);

/* False: a route declares a builtin path; err has a line for each. */
bool builtin_paths_leave_routes(const struct script_generation *generation, struct err *err);

/* False: the path is not builtin. Else sets the exchange's endpoint, and its response or plan; the
 * paths must stay until the plan is released. */
bool builtin_paths_plan(struct builtin_paths *paths, struct exchange *exchange);
