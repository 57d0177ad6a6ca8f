#include "report.h"

#include <lualib.h>

#include "bindings/lua_modules.h"
#include "base/lua_job.h"
#include "shadow_run_report.lua.h"

#define TIMEOUT_MS 60000
#define MEMORY_BYTES (1024UL * 1024 * 1024)

struct report {
    struct slice json;
    FILE *out;
};

/* Runs the chunk that the binary carries. */
static int shadow_run_report(lua_State *L) {
    struct report *report = lua_touserdata(L, 1);
    size_t len;
    luaL_openlibs(L);
    if (luaL_loadbuffer(L, (const char *)shadow_run_report_lua, sizeof shadow_run_report_lua - 1,
                        "=shadow_run_report") != 0) {
        return lua_error(L);
    }
    luaopen_agg_json(L);
    lua_pushlstring(L, report->json.data, report->json.len);
    lua_call(L, 2, 1);
    const char *text = lua_tolstring(L, -1, &len);
    fwrite(text, 1, len, report->out);
    return 0;
}

bool shadow_run_print(struct slice json, FILE *out, struct err *err) {
    struct report report = {json, out};
    struct lua_job job = {"shadow_run_report", shadow_run_report, &report, TIMEOUT_MS,
                          MEMORY_BYTES};
    return lua_job_run(&job, err);
}
