/* parts: a sink that collects a streamed response, for specs and `aggregator try`. */
#include "script.h"

static void parts_begin(void *context, const struct script_response *response) {
    (void)context;
    (void)response;
}

static const char *parts_write(void *context, struct slice part) {
    struct script_parts *parts = context;
    size_t room = SCRIPT_PARTS_BYTES - parts->body.len;
    size_t len = part.len < room ? part.len : room;
    if (len < part.len && !parts->cuts) {
        return "a spec takes 16 MiB of a stream";
    }
    parts->dropped += part.len - len;
    if (len > 0 || part.len == 0) {
        buffer_append(&parts->body, part.data, len);
        buffer_append(&parts->lens, &len, sizeof len);
    }
    return NULL;
}

struct script_sink script_parts_sink(struct script_parts *parts) {
    return (struct script_sink){parts, parts_begin, parts_write};
}

void script_parts_free(struct script_parts *parts) {
    buffer_free(&parts->body);
    buffer_free(&parts->lens);
}
