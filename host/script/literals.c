/* literals: gives the sources and the declarations to literals.lua, which the binary carries. */
#include <lauxlib.h>

#include "base/json_put.h"
#include "base/lua_job.h"
#include "base/nearest.h"
#include "bindings/lua_json.h"
#include "bindings/lua_modules.h"
#include "advice.h"
#include "declared.h"
#include "literals.lua.h"
#include "literals_tokens.lua.h"
#include "manifest.h"
#include "text_report.h"

#define TIMEOUT_MS 60000
#define MEMORY_BYTES (1024UL * 1024 * 1024)
#define MAX_NAMES 512

/* ---- queries and sources ------------------------------------------------------------------- */

/* The parameters of a query with an error, which it records, are null. */
static void literals_put_query(struct buffer *json, struct manifest_reader *r,
                               const struct bundle_file *file) {
    struct err err = {0};
    json_open(json, NULL, "{");
    json_put_text(json, "name", slice_of(bundle_query_name(file)));
    if (!declared_put_params(json, file->text, &err)) {
        int line = 0, len = 0; /* "line N: …" */
        sscanf(err.text, "line %d: %n", &line, &len);
        problems_add(r->problems, file->path, line, "%s", err.text + len);
        json_put_text(json, "params", (struct slice){0});
    }
    buffer_append_text(json, "}");
}

static void literals_put_files(struct buffer *json, struct manifest_reader *r) {
    const struct bundle *bundle = &r->generation->bundle;
    json_open(json, "queries", "[");
    for (size_t i = 0; i < bundle->count; i++) {
        if (bundle_query_name(&bundle->files[i])) {
            literals_put_query(json, r, &bundle->files[i]);
        }
    }
    buffer_append_text(json, "]");
    json_open(json, "files", "[");
    for (size_t i = 0; i < bundle->count; i++) {
        const struct bundle_file *file = &bundle->files[i];
        if (bundle_is_lua(file)) {
            json_open(json, NULL, "{");
            json_put_text(json, "name", slice_of(file->name));
            json_put_text(json, "path", slice_of(file->path));
            json_put_text(json, "text", (struct slice){file->text, file->len});
            buffer_append_text(json, "}");
        }
    }
    buffer_append_text(json, "]");
}

/* ---- what the chunk calls ------------------------------------------------------------------ */

/* problem(path, line, text) */
static int literals_problem(lua_State *L) {
    struct manifest_reader *r = lua_touserdata(L, lua_upvalueindex(1));
    problems_add(r->problems, lua_tostring(L, 1), (int)lua_tointeger(L, 2), "%s",
                 lua_tostring(L, 3));
    return 0;
}

/* hint(word, names) */
static int literals_hint(lua_State *L) {
    const char *names[MAX_NAMES];
    char hint[NEAREST_HINT_CAP];
    size_t count = lua_objlen(L, 2) < MAX_NAMES ? lua_objlen(L, 2) : MAX_NAMES;
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (int)i + 1);
        names[i] = lua_tostring(L, -1); /* stays in the list */
        lua_pop(L, 1);
    }
    lua_pushstring(L, nearest_hint(hint, lua_tostring(L, 1), names, count));
    return 1;
}

/* instead(name) */
static int literals_instead(lua_State *L) {
    lua_pushstring(L, advice_instead_of(lua_tostring(L, 1)));
    return 1;
}

/* read(reaction, column, line) */
static int literals_read(lua_State *L) {
    struct manifest_reader *r = lua_touserdata(L, lua_upvalueindex(1));
    int index = script_reaction_of(r->generation, lua_tostring(L, 1));
    if (index >= 0) {
        struct script_reaction *reaction = &r->generation->reactions[index];
        struct script_read *read = manifest_alloc(r->generation, sizeof *read);
        *read = (struct script_read){manifest_text(r->generation, lua_tostring(L, 2)),
                                     (int)lua_tointeger(L, 3), reaction->reads};
        reaction->reads = read;
    }
    return 0;
}

struct literals {
    struct manifest_reader *r;
    struct slice declared; /* JSON */
};

static void literals_load(lua_State *L, struct slice chunk) {
    if (luaL_loadbuffer(L, chunk.data, chunk.len, "=literals")) {
        lua_error(L);
    }
}

static int literals_run(lua_State *L) {
    const struct literals *literals = lua_touserdata(L, 1);
    lua_job_open_libraries(L);
    literals_load(L, EMBEDDED(literals_lua));
    luaopen_agg_json(L);
    lua_pushlstring(L, literals->declared.data, literals->declared.len);
    lua_pushlightuserdata(L, literals->r);
    lua_pushcclosure(L, literals_problem, 1);
    lua_pushcfunction(L, literals_hint);
    lua_pushcfunction(L, literals_instead);
    lua_pushlightuserdata(L, literals->r);
    lua_pushcclosure(L, literals_read, 1);
    literals_load(L, EMBEDDED(literals_tokens_lua));
    lua_call(L, 0, 1);
    lua_call(L, 7, 0);
    return 0;
}

void manifest_check_literals(struct manifest_reader *r) {
    struct buffer json = {0};
    struct err err = {0};
    buffer_append_text(&json, "{");
    json_put_text(&json, "produce_in_handler", slice_of(ADVICE_PRODUCE_IN_HANDLER));
    json_put_text(&json, "produce_in_reaction", slice_of(ADVICE_PRODUCE_IN_REACTION));
    declared_put(&json, r->generation, r->view_good);
    literals_put_files(&json, r);
    buffer_append_text(&json, "}");
    struct literals literals = {r, buffer_slice(&json)};
    struct lua_job job = {"literals", literals_run, &literals, TIMEOUT_MS, MEMORY_BYTES};
    /* Declarations too large for json are read no further: this check only advises. */
    if (json.len <= LUA_JSON_MAX_BYTES && !lua_job_run(&job, &err)) {
        problems_add(r->problems, "", 0, "cannot check the names in scripts: %s", err.text);
    }
    buffer_free(&json);
}
