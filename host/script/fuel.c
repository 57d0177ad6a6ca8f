#include "fuel.h"

#include <luajit.h>

#include "base/lua_lexer.h"
#include "direct.h"
#include "key_sites.h"
#include "merge_sites.h"
#include "script_private.h"
#include "survey.h"

/* `left` is the first upvalue: lua_host_empty_fuel sets it. */
static const char fuel_guard_text[] = "local look, left = ..., 0\n"
                                      "return function()\n"
                                      "  left = left - 1\n"
                                      "  if left <= 0 then left = look() end\n"
                                      "end";
#define GUARD_CALL FUEL_GUARD "();"
/* The guard becomes an upvalue of each function. No table has it: see fuel_find_global. */
#define GUARD_LOCAL "local " FUEL_GUARD "," DIRECT_MERGE "=" FUEL_GUARD "," DIRECT_MERGE ";"
/* An upvalue of each function and a local of the chunk. */
#define LIMITS_HINT                                                                                \
    " (the guards of compiled code take one or two of them; scripts.interpreted loads a file "     \
    "without them)"

void fuel_open(lua_State *L) {
    struct lua_host *host = lua_host_of(L);
    if (luaL_loadbuffer(L, fuel_guard_text, sizeof fuel_guard_text - 1, "=" LUA_HOST_CHUNK)) {
        lua_error(L);
    }
    lua_pushcfunction(L, lua_host_refuel);
    lua_call(L, 1, 1);
    host->fuel_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    key_sites_open(L);
}

bool fuel_find_global(lua_State *L, int at) {
    const struct lua_host *host = lua_host_of(L);
    if (!host->compiled || lua_type(L, at) != LUA_TSTRING) {
        return false;
    }
    if (strcmp(lua_tostring(L, at), FUEL_GUARD) != 0) {
        return key_sites_find_global(L, lua_tostring(L, at));
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, host->fuel_ref);
    return true;
}

/* ---- where guards stand --------------------------------------------------------------------- */

/* The tokens of a text, and the text with guards. */
struct fuel_scan {
    struct lua_lexer lexer;
    struct buffer out;
    const char *copied; /* the text before it is in `out` */
    bool in_parameters; /* between `function` and the closing parenthesis */
    int refused_line;   /* of a name that could be one of the host's; 0: none */
    int refused_byte;
    bool concatenates; /* names the metamethod __concat */
};

static void fuel_insert(struct fuel_scan *scan, const char *at, const char *guard) {
    buffer_append(&scan->out, scan->copied, (size_t)(at - scan->copied));
    buffer_append_text(&scan->out, guard);
    scan->copied = at;
}

static bool fuel_is_word(const struct lua_lexer *lexer, const char *word) {
    return !lexer->quote && slice_equal(lexer->text, slice_of(word));
}

/* LuaJIT takes `goto` for a name unless a name follows: `x = goto`, `t.goto = 1`. */
static bool fuel_is_goto(const struct lua_lexer *lexer) {
    static const char *const keywords[] = {"and",    "do",       "else", "elseif", "end",   "break",
                                           "for",    "function", "if",   "in",     "local", "or",
                                           "repeat", "return",   "then", "until",  "while"};
    struct lua_lexer next = *lexer;
    if (!fuel_is_word(lexer, "goto") || lua_lexer_next(&next) != LUA_TOKEN_NAME || next.quote) {
        return false;
    }
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (slice_equal(next.text, slice_of(keywords[i]))) {
            return false;
        }
    }
    return true;
}

/* Notes the first name that could be one of the host's. */
static void fuel_look_at_name(struct fuel_scan *scan) {
    static const char host_names[] = FUEL_GUARD DIRECT_MERGE KEY_GUARD;
    struct slice name = scan->lexer.text;
    for (size_t i = 0; i < name.len && scan->refused_line == 0; i++) {
        if (name.data[i] && strchr(host_names, name.data[i])) {
            scan->refused_line = scan->lexer.token_line;
            scan->refused_byte = (unsigned char)name.data[i];
        }
    }
}

/* Before a goto and not at its label: a label at the end of a block is outside of the scope of the
 * block's locals, and a statement after it would put it inside. */
static void fuel_take_name(struct fuel_scan *scan) {
    const struct lua_lexer *lexer = &scan->lexer;
    if (fuel_is_word(lexer, "function")) {
        scan->in_parameters = true;
    } else if (fuel_is_word(lexer, "do") || fuel_is_word(lexer, "repeat")) {
        fuel_insert(scan, lexer->at, " " GUARD_CALL);
    } else if (fuel_is_goto(lexer)) {
        fuel_insert(scan, lexer->text.data, GUARD_CALL);
    } else if (!lexer->quote) {
        fuel_look_at_name(scan);
    }
}

/* LuaJIT skips a first line that begins with #. */
static const char *fuel_skip_header(const char *text) {
    return *text == '#' ? text + strcspn(text, "\r\n") : text;
}

