/* verb: a request of an operator to the running program, over the Unix socket (socket.h), a path of
 * the admin listener (admin_site.h), or both. */
#pragma once

#include <stdlib.h>

#include "base/buffer.h"
#include "base/json_put.h"
#include "script/script.h"

/* Over the socket, words with a "=" are the query, other words the params. */
struct admin_request {
    const struct script_pair *params; /* of the path, decoded */
    size_t param_count;
    const struct script_pair *query; /* decoded */
    size_t query_count;
};

struct admin_verb {
    const char *name;         /* on the socket; NULL: HTTP only */
    const char *method;       /* "POST" if it changes something, or does much work */
    const char *endpoint;     /* label of its metrics */
    const char *const *paths; /* "/admin/explain/{id}" */
    size_t path_count;
    /* Appends a JSON object; returns the HTTP status. Any thread, several at once. */
    int (*answer)(void *context, const struct admin_request *request, struct buffer *json);
    bool takes_query; /* false: parameters are refused */
};

#define ADMIN_NO_QUERY "unknown parameter: send none"

/* Appends {"error":"…"}; returns the status. */
static inline int admin_fail(struct buffer *json, int status, struct slice message) {
    buffer_append_text(json, "{");
    json_put_text(json, "error", message);
    buffer_append_text(json, "}");
    return status;
}

/* A whole number from min to max in decimal digits. */
static inline bool admin_read_number(struct slice text, int64_t min, int64_t max, int64_t *number) {
    char digits[20] = "";
    bool good = text.len > 0 && text.len < sizeof digits;
    for (size_t i = 0; good && i < text.len; i++) {
        good = text.data[i] >= '0' && text.data[i] <= '9';
        digits[i] = text.data[i];
    }
    *number = good ? strtoll(digits, NULL, 10) : 0;
    return good && *number >= min && *number <= max;
}
