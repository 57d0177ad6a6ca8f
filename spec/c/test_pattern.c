/* pattern: gives the same results as Lua's own matcher. */
#include <lauxlib.h>
#include <lualib.h>

#include "script/script_private.h"
#include "scripts.h"

static struct scripts scripts;
static struct script_generation *generation;
static struct script_instance *instance; /* ours */
static lua_State *lua;                   /* theirs */

/* One random text over a small alphabet, so that matches are common. */
static size_t draw_text(uint32_t *seed, const char *alphabet, size_t most, char *out) {
    size_t len = test_draw(seed, (uint32_t)most + 1);
    for (size_t i = 0; i < len; i++) {
        out[i] = alphabet[test_draw(seed, (uint32_t)strlen(alphabet))];
    }
    out[len] = '\0';
    return len;
}

static void draw_pattern(uint32_t *seed, char *out) {
    static const char *const parts[] = {
        "a",   "b",    "c",      ".",      "%a",  "%d",   "%s",    "%w",   "%A",     "%%",
        "%.",  "[ab]", "[^a]",   "[a-c]",  "[]]", "[^]]", "[%a_]", "[a-]", "[%]]",   "(",
        ")",   "()",   "(a)",    "(.-)",   "%1",  "%2",   "%b()",  "%bab", "%f[%a]", "$",
        "^",   "*",    "+",      "-",      "?",   "a*",   "b+",    "c-",   "a?",     ".*",
        ".-",  "%x",   "%p",     "%z",     "[",   "%",    "%b",    "%f",   "[%",     "[^",
        "(()", "%g",   "[%d%s]", "[a%-z]", "\xff"};
    size_t count = 1 + test_draw(seed, 6);
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        strcat(out, parts[test_draw(seed, sizeof parts / sizeof *parts)]);
    }
}

static void push_function(lua_State *L, const char *name) {
    lua_getglobal(L, "string");
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

/* The results of the call on the stack as text; "error" where it raised. */
static void describe(lua_State *L, int arguments, struct buffer *out) {
    int base = lua_gettop(L) - arguments - 1;
    buffer_clear(out);
    if (lua_pcall(L, arguments, LUA_MULTRET, 0) != 0) {
        buffer_append_text(out, "error");
        lua_settop(L, base);
        return;
    }
    for (int i = base + 1; i <= lua_gettop(L); i++) {
        size_t len = 0;
        const char *text = lua_tolstring(L, i, &len);
        buffer_append_format(out, "%s:", luaL_typename(L, i));
        buffer_append_json_string(out, (struct slice){text ? text : "", len});
    }
    lua_settop(L, base);
}

struct call {
    const char *function;
    const char *subject;
    size_t subject_len;
    const char *pattern;
    int extra; /* find, match: init; gsub: which replacement */
};

static int double_it(lua_State *L) {
    lua_settop(L, 1);
    if (lua_isnil(L, 1) || lua_objlen(L, 1) > 2) {
        return 0;
    }
    lua_pushvalue(L, 1);
    lua_concat(L, 2);
    return 1;
}

static void push_replacement(lua_State *L, int which) {
    static const char *const texts[] = {"x", "<%0>", "%1", "%2%1", "%%", "%", "%a", ""};
    if (which < 8) {
        lua_pushstring(L, texts[which]);
    } else if (which == 8) {
        lua_pushcfunction(L, double_it);
    } else {
        lua_newtable(L);
        lua_pushliteral(L, "A");
        lua_setfield(L, -2, "a");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "b");
    }
}

static void run(lua_State *L, const struct call *call, struct buffer *out) {
    push_function(L, call->function);
    lua_pushlstring(L, call->subject, call->subject_len);
    lua_pushstring(L, call->pattern);
    if (strcmp(call->function, "gsub") == 0) {
        push_replacement(L, call->extra % 10);
        if (call->extra / 10 > 4) { /* no limit */
            describe(L, 3, out);
            return;
        }
        lua_pushinteger(L, call->extra / 10);
        describe(L, 4, out);
    } else {
        lua_pushinteger(L, call->extra);
        describe(L, 3, out);
    }
}

static void compare(const struct call *call) {
    struct buffer ours = {0}, theirs = {0};
    run(instance->host.L, call, &ours);
    run(lua, call, &theirs);
    if (strcmp(ours.data, theirs.data) != 0) {
        TEST_FAIL("%s(\"%s\", \"%s\", %d): %s, want %s", call->function, call->subject,
                  call->pattern, call->extra, ours.data, theirs.data);
    }
    buffer_free(&ours);
    buffer_free(&theirs);
}

static void finds_and_matches_alike(void) {
    for (uint32_t round = 1; round <= 60000 && !test_failed; round++) {
        uint32_t seed = round * 7919;
        char subject[16], pattern[64];
        size_t len = draw_text(&seed, "aabbc()1 _-]%", 12, subject);
        draw_pattern(&seed, pattern);
        int init = (int)test_draw(&seed, 20) - 8;
        struct call call = {round % 2 ? "find" : "match", subject, len, pattern,
                            test_draw(&seed, 2) ? 1 : init};
        compare(&call);
    }
}

