#include "kept_request.h"

#include "route_inputs.h"

void kept_request_append(const struct script_route *route, const struct exchange *exchange,
                         struct buffer *text) {
    struct route_inputs inputs;
    struct script_request request = {.correlation_id = exchange->correlation_id};
    route_inputs_take(&inputs, route, exchange, &request);
    buffer_append_slice(text, exchange->request.path);
    script_append_variant(route, &request, text);
    route_inputs_free(&inputs);
}

/* The part of the text from the mark up to the end or the next part; moves the end to the mark. */
static struct slice kept_request_cut(struct slice *text, char mark) {
    const char *at = memchr(text->data, mark, text->len);
    struct slice part = {"", 0};
    if (at) {
        size_t before = (size_t)(at - text->data);
        part = (struct slice){at + 1, text->len - before - 1};
        text->len = before;
    }
    return part;
}

enum router_result kept_request_read(struct kept_request *kept, struct slice text,
                                     const struct script_route *routes, size_t count,
                                     struct script_request *request, struct err *err) {
    struct slice headers = kept_request_cut(&text, '#');
    struct slice query = kept_request_cut(&text, '?');
    kept->path = text;
    kept->arena = arena_create(1024);
    const struct request found = {
        .method_name = slice_of("GET"), .method = METHOD_GET, .path = text};
    enum router_result result = router_find(routes, count, &found, &kept->match);
    const char *problem = router_parse_query(query, &kept->query);
    problem = problem ? problem : router_parse_query(headers, &kept->headers);
    if (result != ROUTER_FOUND) {
        return result;
    }
    request->route = kept->match.route;
    request->params = kept->match.params.items;
    request->param_count = kept->match.params.count;
    request->query = kept->query.items;
    request->query_count = kept->query.count;
    request->headers = kept->headers.items;
    request->header_count = kept->headers.count;
    if (problem) {
        err_set(err, ERR_INPUT, "%s", problem);
        return ROUTER_BAD_PARAMETER;
    }
    return script_read_inputs(&routes[request->route], request, kept->arena, err)
               ? ROUTER_FOUND
               : ROUTER_BAD_PARAMETER;
}

void kept_request_free(struct kept_request *kept) {
    arena_destroy(kept->arena);
}
