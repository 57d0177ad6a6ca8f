#include "spec.h"

#include <limits.h>
#include <luajit.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/lua_job.h"
#include "base/xalloc.h"
#include "script/fuel.h"
#include "coverage.h"
#include "spec_coverage.lua.h"
#include "spec_private.h"
#include "spec_runner.lua.h"

#define NO_TIMEOUT_MS INT_MAX
#define COVERAGE_TIMEOUT_MS 600000
#define COVERAGE_MEMORY_BYTES (1024UL * 1024 * 1024)
#define RUNNER "aggregator.spec_runner" /* the registry key of its function */

struct spec_run {
    const struct config *config;
    struct script_generation *generation;
    struct bundle support;
    struct coverage *coverage; /* NULL: not asked for */
    struct merge *merge;       /* for testing.handlers, one event at a time */
    bool real;
};

struct spec_run *spec_run_create(const struct config *config, const struct spec_options *options,
                                 struct err *err) {
    struct spec_run *run = xcalloc(1, sizeof *run);
    run->config = config;
    run->real = options->real;
    run->generation = script_generation_load(config, 1, err);
    if (!run->generation || !spec_support_read(&run->support, options->support, err)) {
        spec_run_destroy(run);
        return NULL;
    }
    run->merge = merge_create(run->generation->view);
    if (options->coverage) {
        run->coverage = coverage_create(&run->generation->bundle);
    }
    return run;
}

void spec_run_destroy(struct spec_run *run) {
    merge_destroy(run->merge);
    coverage_destroy(run->coverage);
    bundle_free(&run->support);
    script_generation_unref(run->generation);
    free(run);
}

/* ---- a state ------------------------------------------------------------------------------ */

/* xpcall for busted: each call gets a request's time limit, without the calls inside it, and a
 * script cannot hide the error from busted. */
static int spec_limited_xpcall(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_replace(L, 1);
    lua_replace(L, 2); /* [handler, function, arguments…] */
    struct lua_limit outer =
        script_limit_begin(instance, instance->config->scripts.route_timeout_ms);
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
    const char *hidden = script_limit_end(instance, outer) && status == 0
                             ? "the script timed out and caught the error"
                             : NULL;
    if (instance->host.full) { /* Lua calls no error handler for it */
        instance->host.full = false;
        script_collect_all(instance);
        hidden = "the script met the memory cap";
    }
    if (status == LUA_ERRERR) { /* as in script_call */
        hidden = SCRIPT_STACK_OVERFLOW;
    }
    if (hidden) {
        status = LUA_ERRRUN;
        lua_settop(L, 1);
        lua_pushvalue(L, 1);
        lua_pushstring(L, hidden);
        lua_call(L, 1, 1);
    }
    lua_pushboolean(L, status == 0);
    lua_replace(L, 1);
    return lua_gettop(L);
}

/* Loads an embedded chunk. */
static void spec_push_chunk(lua_State *L, const unsigned char *text, size_t len, const char *name) {
    if (luaL_loadbuffer(L, (const char *)text, len, name) != 0) {
        lua_error(L);
    }
    luaJIT_setmode(L, -1, LUAJIT_MODE_ALLFUNC | LUAJIT_MODE_OFF); /* it has no guards */
}

static void spec_push_double_names(lua_State *L, const struct spec_run *run) {
    static const char prefix[] = "doubles/";
    int count = 0;
    lua_newtable(L);
    for (size_t i = 0; i < run->support.count && !run->real; i++) {
        const char *name = run->support.files[i].name;
        if (strncmp(name, prefix, sizeof prefix - 1) == 0) {
            lua_pushstring(L, name + sizeof prefix - 1);
            lua_rawseti(L, -2, ++count);
        }
    }
}

static void spec_add_modules(lua_State *L, const struct spec_run *run) {
    lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_MODULES);
    spec_handlers_open(L, run->merge);
    lua_setfield(L, -2, "testing.handlers");
    spec_routes_open(L);
    lua_setfield(L, -2, "testing.routes");
    spec_reactions_open(L);
    lua_setfield(L, -2, "testing.reactions");
    spec_fixtures_open(L);
    lua_setfield(L, -2, "testing.fixtures");
    spec_sources_open(L);
    lua_setfield(L, -2, "testing.sources");
}

/* Runs the runner's chunk, which installs the doubles, and stores the function that it returns in
 * the registry. Argument: the run. */
static int spec_open_runner(lua_State *L) {
    const struct spec_run *run = lua_touserdata(L, 1);
    spec_push_chunk(L, spec_runner_lua, sizeof spec_runner_lua - 1, "=spec_runner");
    spec_libraries_push(L);
    lua_setfenv(L, -2);
    /* Not the proxy, because busted sets its words there. */
    sandbox_push_globals(L);
    lua_pushcfunction(L, spec_limited_xpcall);
    spec_add_modules(L, run);
    spec_push_double_names(L, run);
    lua_call(L, 4, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, RUNNER);
    return 0;
}