static void substitutes_alike(void) {
    for (uint32_t round = 1; round <= 60000 && !test_failed; round++) {
        uint32_t seed = round * 104729;
        char subject[16], pattern[64];
        size_t len = draw_text(&seed, "aabbc()1 ", 12, subject);
        draw_pattern(&seed, pattern);
        struct call call = {"gsub", subject, len, pattern, (int)test_draw(&seed, 60)};
        compare(&call);
    }
}

static void bytes_of_any_value_match_alike(void) {
    static const char *const classes[] = {"%a", "%c",    "%d",          "%g",      "%l", "%p",
                                          "%s", "%u",    "%w",          "%x",      "%z", "%A",
                                          "%S", "[^%w]", "[\x80-\xff]", "[%z\x01]"};
    for (int byte = 0; byte < 256; byte++) {
        for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
            char subject[2] = {(char)byte, 0};
            struct call call = {"find", subject, 1, classes[i], 1};
            compare(&call);
        }
    }
}

/* All matches of gmatch, joined. */
static void collect(lua_State *L, const char *subject, const char *pattern, struct buffer *out) {
    buffer_clear(out);
    buffer_append_text(out, "");
    push_function(L, "gmatch");
    lua_pushstring(L, subject);
    lua_pushstring(L, pattern);
    if (lua_pcall(L, 2, 1, 0) != 0) {
        buffer_append_text(out, "error");
        lua_pop(L, 1);
        return;
    }
    for (int i = 0; i < 40; i++) {
        int base = lua_gettop(L);
        lua_pushvalue(L, base);
        if (lua_pcall(L, 0, LUA_MULTRET, 0) != 0 || lua_gettop(L) == base ||
            lua_isnil(L, base + 1)) {
            buffer_append_text(out, lua_gettop(L) > base && lua_isstring(L, -1) ? "error" : "end");
            lua_settop(L, base);
            break;
        }
        for (int v = base + 1; v <= lua_gettop(L); v++) {
            buffer_append_format(out, "%s,", lua_tostring(L, v));
        }
        buffer_append_text(out, ";");
        lua_settop(L, base);
    }
    lua_pop(L, 1);
}

static void iterates_alike(void) {
    for (uint32_t round = 1; round <= 30000 && !test_failed; round++) {
        uint32_t seed = round * 31337;
        char subject[16], pattern[64];
        struct buffer ours = {0}, theirs = {0};
        draw_text(&seed, "aabbc()1 ", 12, subject);
        draw_pattern(&seed, pattern);
        collect(instance->host.L, subject, pattern, &ours);
        collect(lua, subject, pattern, &theirs);
        if (strcmp(ours.data, theirs.data) != 0) {
            TEST_FAIL("gmatch(\"%s\", \"%s\"): %s, want %s", subject, pattern, ours.data,
                      theirs.data);
        }
        buffer_free(&ours);
        buffer_free(&theirs);
    }
}

static void plain_search_takes_long_texts(void) {
    lua_State *L = instance->host.L;
    luaL_Buffer text;
    push_function(L, "find");
    luaL_buffinit(L, &text);
    for (int i = 0; i < 1000000; i++) {
        luaL_addlstring(&text, "ab", 2);
    }
    luaL_addstring(&text, "needle.");
    luaL_pushresult(&text);
    lua_pushstring(L, "needle.");
    lua_pushinteger(L, 1);
    lua_pushboolean(L, 1);
    CHECK_INT(lua_pcall(L, 4, 2, 0), 0);
    CHECK_INT(lua_tointeger(L, -2), 2000001);
    CHECK_INT(lua_tointeger(L, -1), 2000007);
    lua_pop(L, 2);
}

static const struct test_case cases[] = {
    {"finds and matches as Lua does", finds_and_matches_alike},
    {"substitutes as Lua does", substitutes_alike},
    {"bytes of any value match as in Lua", bytes_of_any_value_match_alike},
    {"iterates as Lua does", iterates_alike},
    {"a plain search takes long texts", plain_search_takes_long_texts},
};

int main(int argc, char **argv) {
    struct err err = {0};
    scripts_begin(&scripts);
    generation = script_generation_load(&scripts.config, 1, &err);
    instance = script_instance_create(generation, &err);
    lua = luaL_newstate();
    luaL_openlibs(lua);
    instance->host.limit.deadline_us =
        INT64_MAX; /* the calls are made from here, without script_call */
    instance->host.stack_base = (const char *)__builtin_frame_address(0);
    int status = test_run(cases, sizeof cases / sizeof *cases, argc, argv);
    lua_close(lua);
    scripts_unload(&scripts, generation, instance);
    return status;
}
