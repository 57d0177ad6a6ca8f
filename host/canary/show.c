#include "show.h"

#include <lualib.h>

#include "bindings/lua_modules.h"
#include "base/lua_job.h"
#include "canary_report.lua.h"

#define TIMEOUT_MS 60000
#define MEMORY_BYTES (1024UL * 1024 * 1024)

struct showing {
    struct slice json;
    FILE *out;
};

/* Runs the chunk that the binary carries. */
static int show_show(lua_State *L) {
    struct showing *showing = lua_touserdata(L, 1);
    size_t len;
    luaL_openlibs(L);
    if (luaL_loadbuffer(L, (const char *)canary_report_lua, sizeof canary_report_lua - 1,
                        "=canary_report") != 0) {
        return lua_error(L);
    }
    luaopen_agg_json(L);
    lua_pushlstring(L, showing->json.data, showing->json.len);
    lua_call(L, 2, 1);
    const char *text = lua_tolstring(L, -1, &len);
    fwrite(text, 1, len, showing->out);
    return 0;
}

bool canary_show(struct slice json, FILE *out, struct err *err) {
    struct showing showing = {json, out};
    struct lua_job job = {"canary_report", show_show, &showing, TIMEOUT_MS, MEMORY_BYTES};
    return lua_job_run(&job, err);
}
