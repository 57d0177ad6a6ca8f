/* repl_show: prints values for people: nested strings quoted, short tables on one line, others
 * indented, the tables behind proxies. */
#include <stdlib.h>

#include "bindings/lua_util.h"
#include "base/xalloc.h"
#include "repl_private.h"

#define MAX_DEPTH 5
#define MAX_ITEMS 100
#define MAX_NESTED_STRING 400
#define MAX_OUTPUT 65536
#define LINE_COLUMNS 80

struct place {
    int depth;
    bool one_line;
};

static void repl_show_value(lua_State *L, int at, struct place place, struct buffer *out);

static void repl_show_string(struct slice text, struct buffer *out) {
    const char *quote =
        memchr(text.data, '"', text.len) && !memchr(text.data, '\'', text.len) ? "'" : "\"";
    size_t shown = text.len < MAX_NESTED_STRING ? text.len : MAX_NESTED_STRING;
    buffer_append_text(out, quote);
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '\n') {
            buffer_append_text(out, "\\n");
        } else if (c < 0x20 || c == 0x7F) {
            buffer_append_format(out, "\\%03d", c);
        } else if (c == (unsigned char)*quote || c == '\\') {
            buffer_append_format(out, "\\%c", c);
        } else {
            buffer_append(out, &text.data[i], 1);
        }
    }
    buffer_append_text(out, quote);
    if (shown < text.len) {
        buffer_append_format(out, "… (%zu bytes)", text.len);
    }
}

static bool repl_show_is_name(struct slice text) {
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    return text.len > 0 && strchr(first, text.data[0]) && strspn(text.data, rest) == text.len;
}

static struct slice repl_show_text_at(lua_State *L, int at) {
    struct slice text;
    text.data = lua_tolstring(L, at, &text.len);
    return text;
}

/* ---- tables ------------------------------------------------------------------------------- */

/* Compares two keys by their places in the list of keys on the stack: strings first. */
static int repl_show_compare_keys(lua_State *L, int keys, int a, int b) {
    lua_rawgeti(L, keys, a);
    lua_rawgeti(L, keys, b);
    bool texts = lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING;
    bool numbers = lua_type(L, -2) == LUA_TNUMBER && lua_type(L, -1) == LUA_TNUMBER;
    int order;
    if (texts) {
        order = strcmp(lua_tostring(L, -2), lua_tostring(L, -1));
    } else if (numbers) {
        order = lua_tonumber(L, -2) < lua_tonumber(L, -1) ? -1 : 1;
    } else {
        order = lua_type(L, -1) - lua_type(L, -2); /* strings before numbers before booleans */
    }
    lua_pop(L, 2);
    return order;
}

/* Pushes a sorted list of at most MAX_ITEMS keys outside 1 to `items`; *others counts all of them.
 */
static int repl_show_push_keys(lua_State *L, int table, int items, int *others) {
    int kept = 0;
    lua_newtable(L);
    int keys = lua_gettop(L);
    *others = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        lua_Number number = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        if (number >= 1 && number <= items && number == (int)number) {
            continue;
        }
        (*others)++;
        if (kept == MAX_ITEMS) {
            continue;
        }
        lua_pushvalue(L, -2);
        lua_rawseti(L, keys, ++kept);
        for (int i = kept; i > 1 && repl_show_compare_keys(L, keys, i - 1, i) > 0; i--) {
            lua_rawgeti(L, keys, i - 1);
            lua_rawgeti(L, keys, i);
            lua_rawseti(L, keys, i - 1);
            lua_rawseti(L, keys, i);
        }
    }
    return kept;
}

static void repl_show_key(lua_State *L, int at, struct place place, struct buffer *out) {
    if (lua_type(L, at) == LUA_TSTRING && repl_show_is_name(repl_show_text_at(L, at))) {
        buffer_append_text(out, lua_tostring(L, at));
    } else {
        buffer_append_text(out, "[");
        repl_show_value(L, at, (struct place){MAX_DEPTH, place.one_line}, out);
        buffer_append_text(out, "]");
    }
    buffer_append_text(out, " = ");
}

static void repl_show_begin_item(struct place place, bool first, struct buffer *out) {
    if (place.one_line) {
        buffer_append_text(out, first ? "" : ", ");
    } else {
        buffer_append_format(out, "%s\n%*s", first ? "" : ",", (place.depth + 1) * 2, "");
    }
}

