/* show_answer: prints a route's response, as a client gets it, and what the route asked. */
#pragma once

#include "base/buffer.h"
#include "http/response.h"
#include "script/script.h"

struct shown_answer {                 /* begin: {0} */
    const struct script_route *route; /* NULL: no route has the path */
    int64_t took_us;                  /* of the script; 0: it was not called */
    size_t dropped_bytes;             /* of a streamed body, at its end */
    struct buffer error;              /* of the script, with its traceback; empty: none */
    struct buffer cache_key;          /* empty: the response is not cached */
    int cache_ttl_s;                  /* with cache_key */
    struct buffer tags;               /* elements of a JSON list */
    struct buffer calls;              /* as calls_report gives them */
    struct buffer unavailable;        /* the first failure for want of a system; or empty */
};

/* As text, like `curl -i`, or as one JSON object. False: standard output cannot be written. */
bool show_answer(const struct shown_answer *shown, const struct response *response,
                 const char *correlation_id, bool as_json, struct err *err);
void show_answer_free(struct shown_answer *shown);
