#include "text_report.h"

#include <lauxlib.h>

#include "bindings/lua_modules.h"
#include "base/lua_job.h"

#define TIMEOUT_MS 60000
#define MEMORY_BYTES (1024UL * 1024 * 1024)

struct text_report_job {
    const struct text_report *report;
    struct buffer *out;
};

static void text_report_push(lua_State *L, const char *name, struct slice chunk) {
    char chunk_name[64];
    snprintf(chunk_name, sizeof chunk_name, "=%s", name);
    if (luaL_loadbuffer(L, chunk.data, chunk.len, chunk_name) != 0) {
        lua_error(L);
    }
}

/* Where the chunk and its arguments lie. */
enum { CHUNK = 2, JSON_MODULE, OBJECT, LIMIT };

/* Pushes what the helper returns; `count` results of others lie above the limit. */
static void text_report_push_result(lua_State *L, const char *name, struct slice helper,
                                    int count) {
    text_report_push(L, name, helper);
    lua_pushvalue(L, JSON_MODULE);
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(L, LIMIT + i);
    }
    lua_call(L, count + 1, 1);
}

static int text_report_run(lua_State *L) {
    const struct text_report_job *job = lua_touserdata(L, 1);
    const struct text_report *report = job->report;
    size_t len;
    lua_job_open_libraries(L);
    text_report_push(L, report->name, report->chunk);
    luaopen_agg_json(L);
    lua_pushlstring(L, report->json.data, report->json.len);
    lua_pushnumber(L, (lua_Number)report->limit);
    for (int i = 0; i < TEXT_REPORT_MAX_HELPERS && report->helpers[i].data; i++) {
        text_report_push_result(L, report->name, report->helpers[i], i);
    }
    lua_call(L, lua_gettop(L) - CHUNK, 1);
    const char *text = lua_tolstring(L, -1, &len);
    buffer_append(job->out, text, len);
    return 0;
}

bool text_report_append(const struct text_report *report, struct buffer *out, struct err *err) {
    struct text_report_job context = {report, out};
    struct lua_job job = {report->name, text_report_run, &context, TIMEOUT_MS, MEMORY_BYTES};
    return lua_job_run(&job, err);
}

bool text_report_print(const struct text_report *report, FILE *out, struct err *err) {
    struct buffer text = {0};
    bool ok = text_report_append(report, &text, err);
    if (ok) {
        fwrite(text.data, 1, text.len, out);
    }
    buffer_free(&text);
    return ok;
}
