/* sandbox: a Lua state as in production with the scripts and queries of spec/bindings. Each route
 * there is a table of cases; a test calls one by name and reads its result. */
#pragma once

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>

#include "script/script.h"
#include "test.h"

struct sandbox {
    struct config config;
    struct script_generation *generation;
    struct script_instance *instance;
    char root[512], sql[512];
    char answer[16384];
};

/* Defaults that a test may change before sandbox_open. */
static inline void sandbox_init(struct sandbox *sandbox) {
    static char file[] = __FILE__;
    static char folder[400];
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "%s/../bindings", dirname(file));
    }
    memset(sandbox, 0, sizeof *sandbox);
    snprintf(sandbox->root, sizeof sandbox->root, "%s/scripts", folder);
    snprintf(sandbox->sql, sizeof sandbox->sql, "%s/sql", folder);
    const char *postgres = getenv("PG_TEST_URL"), *redis = getenv("REDIS_TEST_URL");
    sandbox->config.refs = 1; /* owned by the sandbox: never freed */
    sandbox->config.postgres.url = (char *)(postgres ? postgres : "");
    sandbox->config.postgres.connect_timeout_ms = 5000;
    sandbox->config.postgres.statement_timeout_ms = 15000;
    sandbox->config.redis.url = (char *)(redis ? redis : "");
    sandbox->config.redis.timeout_ms = 250;
    sandbox->config.kafka.brokers = "127.0.0.1:1";
    sandbox->config.kafka.client_id = "spec";
    sandbox->config.scripts.root = sandbox->root;
    sandbox->config.scripts.sql = sandbox->sql;
    sandbox->config.scripts.memory_limit_mb = 64;
    sandbox->config.ingest.event_max_merge_bytes = 16 * 1024 * 1024;
    sandbox->config.scripts.handler_timeout_ms = 1000;
    sandbox->config.scripts.route_timeout_ms = 2000;
}

static inline bool sandbox_open(struct sandbox *sandbox) {
    struct err err = {0};
    sandbox->generation = script_generation_load(&sandbox->config, 1, &err);
    if (sandbox->generation) {
        sandbox->instance = script_instance_create(sandbox->generation, &err);
    }
    if (!sandbox->instance) {
        test_failed = true;
        printf("    no sandbox: %s\n", err.text);
    }
    return sandbox->instance != NULL;
}

static inline void sandbox_close(struct sandbox *sandbox) {
    script_instance_destroy(sandbox->instance);
    script_generation_unref(sandbox->generation);
    sandbox->instance = NULL;
    sandbox->generation = NULL;
}

static inline size_t sandbox_route(const struct sandbox *sandbox, const char *name) {
    size_t count;
    const struct script_route *routes = script_generation_routes(sandbox->generation, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(routes[i].name, name) == 0) {
            return i;
        }
    }
    printf("    no route %s\n", name);
    exit(1);
}

/* What the case returned, as text; where the route failed, "failed: " and why. The case gets
 * `argument` (may be NULL). Valid until the next call. */
static inline const char *sandbox_call(struct sandbox *sandbox, const char *route, const char *name,
                                       const char *argument) {
    struct script_pair params[] = {{slice_of("case"), slice_of(name)},
                                   {slice_of("argument"), slice_of(argument ? argument : "")}};
    struct script_request request = {
        .route = sandbox_route(sandbox, route),
        .params = params,
        .param_count = 2,
        .correlation_id = "spec-correlation",
    };
    struct script_response response = {0};
    struct err err = {0};
    if (script_answer(sandbox->instance, &request, &response, &err) == SCRIPT_OK) {
        snprintf(sandbox->answer, sizeof sandbox->answer, "%.*s", (int)response.body.len,
                 response.body.data);
    } else {
        snprintf(sandbox->answer, sizeof sandbox->answer, "failed: %s", err.text);
    }
    free((char *)response.body.data);
    free(response.tags);
    return sandbox->answer;
}
