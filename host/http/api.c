#include "api.h"

#include <pthread.h>
#include <stdlib.h>

#include "../base/clock.h"
#include "../base/hash.h"
#include "../base/json_put.h"
#include "../base/log.h"
#include "../base/reaper.h"
#include "../base/xalloc.h"
#include "admission.h"
#include "endpoint.h"
#include "own.h"
#include "router.h"
#include "words.h"

#define JSON "application/json"
#define SHOWN_SERVICE_BYTES 64

struct api_scripts {
    struct script_generation *generation;
    uint64_t hash;                     /* of the generation's */
    const struct script_route *routes; /* of the generation */
    size_t route_count;
    const struct config_pairs *vocabularies; /* by X-Service-ID; of the generation */
    struct endpoint **endpoints;             /* one a route */
    struct script_pool *pool;
    struct own *own;
    int users;    /* requests under way; by the api's lock, as what follows */
    bool retired; /* freed once it has no user */
};

struct api {
    struct cache *cache;
    struct reaper *reaper;
    pthread_mutex_t lock; /* guards what follows, and the users of all scripts */
    struct api_scripts *scripts;
    struct admission *admission; /* of the newest settings, whichever scripts run */
};

/* ---- admission ----------------------------------------------------------------------------- */

static void log_warnings(const struct problems *warnings) {
    for (size_t i = 0; i < warnings->count; i++) {
        log_warning("a setting is hardly meant as it is",
                    LOG_TEXT("setting", warnings->items[i].text));
    }
}

bool api_admit(struct api *api, const struct config *config, struct err *err) {
    struct admission *admission = admission_create(config, err);
    if (!admission) {
        return false;
    }
    log_warnings(admission_warnings(admission));
    pthread_mutex_lock(&api->lock);
    struct admission *old = api->admission;
    api->admission = admission;
    pthread_mutex_unlock(&api->lock);
    admission_unref(old);
    return true;
}

static struct admission *current_admission(struct api *api) {
    pthread_mutex_lock(&api->lock);
    struct admission *admission = admission_ref(api->admission);
    pthread_mutex_unlock(&api->lock);
    return admission;
}

void api_report_warnings(struct api *api, struct buffer *json) {
    struct admission *admission = current_admission(api);
    const struct problems *warnings = admission_warnings(admission);
    struct buffer elements = {0};
    for (size_t i = 0; i < warnings->count; i++) {
        buffer_append_text(&elements, i ? "," : "");
        buffer_append_json_string(&elements, slice_of(warnings->items[i].text));
    }
    json_put_list(json, "warnings", &elements);
    buffer_free(&elements);
    admission_unref(admission);
}

/* Of a key that was right, or a service that is known: neither name is a secret. */
static char *explain_refusal(const struct admission *admission, enum admission_result result,
                             struct slice service) {
    struct buffer text = {0};
    bool known = admission_knows_service(admission, service); /* asked always: it takes time */
    buffer_append_text(&text, admission_reason(result));
    if (known || result == ADMISSION_SERVICE_NOT_ALLOWED) {
        size_t len = service.len < SHOWN_SERVICE_BYTES ? service.len : SHOWN_SERVICE_BYTES;
        buffer_append_format(&text, ", service %.*s", (int)len, service.data);
    }
    return text.data;
}

/* False: the reply is the 401. */
static bool admit(struct api *api, struct exchange *exchange) {
    const struct slice *fields = exchange->request.fields;
    struct admission *admission = current_admission(api);
    enum admission_result result =
        admission_judge(admission, fields[FIELD_API_KEY], fields[FIELD_SERVICE_ID]);
    if (result != ADMISSION_GOOD) {
        endpoint_count_unauthorized(exchange->endpoint, result);
        exchange->why = explain_refusal(admission, result, fields[FIELD_SERVICE_ID]);
        reply_set_error(&exchange->reply, 401, admission_message(result));
    }
    admission_unref(admission);
    return result == ADMISSION_GOOD;
}

/* ---- scripts ------------------------------------------------------------------------------- */

static void find_endpoints(struct api_scripts *scripts) {
    scripts->routes = script_generation_routes(scripts->generation, &scripts->route_count);
    scripts->endpoints = xcalloc(scripts->route_count + 1, sizeof(struct endpoint *));
    for (size_t i = 0; i < scripts->route_count; i++) {
        scripts->endpoints[i] = endpoint_of(scripts->routes[i].endpoint);
    }
}

