/* border: the scripts of a test on what Lua hands over: small limits, a view with a column of every
 * type, and requests to the one route. */
#pragma once

#include "scripts.h"

static struct scripts scripts;
static struct script_generation *generation;
static struct script_instance *instance;
static struct err err;

static const char rich_view[] =
    "return { { name = 'things', key = { { 'id', 'text' } }, groups = { { name = 'said', rule = "
    "'latest', columns = { { 'word', 'text' }, { 'words', 'text[]' }, { 'numbers', 'integer[]' }, "
    "{ 'at', 'timestamp' }, { 'amount', 'double' }, { 'count', 'integer' }, { 'good', 'boolean' }, "
    "{ 'owner', 'id' }, { 'members', 'id[]' } } } } } }";

/* The limits are those of each call and state. */
static inline void border_begin(int memory_mb, int timeout_ms) {
    scripts_begin(&scripts);
    scripts.config.scripts.memory_limit_mb = memory_mb;
    scripts.config.scripts.handler_timeout_ms = timeout_ms;
    scripts.config.scripts.route_timeout_ms = timeout_ms;
    scripts.config.ingest.event_max_merge_bytes = 1 << 24;
    scripts_write(&scripts, "view.lua", "%s", rich_view);
    scripts_write(&scripts, "lib/empty.lua", "return {}");
}

static inline void load(void) {
    generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    instance = generation ? script_instance_create(generation, &err) : NULL;
    CHECK_OK(instance != NULL, &err);
    if (!instance) {
        exit(1); /* the case cannot continue */
    }
}

static inline void unload(void) {
    scripts_unload(&scripts, generation, instance);
}

/* Asks the route /x/{v}/{p} for the value and the place, which count from 1 there. */
static inline enum script_result answer(size_t value, size_t place,
                                        struct script_response *response) {
    char v[24], p[24];
    snprintf(v, sizeof v, "%zu", value + 1);
    snprintf(p, sizeof p, "%zu", place + 1);
    struct script_pair params[] = {{slice_of("v"), slice_of(v)}, {slice_of("p"), slice_of(p)}};
    struct script_request request = {
        .params = params, .param_count = 2, .correlation_id = "border"};
    err_clear(&err);
    return script_answer(instance, &request, response, &err);
}
