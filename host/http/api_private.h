/* api_private: shared by api_site.c, api_scripts.c, api_live.c and api_refresh.c. */
#pragma once

#include <pthread.h>

#include "api_site.h"
#include "live.h"
#include "refresh.h"
#include "router.h"

struct endpoint;
struct admission;

struct api_scripts {
    struct api *api; /* NULL until the api owns them */
    struct script_generation *generation;
    const struct script_route *routes;       /* the generation owns them */
    const struct config_pairs *vocabularies; /* by caller; the generation owns them */
    int compress_min_bytes;                  /* http.compress_min_bytes */
    struct endpoint **endpoints;             /* one for each route, as are the keys */
    struct cache_key *keys;                  /* without their texts */
    size_t route_count;
    struct script_route *live_routes; /* the streams of live routes, as routes of their own */
    size_t *live_of;                  /* the index of each one's route */
    struct endpoint **live_endpoints;
    size_t live_count;
    struct script_pool *pool; /* NULL: http.routes is false, and there are no routes */
    struct builtin_paths *builtin;
    int users;    /* requests under way; guarded by the api's lock, as is `retired` */
    bool retired; /* replaced: freed without users */
};

struct api {
    struct cache *cache;
    struct live *live;
    struct refresh *refresh;
    struct reaper *reaper;
    pthread_mutex_t lock; /* guards what follows, and the users of all scripts */
    struct api_scripts *scripts;
    struct admission *admission;       /* from the newest settings, whichever scripts run */
    uint64_t last_turn, admitted_turn; /* given by api_begin_admission; of `admission` */
};

/* One call of a route, on the stack of its thread. */
struct api_computation {
    struct script_pool *pool;
    struct script_request request;
    int timeout_ms;
    struct script_headers headers; /* of the response; the caller frees its lines */
    char own_correlation_id[CORRELATION_MAX_BYTES + 1]; /* of a call that no client has asked for */
};

/* For cache_get: calls the route. */
struct cached_response *api_compute(void *computation, uint64_t **tags, size_t *tag_count,
                                    struct err *err);

/* The scripts that run now, with one more user; *admission, unless NULL, gets a reference. */
struct api_scripts *api_begin_use(struct api *api, struct admission **admission);
void api_end_use(void *scripts);

/* ---- api_live.c ----------------------------------------------------------------------------- */

extern const struct live_site api_live_site; /* without its context, the api */
/* Answers a request for the stream of a live route. */
void api_begin_stream(struct api_scripts *scripts, struct exchange *exchange);

/* ---- api_refresh.c -------------------------------------------------------------------------- */

/* Begins a call that no client has asked for; it stays where it is. */
void api_computation_begin(struct api_computation *computation, const struct api_scripts *scripts,
                           const struct script_request *request);
void api_computation_end(struct api_computation *computation);

/* Has the exchange's response, which is stale, computed again in the background. */
void api_give_refresh(struct api_scripts *scripts, const struct exchange *exchange);
/* For refresh.h: computes the response to a kept_request. */
void api_refresh(void *api, struct slice text);
/* Logs, at a bounded rate, why a stale response is served: it could not be computed. */
void api_log_stale(const char *endpoint, const struct err *err);