struct api_scripts *api_scripts_create(struct script_generation *generation, struct health *health,
                                       struct err *err) {
    if (!own_leaves_routes(generation, err)) {
        return NULL;
    }
    struct api_scripts *scripts = xcalloc(1, sizeof *scripts);
    scripts->generation = script_generation_ref(generation);
    scripts->vocabularies = &script_generation_config(generation)->http.vocabularies;
    scripts->hash = hash64(slice_of(script_generation_hash(generation)));
    find_endpoints(scripts);
    scripts->own = own_create(script_generation_config(generation), health);
    scripts->pool = script_pool_create(generation, err);
    if (!scripts->pool) {
        api_scripts_destroy(scripts);
        return NULL;
    }
    return scripts;
}

void api_scripts_destroy(struct api_scripts *scripts) {
    if (!scripts) {
        return;
    }
    own_destroy(scripts->own);
    script_pool_destroy(scripts->pool);
    script_generation_unref(scripts->generation);
    free(scripts->endpoints);
    free(scripts);
}

static struct api_scripts *begin_use(struct api *api) {
    pthread_mutex_lock(&api->lock);
    struct api_scripts *scripts = api->scripts;
    scripts->users++;
    pthread_mutex_unlock(&api->lock);
    return scripts;
}

static void destroy_retired(void *scripts) {
    api_scripts_destroy(scripts);
}

static void end_use(struct api *api, struct api_scripts *scripts) {
    pthread_mutex_lock(&api->lock);
    bool last = --scripts->users == 0 && scripts->retired;
    pthread_mutex_unlock(&api->lock);
    if (last) {
        reaper_give(api->reaper, destroy_retired, scripts);
    }
}

void api_replace(struct api *api, struct api_scripts *scripts) {
    pthread_mutex_lock(&api->lock);
    struct api_scripts *old = api->scripts;
    api->scripts = scripts;
    old->retired = true;
    bool unused = old->users == 0;
    pthread_mutex_unlock(&api->lock);
    if (unused) {
        reaper_give(api->reaper, destroy_retired, old);
    }
}

struct api *api_create(struct cache *cache, struct api_scripts *scripts, struct err *err) {
    struct api *api = xcalloc(1, sizeof *api);
    api->reaper = reaper_create();
    if (!api->reaper) {
        err_set(err, ERR_INTERNAL, "cannot start the thread that frees replaced scripts");
        api_scripts_destroy(scripts);
        free(api);
        return NULL;
    }
    api->cache = cache;
    api->scripts = scripts;
    pthread_mutex_init(&api->lock, NULL);
    if (!api_admit(api, script_generation_config(scripts->generation), err)) {
        api_destroy(api);
        return NULL;
    }
    return api;
}

void api_destroy(struct api *api) {
    if (api) {
        reaper_destroy(api->reaper);
        api_scripts_destroy(api->scripts);
        admission_unref(api->admission);
        pthread_mutex_destroy(&api->lock);
        free(api);
    }
}

/* ---- answers of scripts -------------------------------------------------------------------- */

/* What one request is answered with. */
struct use {
    struct api *api;
    struct api_scripts *scripts;
    struct cache *cache;
};

/* What the computation of a missing answer needs; on the stack of the request's worker. */
struct computation {
    struct script_pool *pool;
    struct script_request request;
    int timeout_ms;
};

/* On a miss: the script's answer. */
static struct answer *compute(void *context, uint64_t **tags, size_t *tag_count, struct err *err) {
    struct computation *computation = context;
    struct script_response response;
    enum script_result result = script_pool_answer(computation->pool, &computation->request,
                                                   computation->timeout_ms, &response, err);
    struct answer *answer = NULL;
    if (result == SCRIPT_OK) {
        answer = answer_create(response.status, response.body);
        *tags = response.tags;
        *tag_count = response.tag_count;
    } else {
        free(response.tags);
    }
    free((char *)response.body.data);
    return answer;
}

/* "api:batch:{batch_id}" with the path's parameters in place. */
static void expand_key(const char *pattern, const struct router_pairs *params, struct buffer *key) {
    while (*pattern) {
        size_t plain = strcspn(pattern, "{");
        buffer_append(key, pattern, plain);
        pattern += plain;
        if (!*pattern) {
            break;
        }
        size_t len = strcspn(pattern + 1, "}");
        for (size_t i = 0; i < params->count; i++) {
            if (slice_equal(params->items[i].name, (struct slice){pattern + 1, len})) {
                buffer_append(key, params->items[i].value.data, params->items[i].value.len);
            }
        }
        pattern += len + 2;
    }
}

