/* parts: a sink that collects a streamed response, for specs and `aggregator try`. */
#include "script.h"

static void parts_begin(void *context, const struct script_response *response) {
    (void)context;
    (void)response;
}

static const char *parts_write(void *context, struct slice part) {
    struct script_parts *parts = context;
    buffer_append_slice(&parts->body, part);
    buffer_append(&parts->lens, &part.len, sizeof part.len);
    return parts->body.len > SCRIPT_PARTS_BYTES ? "specs and try take 16 MiB of a stream" : NULL;
}

struct script_sink script_parts_sink(struct script_parts *parts) {
    return (struct script_sink){parts, parts_begin, parts_write};
}

void script_parts_free(struct script_parts *parts) {
    buffer_free(&parts->body);
    buffer_free(&parts->lens);
}
