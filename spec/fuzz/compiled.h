/* compiled: runs one program in three states: as it is written and interpreted, with guards and
 * interpreted, and compiled. A state that is eager compiles a loop at its second turn, and a branch
 * that leaves compiled code at its second use: more of a short program becomes code. */
#pragma once

#include <luajit.h>
#include <lualib.h>

#include "programs.h"
#include "script/fuel.h"
#include "script/script_private.h"

enum { COMPILED_PLAIN, COMPILED_GUARDED, COMPILED_HOT, COMPILED_STATES };
#define COMPILED_LIMIT_MS 2000

struct compiled {
    struct config configs[COMPILED_STATES];
    struct script_generation generations[COMPILED_STATES]; /* without files */
    struct script_instance instances[COMPILED_STATES];
};

struct compiled_call {
    struct slice text;
    struct buffer result;
};

static inline int compiled_be_eager(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, LUA_JITLIBNAME);
    lua_getfield(L, -1, "opt");
    lua_getfield(L, -1, "start");
    lua_pushliteral(L, "hotloop=2");
    lua_pushliteral(L, "hotexit=1");
    lua_call(L, 2, 0);
    return 0;
}

static inline bool compiled_open(struct compiled *compiled, bool eager, struct err *err) {
    bool ok = true;
    for (int i = 0; ok && i < COMPILED_STATES; i++) {
        compiled->configs[i].scripts.memory_limit_mb = 64;
        compiled->configs[i].scripts.compile = i != COMPILED_PLAIN;
        compiled->instances[i] = (struct script_instance){.generation = &compiled->generations[i],
                                                          .config = &compiled->configs[i]};
        ok = sandbox_open(&compiled->instances[i], err);
    }
    if (ok) {
        luaJIT_setmode(compiled->instances[COMPILED_GUARDED].host.L, 0,
                       LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    }
    return ok && (!eager ||
                  script_guard(&compiled->instances[COMPILED_HOT], compiled_be_eager, NULL, err));
}

static inline void compiled_close(struct compiled *compiled) {
    for (int i = 0; i < COMPILED_STATES; i++) {
        sandbox_close(&compiled->instances[i]);
    }
}

static inline int compiled_run(lua_State *L) {
    struct compiled_call *call = lua_touserdata(L, 1);
    const struct fuel_source source = {call->text, "=program", false};
    size_t len;
    if (fuel_load(L, &source) != 0) {
        return lua_error(L);
    }
    lua_call(L, 0, 1);
    const char *text = lua_tolstring(L, -1, &len);
    buffer_append(&call->result, text ? text : "", text ? len : 0);
    return 0;
}

/* The program's text or its error, first line only: levels of a traceback may be inlined. Empty: a
 * limit was hit. */
static inline struct buffer compiled_result(struct script_instance *instance, struct slice text) {
    struct compiled_call call = {.text = text};
    struct err err = {0};
    enum script_result result = script_call(instance, compiled_run, &call, COMPILED_LIMIT_MS, &err);
    if (result == SCRIPT_ERROR && !strstr(err.text, "stack overflow") &&
        !strstr(err.text, "not enough memory")) {
        buffer_append(&call.result, err.text, strcspn(err.text, "\n"));
    }
    instance->host.healthy = true;
    return call.result;
}

/* NULL: all the same. Else what differs, malloc'ed. */
static inline char *compiled_compare(struct compiled *compiled, struct slice text) {
    struct buffer results[COMPILED_STATES], problem = {0};
    for (int i = 0; i < COMPILED_STATES; i++) {
        results[i] = compiled_result(&compiled->instances[i], text);
    }
    for (int i = 1; i < COMPILED_STATES && !problem.data; i++) {
        struct slice plain = buffer_slice(&results[0]), other = buffer_slice(&results[i]);
        if (plain.len > 0 && other.len > 0 && !slice_equal(plain, other)) {
            buffer_append_format(&problem, "%s:\n%.*s\ninterpreted: %s\n%s: %s\n",
                                 i == COMPILED_HOT ? "compiled differs" : "guards differ",
                                 (int)text.len, text.data, results[0].data,
                                 i == COMPILED_HOT ? "compiled" : "guarded", results[i].data);
        }
    }
    for (int i = 0; i < COMPILED_STATES; i++) {
        buffer_free(&results[i]);
    }
    return problem.data;
}
