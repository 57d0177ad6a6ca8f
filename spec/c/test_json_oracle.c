/* Compares json with lua-cjson on random documents: spec/c/json_oracle.lua. */
#include <dlfcn.h>
#include <libgen.h>
#include <lualib.h>
#include <time.h>

#include "script/script_private.h"
#include "scripts.h"

#define TIMEOUT_MS 60000

static uint32_t draw_state;

/* draw(below) -> a whole number from 0 */
static int oracle_draw(lua_State *L) {
    lua_pushinteger(L, test_draw(&draw_state, (uint32_t)luaL_checkinteger(L, 1)));
    return 1;
}

/* Where plain Lua finds lua-cjson's library, whose handle is never closed; NULL: nowhere. */
static lua_CFunction oracle_find_cjson(void) {
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    bool found = luaL_dostring(L, "return assert(package.searchpath('cjson', package.cpath))") == 0;
    void *library = found ? dlopen(lua_tostring(L, -1), RTLD_NOW) : NULL;
    if (!library) {
        TEST_FAIL("no lua-cjson: %s", found ? dlerror() : lua_tostring(L, -1));
    }
    lua_close(L);
    return library ? (lua_CFunction)dlsym(library, "luaopen_cjson") : NULL;
}

static int oracle_load(lua_State *L) {
    static char file[] = __FILE__;
    char path[512];
    snprintf(path, sizeof path, "%s/json_oracle.lua", dirname(file));
    return luaL_loadfile(L, path);
}

/* Leaves the two counts, or an error, on the stack. */
static void oracle_run(struct script_instance *instance, lua_CFunction open_cjson) {
    lua_State *L = instance->host.L;
    struct lua_limit outer = script_limit_begin(instance, TIMEOUT_MS);
    lua_pushcfunction(L, open_cjson);
    bool ok = oracle_load(L) == 0;
    if (ok) {
        lua_insert(L, -2); /* [oracle, open_cjson] */
        ok = lua_pcall(L, 0, 1, 0) == 0;
        lua_pushcfunction(L, oracle_draw);
        ok = ok && lua_pcall(L, 2, 2, 0) == 0;
    }
    script_limit_end(instance, outer);
    if (!ok) {
        TEST_FAIL("%s", lua_tostring(L, -1));
    } else {
        CHECK(lua_tointeger(L, -2) > 0); /* damaged documents that both read, */
        CHECK(lua_tointeger(L, -1) > 0); /* and that both refuse */
    }
}

static void random_documents(void) {
    struct scripts folder;
    struct err err = {0};
    const char *seed = getenv("SEED");
    draw_state = seed ? (uint32_t)strtoul(seed, NULL, 10) : (uint32_t)time(NULL);
    uint32_t first = draw_state;
    lua_CFunction open_cjson = oracle_find_cjson();
    scripts_begin(&folder);
    struct script_generation *generation = script_generation_load(&folder.config, 1, &err);
    struct script_instance *instance = generation ? script_instance_create(generation, &err) : NULL;
    CHECK_OK(instance != NULL, &err);
    if (open_cjson && instance) {
        oracle_run(instance, open_cjson);
    }
    scripts_unload(&folder, generation, instance);
    if (test_failed) {
        printf("    SEED=%u repeats it\n", first);
    }
}

static const struct test_case cases[] = {
    {"random documents: json and lua-cjson read and write the same", random_documents},
};

TEST_MAIN(cases)
