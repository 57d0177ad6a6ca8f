/* print: Lua's print for scripts: a line of the log at the level info, at most 10 in 10 s over all
 * states; for commands of authors a plain line on standard error. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/terminal.h"
#include "script_private.h"

#define MAX_VALUES 64 /* shown of one call */
#define MAX_TEXT_BYTES 2048

static _Atomic bool is_plain;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the limit */
static struct log_limit limit;

void script_print_plainly(void) {
    atomic_store(&is_plain, true);
}

static void print_report_left_out(size_t count) {
    if (count > 0) {
        log_info("lines that scripts printed were left out of the log",
                 LOG_INT("count", (int64_t)count));
    }
}

void print_flush(int64_t now_us) {
    pthread_mutex_lock(&lock);
    size_t left_out = limit.left_out > 0 ? log_limit_take(&limit, now_us) : 0;
    pthread_mutex_unlock(&lock);
    print_report_left_out(left_out);
}

static bool print_is_admitted(void) {
    int64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&lock);
    size_t left_out = log_limit_take(&limit, now_us);
    bool admitted = log_limit_admits(&limit, now_us);
    pthread_mutex_unlock(&lock);
    print_report_left_out(left_out);
    return admitted;
}

/* Pushes the values as one text, with tabs between them. Upvalue 1: tostring. */
static void print_push_text(lua_State *L) {
    int count = lua_gettop(L);
    int shown = count < MAX_VALUES ? count : MAX_VALUES;
    luaL_checkstack(L, 2 * MAX_VALUES + 2, "print");
    lua_pushliteral(L, "");
    for (int i = 1; i <= shown; i++) {
        lua_pushstring(L, i > 1 ? "\t" : "");
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushvalue(L, i);
        lua_call(L, 1, 1);
        if (!lua_isstring(L, -1)) {
            luaL_error(L, "print: value %d has a `__tostring` that returns a %s, not a string", i,
                       luaL_typename(L, -1));
        }
    }
    lua_concat(L, 2 * shown + 1);
}

/* The script that called, and its line; "?": none. */
static const char *print_find_caller(lua_State *L, int *line) {
    lua_Debug where;
    *line = 0;
    if (!lua_getstack(L, 1, &where) || !lua_getinfo(L, "Sl", &where) || where.currentline < 0) {
        return "?";
    }
    *line = where.currentline;
    lua_pushstring(L, where.source + (where.source[0] == '@' || where.source[0] == '='));
    return lua_tostring(L, -1);
}

static void print_write_plain(const char *script, int line, struct slice text) {
    struct buffer out = {0};
    buffer_append_format(&out, "%s:%d: ", script, line);
    buffer_append_slice(&out, text);
    buffer_append_text(&out, "\n");
    (void)terminal_print(stderr, buffer_slice(&out)); /* nobody can be told */
    buffer_free(&out);
}

/* print(…) */
static int print_lua(lua_State *L) {
    bool plain = atomic_load_explicit(&is_plain, memory_order_relaxed);
    int line;
    if (!plain && (lua_host_of(L)->muted || !log_enabled(LOG_INFO))) {
        return 0;
    }
    print_push_text(L);
    struct slice text = {NULL, 0};
    text.data = lua_tolstring(L, -1, &text.len);
    text.len = text.len < MAX_TEXT_BYTES ? text.len : MAX_TEXT_BYTES;
    const char *script = print_find_caller(L, &line);
    if (plain) {
        print_write_plain(script, line, text);
    } else if (print_is_admitted()) {
        log_info("script printed", LOG_TEXT("script", script), LOG_INT("line", line),
                 LOG_SLICE("text", text));
    }
    return 0;
}

void print_replace(lua_State *L) {
    lua_getglobal(L, "tostring");
    lua_pushcclosure(L, print_lua, 1);
    lua_setglobal(L, "print");
}
