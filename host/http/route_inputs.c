#include "route_inputs.h"

#include <strings.h>

#define ARENA_BYTES 8192

/* ---- headers ------------------------------------------------------------------------------- */

static bool route_inputs_declares(const struct script_part *part, struct slice name) {
    for (size_t i = 0; i < part->field_count; i++) {
        for (size_t p = 0; p < part->fields[i].path_count; p++) {
            const char *path = part->fields[i].paths[p];
            if (strlen(path) == name.len && strncasecmp(path, name.data, name.len) == 0) {
                return true;
            }
        }
    }
    return false;
}

static struct script_pair *route_inputs_find(struct script_pair *headers, size_t count,
                                             struct slice name) {
    for (size_t i = 0; i < count; i++) {
        if (headers[i].name.len == name.len &&
            strncasecmp(headers[i].name.data, name.data, name.len) == 0) {
            return &headers[i];
        }
    }
    return NULL;
}

/* RFC 9110 5.3: the values of a repeated field are a list; of Cookie, pairs (RFC 6265 5.4). */
static void route_inputs_join(struct arena *arena, struct script_pair *header, struct slice more) {
    bool cookie = header->name.len == 6 && strncasecmp(header->name.data, "cookie", 6) == 0;
    size_t len = header->value.len;
    char *joined = arena_alloc(arena, len + 2 + more.len);
    memcpy(joined, header->value.data, len);
    memcpy(joined + len, cookie ? "; " : ", ", 2);
    memcpy(joined + len + 2, more.data, more.len);
    header->value = (struct slice){joined, len + 2 + more.len};
}

/* The declared headers, each name once. */
static void route_inputs_take_headers(struct arena *arena, const struct script_part *part,
                                      const struct request *from, struct script_request *request) {
    struct script_pair *headers = arena_alloc(arena, REQUEST_MAX_FIELDS * sizeof *headers);
    struct slice lines = from->lines, name, value;
    size_t count = 0;
    while (request_next_header(&lines, &name, &value)) {
        struct script_pair *before = route_inputs_find(headers, count, name);
        if (before) {
            route_inputs_join(arena, before, value);
        } else if (route_inputs_declares(part, name)) {
            headers[count++] = (struct script_pair){name, value};
        }
    }
    request->headers = headers;
    request->header_count = count;
}

/* ---- the request --------------------------------------------------------------------------- */

void route_inputs_take(struct route_inputs *inputs, const struct script_route *route,
                       const struct exchange *exchange, struct script_request *request) {
    const struct plan *plan = &exchange->plan;
    request->params = plan->match.params.items;
    request->param_count = plan->match.params.count;
    request->query = plan->query.items;
    request->query_count = plan->query.count;
    inputs->arena = route->headers ? arena_create(ARENA_BYTES) : NULL;
    if (route->headers) {
        route_inputs_take_headers(inputs->arena, route->headers, &exchange->request, request);
    }
}

bool route_inputs_read(struct route_inputs *inputs, const struct script_route *route,
                       const struct exchange *exchange, struct script_request *request,
                       struct err *err) {
    route_inputs_take(inputs, route, exchange, request);
    request->traceparent = traceparent_read(slice_of(exchange->traceparent));
    if (!route->query && !route->headers && !route->body) {
        return true;
    }
    inputs->arena = inputs->arena ? inputs->arena : arena_create(ARENA_BYTES);
    request->body = body_memory_slice(&exchange->body);
    return script_read_inputs(route, request, inputs->arena, err);
}

void route_inputs_free(struct route_inputs *inputs) {
    if (inputs->arena) {
        arena_destroy(inputs->arena);
    }
}

void route_inputs_set_refused(struct exchange *exchange, const struct script_inputs *inputs,
                              const struct err *err) {
    struct buffer why = {0};
    buffer_append_format(&why, "%s%s%s", inputs->refused_part, inputs->refused_path ? " " : "",
                         inputs->refused_path ? inputs->refused_path : "");
    exchange->why = why.data;
    response_set_refused(&exchange->response, 400, err->text,
                         "The request does not fit the route's declaration");
}