static void set_failure(struct exchange *exchange, const struct err *err) {
    bool away = err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT;
    exchange->why = xstrdup(err->text);
    reply_set_error(&exchange->reply, away ? 503 : 500,
                    away ? "Service unavailable" : "Internal server error");
}

/* The answer, in the words that the caller reads; takes the reference. */
static void send_answer(const struct use *use, struct exchange *exchange,
                        const struct script_route *route, struct answer *answer) {
    const struct config_pairs *callers = use->scripts->vocabularies;
    struct slice caller = exchange->request.fields[FIELD_SERVICE_ID];
    const char *vocabulary = NULL;
    for (size_t i = 0; i < callers->count && !vocabulary; i++) {
        vocabulary = slice_equal(slice_of(callers->names[i]), caller) ? callers->values[i] : NULL;
    }
    reply_set(&exchange->reply, &exchange->request, words_speak(answer, route->words, vocabulary),
              JSON);
}

/* The slow half: on a worker. The key is absent where the route is not cached. */
static void ask_script(const struct use *use, struct exchange *exchange,
                       const struct router_match *match, const struct cache_key *key) {
    struct router_pairs query;
    struct err err = {0};
    const char *problem = router_parse_query(exchange->request.query, &query);
    if (problem) {
        reply_set_error(&exchange->reply, 400, problem);
        return;
    }
    struct computation computation = {
        .pool = use->scripts->pool,
        .request = {match->route, match->params.items, match->params.count, query.items,
                    query.count, exchange->correlation_id,
                    traceparent_read(slice_of(exchange->traceparent))},
        .timeout_ms = clock_remaining_ms(exchange->deadline_us),
    };
    struct answer *answer =
        cache_get(use->cache, key, computation.timeout_ms, compute, &computation, &err);
    if (answer) {
        send_answer(use, exchange, &use->scripts->routes[match->route], answer);
    } else {
        set_failure(exchange, &err);
    }
}

/* Authentication first, then the process' cache, then all else. */
static bool answer_route(const struct use *use, struct exchange *exchange,
                         const struct router_match *match, bool may_block) {
    const struct script_route *route = &use->scripts->routes[match->route];
    struct buffer text = {0};
    struct cache_key key = {.type = route->cache_type, .scripts = use->scripts->hash};
    if (route->cache_key) {
        expand_key(route->cache_key, &match->params, &text);
        key.text = buffer_slice(&text);
    }
    struct answer *kept = NULL;
    if (route->authenticated && !admit(use->api, exchange)) {
        buffer_free(&text);
        return true;
    }
    if (exchange->request.has_body) {
        reply_set_body_refused(&exchange->reply);
    } else if (route->cache_key && !exchange->request.query.len &&
               (kept = cache_lookup(use->cache, &key))) {
        send_answer(use, exchange, route, kept);
    } else if (may_block) {
        ask_script(use, exchange, match, &key);
    } else {
        buffer_free(&text);
        return false;
    }
    buffer_free(&text);
    return true;
}

static bool find_and_answer(const struct use *use, struct exchange *exchange, bool may_block) {
    const struct api_scripts *scripts = use->scripts;
    struct router_match match;
    enum router_result found =
        router_find(scripts->routes, scripts->route_count, &exchange->request, &match);
    if (found == ROUTER_FOUND || found == ROUTER_BAD_PARAMETER) {
        exchange->endpoint = scripts->endpoints[match.route];
    }
    if (found == ROUTER_FOUND) {
        return answer_route(use, exchange, &match, may_block);
    }
    router_refuse(found, &match, &exchange->reply);
    return true;
}

static bool answer_by(const struct use *use, struct exchange *exchange, bool may_block) {
    switch (own_answer(use->scripts->own, exchange, may_block)) {
    case OWN_ANSWERED:
        return true;
    case OWN_WOULD_BLOCK:
        return false;
    case OWN_NOT_MINE:
        break;
    }
    return find_and_answer(use, exchange, may_block);
}

/* A site's answer: by one set of scripts from its begin to its end. */
static bool answer(void *context, struct exchange *exchange, bool may_block) {
    struct api *api = context;
    struct use use = {api, begin_use(api), api->cache};
    bool answered = answer_by(&use, exchange, may_block);
    end_use(api, use.scripts);
    return answered;
}

struct site api_site(struct api *api) {
    return (struct site){api, answer};
}