static void fuel_scan_text(struct fuel_scan *scan, struct slice text) {
    scan->copied = text.data;
    scan->lexer = (struct lua_lexer){.at = fuel_skip_header(text.data), .line = 1};
    fuel_insert(scan, scan->lexer.at, GUARD_LOCAL);
    for (enum lua_token kind; (kind = lua_lexer_next(&scan->lexer)) != LUA_TOKEN_END;) {
        if (kind == LUA_TOKEN_NAME) {
            scan->concatenates |= slice_equal(scan->lexer.text, slice_of("__concat"));
            fuel_take_name(scan);
        } else if (scan->in_parameters && scan->lexer.mark == ')') {
            scan->in_parameters = false;
            fuel_insert(scan, scan->lexer.at, GUARD_CALL);
        }
    }
    buffer_append(&scan->out, scan->copied, (size_t)(text.data + text.len - scan->copied));
}

/* ---- loading -------------------------------------------------------------------------------- */

static int fuel_load_plain(lua_State *L, const struct fuel_source *source) {
    return luaL_loadbufferx(L, source->text.data, source->text.len, source->chunk_name, "t");
}

/* Compiled without a guard, it could run for ever. */
static int fuel_load_interpreted(lua_State *L, const struct fuel_source *source) {
    int status = fuel_load_plain(L, source);
    if (status == 0) {
        luaJIT_setmode(L, -1, LUAJIT_MODE_ALLFUNC | LUAJIT_MODE_OFF);
    }
    return status;
}

/* With the message of the guarded text at the top. A mistake of the author gets the message of the
 * text as it was written. */
static int fuel_explain(lua_State *L, const struct fuel_source *source, int status) {
    int plain_status = fuel_load_plain(L, source);
    if (plain_status == 0) {
        lua_pop(L, 1);
        lua_pushliteral(L, LIMITS_HINT);
        lua_concat(L, 2);
        return status;
    }
    lua_remove(L, -2);
    return plain_status;
}

static int fuel_refuse(lua_State *L, const struct fuel_source *source,
                       const struct fuel_scan *scan) {
    const char *path = source->chunk_name + strspn(source->chunk_name, "@=");
    if (scan->refused_line > 0) {
        lua_pushfstring(L, "%s:%d: the byte F%d (hexadecimal) stands in a name: write UTF-8", path,
                        scan->refused_line, scan->refused_byte & 0xF);
    } else {
        lua_pushfstring(L, "%s: a NUL byte stands in the text: write it as \\0", path);
    }
    return LUA_ERRSYNTAX;
}

static void fuel_guard_keys(struct buffer *text) {
    const char *code = strstr(text->data, GUARD_LOCAL);
    struct buffer with_keys = {0};
    buffer_append(&with_keys, text->data, (size_t)(code - text->data));
    if (key_sites_write(code, &with_keys)) {
        struct buffer without = *text;
        *text = with_keys;
        with_keys = without;
    }
    buffer_free(&with_keys);
}

/* The text has guards. */
static int fuel_load_guarded(lua_State *L, const struct fuel_source *source,
                             const struct buffer *text) {
    const struct view *view = sandbox_instance(L)->generation->view;
    const char *code = strstr(text->data, GUARD_LOCAL);
    struct buffer with_sites = {0};
    int status = LUA_ERRSYNTAX;
    buffer_append(&with_sites, text->data, (size_t)(code - text->data));
    if (view && merge_sites_write(view, code, &with_sites)) {
        status = luaL_loadbufferx(L, with_sites.data, with_sites.len, source->chunk_name, "t");
        lua_pop(L, status == 0 ? 0 : 1); /* one local too many: without it */
    }
    buffer_free(&with_sites);
    return status == 0 ? 0 : luaL_loadbufferx(L, text->data, text->len, source->chunk_name, "t");
}

/* LuaJIT records calls of __concat from a wrong frame (before its commits bcc5125a, 7421a1b3,
 * 19878ec0 and eee16efa), but none of a function that is not compiled. */
static int fuel_load_recordable(lua_State *L, const struct fuel_source *source,
                                struct fuel_scan *scan) {
    fuel_guard_keys(&scan->out);
    int status = fuel_load_guarded(L, source, &scan->out);
    if (status == 0 && scan->concatenates) {
        luaJIT_setmode(L, -1, LUAJIT_MODE_ALLFUNC | LUAJIT_MODE_OFF);
    } else if (status == 0) {
        survey_take(L, *source->chunk_name == '@');
    }
    return status;
}

int fuel_load(lua_State *L, const struct fuel_source *source) {
    if (!lua_host_of(L)->compiled) {
        return fuel_load_plain(L, source);
    }
    if (source->interpreted) {
        return fuel_load_interpreted(L, source);
    }
    struct fuel_scan scan = {0};
    int status = LUA_ERRSYNTAX;
    fuel_scan_text(&scan, source->text);
    bool is_whole = scan.lexer.at == source->text.data + source->text.len;
    if (is_whole && scan.refused_line == 0) {
        status = fuel_load_recordable(L, source, &scan);
    }
    buffer_free(&scan.out);
    if (!is_whole || scan.refused_line > 0) {
        return fuel_refuse(L, source, &scan);
    }
    return status == LUA_ERRSYNTAX ? fuel_explain(L, source, status) : status;
}
