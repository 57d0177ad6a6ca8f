#include "route_response.h"

#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "vocabulary.h"

#define JSON "application/json"

const char *route_response_vocabulary(const struct config_pairs *vocabularies,
                                      const struct script_route *route, struct slice caller) {
    const char *vocabulary = NULL;
    for (size_t i = 0; route->words && i < vocabularies->count && !vocabulary; i++) {
        if (slice_equal(slice_of(vocabularies->names[i]), caller)) {
            vocabulary = vocabularies->values[i];
        }
    }
    return vocabulary;
}

void route_response_set(struct response *response, const struct request *request,
                        struct cached_response *cached, const struct script_route *route,
                        const struct config_pairs *vocabularies) {
    const char *vocabulary =
        route_response_vocabulary(vocabularies, route, request->fields[FIELD_CALLER]);
    int64_t age_us = clock_monotonic_us() - cached->made_us;
    cached = vocabulary_apply(cached, route->words, vocabulary);
    if (request_reads(request)) {
        response_set(response, request, cached, JSON);
        response_set_caching(response, route->cache.vary, route->cache.control, age_us);
    } else { /* what it did is no representation of the path */
        response_set_momentary(response, cached, JSON);
    }
}

void route_response_set_headers(struct response *response, const struct script_headers *headers) {
    if (headers->lines) {
        size_t len = strlen(headers->lines);
        response->own_lines = xrealloc(headers->lines, len + 3);
        memcpy(response->own_lines + len, "\r\n", 3);
        response->own_content_type = headers->has_content_type;
        response->own_cache_control = headers->has_cache_control;
        response->own_retry_after = headers->has_retry_after;
    }
}

void route_response_set_failure(struct response *response, const struct err *err) {
    enum unavailable reason = unavailable_of(err);
    if (reason != UNAVAILABLE_NOT) {
        response_set_unavailable(response, reason);
    } else {
        response_set_error(response, 500, "Internal server error");
    }
}
