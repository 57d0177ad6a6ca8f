#include "compression.h"

#include "accept.h"

static bool compression_may_be(const struct cached_response *cached, int min_bytes) {
    return min_bytes > 0 && cached->status == 200 && cached->body.len >= (size_t)min_bytes;
}

bool compression_is_due(const struct request *request, const struct cached_response *cached,
                        int min_bytes) {
    struct slice accepted = request->fields[FIELD_ACCEPT_ENCODING];
    return accepted.len > 0 && compression_may_be(cached, min_bytes) &&
           accept_quality(accepted, "gzip") > 0;
}

void compression_apply(struct response *response, const struct request *request, int min_bytes) {
    struct cached_response *cached = response->cached;
    response->varies = compression_may_be(cached, min_bytes);
    response->weak_etag = compression_is_due(request, cached, min_bytes);
    if (response->weak_etag && response->status == 200) { /* not a 304 */
        response->gzip = cached_response_gzip(cached);
    }
}
