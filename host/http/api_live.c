/* api_live: streams of live routes: opens them, and asks their routes for answers. */
#include "api_private.h"

#include <stdlib.h>

#include "base/log.h"
#include "kept_request.h"
#include "route_response.h"
#include "vocabulary.h"

#define NO_ROUTE SIZE_MAX /* of an answer to a path that no route has any longer */

/* ---- answers, for live.h -------------------------------------------------------------------- */

static bool api_live_hears(void *context) {
    const struct api *api = context;
    return cache_hears(api->cache);
}

static bool api_live_compute(struct api_scripts *scripts, const struct script_request *request,
                             struct live_answer *answer, struct err *err) {
    struct api_computation computation;
    api_computation_begin(&computation, scripts, request);
    computation.request.route = answer->about;
    answer->cached = api_compute(&computation, &answer->tags, &answer->tag_count, err);
    api_computation_end(&computation);
    return answer->cached != NULL;
}

/* Asks the route of the request that the stream began with, by the scripts that run now. A request
 * that no route takes any longer ends its streams. */
static bool api_live_ask(void *context, struct slice text, struct live_answer *answer,
                         struct err *err) {
    struct api_scripts *scripts = api_begin_use(context, NULL);
    struct kept_request kept;
    struct script_request request = {0};
    bool answered = true;
    answer->held = scripts;
    enum router_result found =
        kept_request_read(&kept, text, scripts->live_routes, scripts->live_count, &request, err);
    if (found == ROUTER_FOUND) {
        answer->about = scripts->live_of[request.route];
        answered = api_live_compute(scripts, &request, answer, err);
    } else {
        answer->cached = cached_response_create(410, slice_of("{\"error\":\"Gone\"}"));
        answer->about = NO_ROUTE;
    }
    kept_request_free(&kept);
    if (!answered) {
        api_end_use(scripts);
    }
    return answered;
}

static struct cached_response *api_live_translate(const struct live_answer *answer,
                                                  const char *caller) {
    const struct api_scripts *scripts = answer->held;
    if (answer->about == NO_ROUTE) {
        return cached_response_ref(answer->cached);
    }
    const struct script_route *route = &scripts->routes[answer->about];
    return vocabulary_apply(
        cached_response_ref(answer->cached), route->words,
        route_response_vocabulary(scripts->vocabularies, route, slice_of(caller)));
}

const struct live_site api_live_site = {NULL, api_live_ask, api_live_translate, api_end_use,
                                        api_live_hears};

/* ---- streams -------------------------------------------------------------------------------- */

/* Takes `answer` out of the query. False: it is neither true nor false. */
static bool api_live_take_answer(struct router_pairs *query, bool *wants) {
    *wants = false;
    for (size_t i = 0; i < query->count; i++) {
        struct slice value = query->items[i].value;
        if (slice_equal(query->items[i].name, slice_of(SCRIPT_LIVE_ANSWER))) {
            *wants = slice_equal(value, slice_of("true"));
            query->items[i] = query->items[--query->count];
            return *wants || slice_equal(value, slice_of("false"));
        }
    }
    return true;
}

/* Whether the route takes such a request; else the response says what is wrong. */
static bool api_live_fits(const struct api_scripts *scripts, struct exchange *exchange,
                          struct slice text) {
    struct kept_request kept;
    struct script_request request = {0};
    struct err err = {0};
    enum router_result found =
        kept_request_read(&kept, text, scripts->live_routes, scripts->live_count, &request, &err);
    if (found != ROUTER_FOUND) {
        response_set_refused(&exchange->response, 400,
                             err.text[0] ? err.text : "Invalid path parameter",
                             "The request does not fit the route's declaration");
    }
    kept_request_free(&kept);
    return found == ROUTER_FOUND;
}

/* Sets the request that the stream asks for. False: there is a response, a 400. */
static bool api_live_read(const struct api_scripts *scripts, struct exchange *exchange,
                          const struct script_route *route, bool *wants_answer,
                          struct buffer *text) {
    struct router_pairs *query = &exchange->plan.query;
    struct err err = {0};
    if (!api_live_take_answer(query, wants_answer) || (!route->query && query->count > 0)) {
        response_set_error(&exchange->response, 400,
                           "A stream takes the query parameter answer=true or answer=false");
        return false;
    }
    if (!script_query_known(route, query->items, query->count, &err)) {
        response_set_refused(&exchange->response, 400, err.text,
                             "The request does not fit the route's declaration");
        return false;
    }
    kept_request_append(route, exchange, text);
    if (text->len > KEPT_REQUEST_BYTES) {
        response_set_error(&exchange->response, 400, "Path, query and headers are too long");
        return false;
    }
    return api_live_fits(scripts, exchange, buffer_slice(text));
}

/* Names that the settings do not have may be of any number: they have no words. */
static bool api_live_knows(const struct config *config, struct slice caller) {
    const struct config_strings *allowed = &config->http.allowed_services;
    const struct config_pairs *vocabularies = &config->http.vocabularies;
    bool known = false;
    for (size_t i = 0; i < allowed->count; i++) {
        known = known || slice_equal(slice_of(allowed->items[i]), caller);
    }
    for (size_t i = 0; i < vocabularies->count; i++) {
        known = known || slice_equal(slice_of(vocabularies->names[i]), caller);
    }
    return known;
}

static void api_live_open(struct api_scripts *scripts, struct exchange *exchange,
                          struct live_request *wanted) {
    const struct request *request = &exchange->request;
    const struct config *config = script_generation_config(scripts->generation);
    struct live_reader *reader = NULL;
    wanted->last_event_id = request->fields[FIELD_LAST_EVENT_ID];
    if (api_live_knows(config, request->fields[FIELD_CALLER])) {
        wanted->caller = request->fields[FIELD_CALLER];
    }
    if (request->method != METHOD_HEAD) {
        reader =
            live_reader_create(scripts->api->live, wanted, (size_t)config->http.max_live_readers);
        if (!reader) {
            response_set_unavailable(&exchange->response, UNAVAILABLE_CONNECTIONS);
            return;
        }
    }
    response_set_stream(&exchange->response, reader);
}

void api_begin_stream(struct api_scripts *scripts, struct exchange *exchange) {
    const struct script_route *route = &scripts->live_routes[exchange->plan.match.route];
    struct live_request wanted = {0};
    struct buffer text = {0};
    if (api_live_read(scripts, exchange, route, &wanted.wants_answer, &text)) {
        wanted.path = buffer_slice(&text);
        api_live_open(scripts, exchange, &wanted);
    }
    buffer_free(&text);
}
