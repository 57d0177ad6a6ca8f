/* verb: what an administrator may ask of the running program, and by which ways: a line on the
 * Unix socket (socket.h), a path of the administration's own listener (site.h), or both. */
#ifndef AGG_HOST_ADMIN_VERB_H
#define AGG_HOST_ADMIN_VERB_H

#include "base/buffer.h"
#include "base/json_put.h"
#include "script/script.h"

/* Over the socket: the words behind the verb, those with a "=" being the query. */
struct admin_request {
    const struct script_pair *params; /* of the path, decoded */
    size_t param_count;
    const struct script_pair *query; /* decoded */
    size_t query_count;
};

struct admin_verb {
    const char *name;         /* on the socket; NULL: not there */
    const char *method;       /* "GET", or "POST" where it changes something */
    const char *endpoint;     /* the label of its metrics */
    const char *const *paths; /* "/admin/explain/{id}" */
    size_t path_count;
    /* Appends a JSON object; returns the status that HTTP has for it. Any thread, several at once.
     */
    int (*answer)(void *context, const struct admin_request *request, struct buffer *json);
};

/* Appends {"error":"…"}; returns the status. */
static inline int admin_fail(struct buffer *json, int status, struct slice message) {
    buffer_append_text(json, "{");
    json_put_text(json, "error", message);
    buffer_append_text(json, "}");
    return status;
}

#endif
