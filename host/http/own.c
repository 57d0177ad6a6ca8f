#include "own.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/aside.h"
#include "../base/log.h"
#include "../base/problems.h"
#include "../base/regular_file.h"
#include "../../bindings/pg_metrics.h"
#include "../platform_metrics.h"
#include "../process_metrics.h"
#include "../base/xalloc.h"
#include "endpoint.h"

#define JSON "application/json"
#define PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"
#define OPENAPI_MAX_BYTES (1024UL * 1024)
#define OPENAPI_TIMEOUT_MS 5000
#define READINESS_WAIT_MS 5000 /* longer than a probe of every dependency takes */

enum own_path {
    OWN_HEALTHZ,
    OWN_READYZ,
    OWN_READS,
    OWN_CONSUMES,
    OWN_METRICS,
    OWN_OPENAPI,
    OWN_SERVER,
    OWN_PATHS
};

static const struct {
    const char *path;
    const char *endpoint;
} own_paths[OWN_PATHS] = {
    [OWN_HEALTHZ] = {"/healthz", "healthz"},
    [OWN_READYZ] = {"/readyz", "readyz"},
    [OWN_READS] = {"/readyz/read", "readyz_read"},
    [OWN_CONSUMES] = {"/readyz/consume", "readyz_consume"},
    [OWN_METRICS] = {"/metrics", "metrics"},
    [OWN_OPENAPI] = {"/openapi.json", "openapi"},
    [OWN_SERVER] = {"*", "server"}, /* OPTIONS * */
};

struct own {
    struct health *health;
    struct answer *openapi;
    char *service; /* its name */
    struct endpoint *endpoints[OWN_PATHS];
};

/* The API description, read aside: it lies beside the scripts, maybe on a mount that hangs. */
struct openapi_file {
    char path[4096];
    struct buffer text;
    struct err err;
};

static void read_file(void *context) {
    struct openapi_file *file = context;
    regular_file_read(AT_FDCWD, file->path, file->path, OPENAPI_MAX_BYTES, &file->text, &file->err);
}

static void free_file(void *context) {
    struct openapi_file *file = context;
    buffer_free(&file->text);
    free(file);
}

static struct answer *read_openapi(const struct config *config) {
    static const struct aside_work work = {"reading openapi.json", read_file, free_file};
    struct openapi_file *file = xcalloc(1, sizeof *file);
    struct answer *answer = NULL;
    struct err err = {0};
    snprintf(file->path, sizeof file->path, "%s/openapi.json", config->scripts.root);
    if (aside_run(&work, file, OPENAPI_TIMEOUT_MS, &err)) {
        err = file->err;
        if (err.kind == ERR_NONE) {
            answer = answer_create(200, buffer_slice(&file->text));
        }
        free_file(file);
    }
    if (!answer) {
        log_warning("no API description: /openapi.json answers 404", LOG_TEXT("error", err.text));
    }
    return answer;
}

struct own *own_create(const struct config *config, struct health *health) {
    struct own *own = xcalloc(1, sizeof *own);
    own->health = health;
    own->openapi = read_openapi(config);
    own->service = xstrdup(config->service.name);
    for (size_t i = 0; i < OWN_PATHS; i++) {
        own->endpoints[i] = endpoint_of(own_paths[i].endpoint);
    }
    return own;
}

void own_destroy(struct own *own) {
    if (own) {
        answer_unref(own->openapi);
        free(own->service);
        free(own);
    }
}

static void set_body(struct exchange *exchange, int status, struct buffer *body,
                     const char *content_type) {
    reply_set_momentary(&exchange->reply, answer_create(status, buffer_slice(body)), content_type);
    buffer_free(body);
}

static void set_health(struct own *own, struct exchange *exchange, enum health_question question) {
    struct buffer body = {0};
    bool good = health_report(own->health, question, READINESS_WAIT_MS, &body);
    set_body(exchange, good ? 200 : 503, &body, JSON);
}

static void set_metrics(const struct own *own, struct exchange *exchange) {
    struct buffer body = {0};
    process_metrics_update();
    pg_metrics_update();
    metrics_render(&body);
    platform_metrics_append(&body, own->service);
    set_body(exchange, 200, &body, PROMETHEUS);
}

static void set_openapi(struct own *own, struct exchange *exchange) {
    if (own->openapi) {
        reply_set(&exchange->reply, &exchange->request, answer_ref(own->openapi), JSON);
    } else {
        reply_set_error(&exchange->reply, 404, "Not found");
    }
}

static enum own_path find(struct slice path) {
    size_t which = 0;
    while (which < OWN_PATHS && !slice_equal(path, slice_of(own_paths[which].path))) {
        which++;
    }
    return (enum own_path)which;
}

/* Asks the dependencies, unless that was just done. */
static bool asks_health(enum own_path which, enum health_question *question) {
    *question = which == OWN_READS      ? HEALTH_READS
                : which == OWN_CONSUMES ? HEALTH_CONSUMES
                                        : HEALTH_READY;
    return which == OWN_READYZ || which == OWN_READS || which == OWN_CONSUMES;
}

bool own_has_path(const char *path) {
    return find(slice_of(path)) != OWN_PATHS;
}

bool own_leaves_routes(const struct script_generation *generation, struct err *err) {
    struct problems problems = {0};
    size_t count;
    const struct script_route *routes = script_generation_routes(generation, &count);
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < routes[i].path_count; p++) {
            if (own_has_path(routes[i].paths[p])) {
                problems_add(&problems, routes[i].name, 0,
                             "the path %s is answered by the program itself: take another",
                             routes[i].paths[p]);
            }
        }
    }
    bool good = problems_report(&problems, err);
    problems_free(&problems);
    return good;
}

enum own_result own_answer(struct own *own, struct exchange *exchange, bool may_block) {
    const struct request *request = &exchange->request;
    enum own_path which = find(request->path);
    enum health_question question;
    if (which == OWN_PATHS) {
        return OWN_NOT_MINE;
    }
    exchange->endpoint = own->endpoints[which];
    if (request->method == METHOD_OTHER && which != OWN_SERVER) {
        reply_set_wrong_method(&exchange->reply, "GET, HEAD");
    } else if (request->has_body) {
        reply_set_body_refused(&exchange->reply);
    } else if (which == OWN_SERVER) {
        reply_set_options(&exchange->reply, "GET, HEAD, OPTIONS");
    } else if (which == OWN_HEALTHZ) {
        set_health(own, exchange, HEALTH_ALIVE);
    } else if (which == OWN_OPENAPI) {
        set_openapi(own, exchange);
    } else if (asks_health(which, &question) && (may_block || health_is_fresh(own->health))) {
        set_health(own, exchange, question);
    } else if (which == OWN_METRICS && may_block) {
        set_metrics(own, exchange);
    } else {
        return OWN_WOULD_BLOCK;
    }
    return OWN_ANSWERED;
}