static void spec_count_line(lua_State *L, lua_Debug *where) {
    coverage_count(sandbox_instance(L)->coverage, L, where);
}

/* Files that only the reading of a generation runs otherwise. */
static bool spec_load_declarations(struct script_instance *instance, struct err *err) {
    bool has_envelope = bundle_find(&instance->generation->bundle, "envelope") != NULL;
    return sandbox_load(instance, "view", err) &&
           (!has_envelope || sandbox_load(instance, "envelope", err));
}

/* Opens a state with the runner's function in its registry. */
static struct script_instance *spec_open_state(struct spec_run *run, struct err *err) {
    struct script_instance *instance = xcalloc(1, sizeof *instance);
    instance->generation = script_generation_ref(run->generation);
    instance->config = run->config;
    instance->support = &run->support;
    instance->coverage = run->coverage;
    instance->host.on_line = run->coverage ? spec_count_line : NULL;
    instance->host.muted = run->real ? NULL : "specs touch no outside system without --real";
    bool ok = sandbox_open(instance, err) && script_guard(instance, spec_open_runner, run, err) &&
              instance_load(instance, err) &&
              (!run->coverage || spec_load_declarations(instance, err));
    if (!ok) {
        script_instance_destroy(instance);
        return NULL;
    }
    return instance;
}

/* ---- a file ------------------------------------------------------------------------------- */

struct file_run {
    const char *path;
    const struct bundle_file *file;
    struct spec_totals *totals;
};

/* [file run] */
static int spec_run_chunk(lua_State *L) {
    const struct file_run *run = lua_touserdata(L, 1);
    const struct fuel_source source = {
        {run->file->text, run->file->len}, lua_pushfstring(L, "@%s", run->path), false};
    lua_getfield(L, LUA_REGISTRYINDEX, RUNNER);
    if (fuel_load(L, &source) != 0) {
        return lua_error(L);
    }
    lua_pushstring(L, run->path);
    lua_call(L, 2, 3);
    run->totals->passed += (int)lua_tointeger(L, -3);
    run->totals->failed += (int)lua_tointeger(L, -2);
    run->totals->skipped += (int)lua_tointeger(L, -1);
    return 0;
}

/* limited_xpcall limits the parts of the run; the whole has no limit. */
static bool spec_run_open_file(struct script_instance *instance, struct file_run *run,
                               struct err *err) {
    struct bundle bundle = {0};
    bool ok = bundle_read_file(&bundle, run->path, err);
    if (ok) {
        /* cppcheck-suppress autoVariables -- read by the call alone */
        run->file = &bundle.files[0];
        ok = script_call(instance, spec_run_chunk, run, NO_TIMEOUT_MS, err) == SCRIPT_OK;
    }
    bundle_free(&bundle);
    return ok;
}

void spec_run_file(struct spec_run *run, const char *path, struct spec_totals *totals) {
    struct err err = {0};
    struct script_instance *instance = spec_open_state(run, &err);
    struct file_run file_run = {path, NULL, totals};
    if (!instance || !spec_run_open_file(instance, &file_run, &err)) {
        printf("%s\n", err.text);
        totals->failed++;
    }
    fflush(stdout);
    script_instance_destroy(instance);
}

/* ---- coverage ----------------------------------------------------------------------------- */

struct report {
    const struct coverage *coverage;
    double percent;
};

static int spec_print_coverage(lua_State *L) {
    struct report *report = lua_touserdata(L, 1);
    lua_job_open_libraries(L);
    spec_push_chunk(L, spec_coverage_lua, sizeof spec_coverage_lua - 1, "=spec_coverage");
    coverage_push(report->coverage, L);
    lua_call(L, 1, 1);
    report->percent = lua_tonumber(L, -1);
    return 0;
}

bool spec_run_coverage(struct spec_run *run, double min_percent) {
    struct report report = {run->coverage, 0};
    struct lua_job job = {"coverage", spec_print_coverage, &report, COVERAGE_TIMEOUT_MS,
                          COVERAGE_MEMORY_BYTES};
    struct err err = {0};
    if (!lua_job_run(&job, &err)) {
        printf("coverage: %s\n", err.text);
        report.percent = -1;
    }
    if (report.percent >= 0 && report.percent < min_percent) {
        printf("coverage is %.1f %%, the minimum is %.1f %%\n", report.percent, min_percent);
    }
    fflush(stdout);
    return report.percent >= min_percent;
}