/* Prints the items of the table at `at`, whose list part has `items`. */
static void repl_show_items(lua_State *L, int at, int items, struct place place,
                            struct buffer *out) {
    struct place inner = {place.depth + 1, place.one_line};
    int others, shown = items < MAX_ITEMS ? items : MAX_ITEMS;
    int kept = repl_show_push_keys(L, at, items, &others), keys = lua_gettop(L);
    for (int i = 1; i <= shown; i++) {
        repl_show_begin_item(place, i == 1, out);
        lua_rawgeti(L, at, i);
        repl_show_value(L, keys + 1, inner, out);
        lua_pop(L, 1);
    }
    for (int i = 1; i <= kept; i++) {
        repl_show_begin_item(place, i + shown == 1, out);
        lua_rawgeti(L, keys, i);
        repl_show_key(L, keys + 1, place, out);
        lua_pushvalue(L, -1);
        lua_rawget(L, at);
        repl_show_value(L, keys + 2, inner, out);
        lua_pop(L, 2);
    }
    if (items - shown + others - kept > 0) {
        repl_show_begin_item(place, false, out);
        buffer_append_format(out, "… %d more", items - shown + others - kept);
    }
    lua_pop(L, 1);
}

static void repl_show_braces(lua_State *L, int at, struct place place, struct buffer *out) {
    int items = (int)lua_objlen(L, at);
    buffer_append_text(out, place.one_line ? "{ " : "{");
    repl_show_items(L, at, items, place, out);
    if (place.one_line) {
        buffer_append_text(out, " }");
    } else {
        buffer_append_format(out, "\n%*s}", place.depth * 2, "");
    }
}

static bool repl_show_is_empty(lua_State *L, int at) {
    lua_pushnil(L);
    bool empty = !lua_next(L, at);
    lua_pop(L, empty ? 0 : 2);
    return empty;
}

static void repl_show_table(lua_State *L, int at, struct place place, struct buffer *out) {
    protect_push_original(L, at);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushvalue(L, at);
    }
    int table = lua_gettop(L);
    size_t before = out->len;
    if (repl_show_is_empty(L, table)) {
        buffer_append_text(out, "{}");
    } else if (place.depth >= MAX_DEPTH || out->len >= MAX_OUTPUT) {
        buffer_append_text(out, "{…}");
    } else {
        repl_show_braces(L, table, (struct place){place.depth, true}, out);
        if (!place.one_line && out->len - before + (size_t)place.depth * 2 > LINE_COLUMNS) {
            out->len = before;
            repl_show_braces(L, table, place, out);
        }
    }
    lua_settop(L, table - 1);
}

/* ---- values ------------------------------------------------------------------------------- */

static void repl_show_function(lua_State *L, int at, struct buffer *out) {
    lua_Debug where;
    lua_pushvalue(L, at);
    if (lua_getinfo(L, ">S", &where) && where.linedefined > 0) {
        buffer_append_format(out, "function (%s:%d)", where.short_src, where.linedefined);
    } else {
        buffer_append_text(out, "function (built in)");
    }
}

static void repl_show_value(lua_State *L, int at, struct place place, struct buffer *out) {
    char number[LUA_NUMBER_TEXT_CAP];
    luaL_checkstack(L, 16, "console");
    switch (lua_type(L, at)) {
    case LUA_TNIL:
        buffer_append_text(out, "nil");
        break;
    case LUA_TBOOLEAN:
        buffer_append_text(out, lua_toboolean(L, at) ? "true" : "false");
        break;
    case LUA_TNUMBER:
        buffer_append_text(out, lua_format_number(lua_tonumber(L, at), number));
        break;
    case LUA_TSTRING:
        repl_show_string(repl_show_text_at(L, at), out);
        break;
    case LUA_TTABLE:
        repl_show_table(L, at, place, out);
        break;
    case LUA_TFUNCTION:
        repl_show_function(L, at, out);
        break;
    default:
        buffer_append_text(out, lua_islightuserdata(L, at) && !lua_touserdata(L, at)
                                    ? "json.null"
                                    : luaL_typename(L, at));
    }
}

void repl_show(lua_State *L, int at, struct buffer *out) {
    if (lua_type(L, at) == LUA_TSTRING) {
        struct slice text = repl_show_text_at(L, at);
        size_t shown = text.len < MAX_OUTPUT ? text.len : MAX_OUTPUT;
        buffer_append(out, text.data, shown);
        if (shown < text.len) {
            buffer_append_format(out, "… (%zu bytes)", text.len);
        }
        return;
    }
    repl_show_value(L, at, (struct place){0, false}, out);
}
