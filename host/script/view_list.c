#include "view_list.h"

#include <inttypes.h>
#include <math.h>

#include "base/hash.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "base/uuid.h"
#include "view/literal.h"

/* Of the buffer for lists, between two merges. */
#define LITERAL_KEPT_BYTES (64UL * 1024)
#define ITEM_CAP 40

/* As "%.17g" writes it, which is slow: most numbers are whole. */
static struct slice view_list_format_number(double number, char out[ITEM_CAP]) {
    if (number == floor(number) && !signbit(number) && number < 1e15) {
        char *end = out + ITEM_CAP, *first = number_put_before(end, (size_t)number);
        return (struct slice){first, (size_t)(end - first)};
    }
    return (struct slice){out, (size_t)snprintf(out, ITEM_CAP, "%.17g", number)};
}

static void view_list_refuse_item(lua_State *L, const struct view_column *column, size_t index) {
    enum view_type item = view_item_type(column->type);
    bool coded = item == VIEW_UUID || item == VIEW_DATE;
    if (coded && lua_type(L, -1) == LUA_TSTRING) {
        luaL_error(L, "column \"%s\": item %d is \"%s\", not a %s", column->name, (int)index,
                   lua_tostring(L, -1), item == VIEW_UUID ? "UUID" : "date such as 2025-06-28");
    }
    luaL_error(L, "column \"%s\": item %d is %s", column->name, (int)index,
               lua_type(L, -1) == LUA_TNUMBER ? lua_tostring(L, -1) : luaL_typename(L, -1));
}

static struct slice view_list_digits(lua_State *L, enum view_type type,
                                     const struct view_column *column, char out[ITEM_CAP]) {
    int64_t number = view_object_check_whole(L, lua_gettop(L), type, column->name);
    return (struct slice){out, (size_t)snprintf(out, ITEM_CAP, "%" PRId64, number)};
}

static struct slice view_list_hash(struct slice source, char out[ITEM_CAP]) {
    uint8_t hash[16];
    hash128(source, hash);
    uuid_format(hash, out);
    return slice_of(out);
}

/* The item at the top in its one spelling; a text is borrowed from the state. data NULL: not an
 * item of such a list. */
static struct slice view_list_item(lua_State *L, const struct view_column *column,
                                   char out[ITEM_CAP]) {
    enum view_type item = view_item_type(column->type);
    bool number = lua_type(L, -1) == LUA_TNUMBER, text = lua_type(L, -1) == LUA_TSTRING;
    struct slice given = {0};
    uint8_t uuid[16];
    int64_t days;
    if (text) {
        given = view_object_check_text(L, -1, column);
    }
    switch (item) {
    case VIEW_TEXT:
        return given;
    case VIEW_DATE:
        return text && date_parse(given, &days) ? given : (struct slice){0};
    case VIEW_BIGINT:
        return number || text ? view_list_digits(L, item, column, out) : given;
    case VIEW_UUID:
        if (!text || !uuid_read(given, uuid)) {
            return (struct slice){0};
        }
        uuid_format(uuid, out);
        return slice_of(out);
    default: /* integers and doubles */
        if (number && column->in_set) {
            return view_list_digits(L, item, column, out);
        }
        return number && isfinite(lua_tonumber(L, -1))
                   ? view_list_format_number(lua_tonumber(L, -1), out)
                   : (struct slice){0};
    }
}

/* What is counted, by its hash: a text, or a whole number as its digits. */
static struct slice view_list_source(lua_State *L, const struct view_column *column,
                                     char out[ITEM_CAP]) {
    struct slice source = {0};
    if (lua_type(L, -1) == LUA_TNUMBER) {
        source = view_list_digits(L, VIEW_BIGINT, column, out);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        source = view_object_check_text(L, -1, column);
    }
    return source.data ? view_list_hash(source, out) : source;
}

/* The item at the top, which has the given index. */
static void view_list_append_item(lua_State *L, const struct view_column *column, size_t index,
                                  struct buffer *out) {
    char text[ITEM_CAP];
    if (view_object_is_null(L, lua_gettop(L)) && !column->in_set) {
        buffer_append_text(out, "NULL");
        return;
    }
    struct slice item = column->type == VIEW_SOURCES ? view_list_source(L, column, text)
                                                     : view_list_item(L, column, text);
    if (!item.data) {
        view_list_refuse_item(L, column, index);
    }
    literal_append_item(out, item);
}

/* The instance owns the buffer: an error may be raised. */
struct slice view_list_read(lua_State *L, int at, const struct view_column *column) {
    struct buffer *out = &sandbox_instance(L)->literal;
    bool one = column->in_set && !lua_istable(L, at);
    if (!one && !lua_istable(L, at)) {
        luaL_error(L, "column \"%s\" takes a table, not a %s", column->name, luaL_typename(L, at));
    }
    size_t count = one ? 1 : lua_objlen(L, at);
    buffer_clear(out);
    buffer_append_text(out, "{");
    for (size_t i = 1; i <= count; i++) {
        buffer_append_text(out, i == 1 ? "" : ",");
        if (one) {
            lua_pushvalue(L, at);
        } else {
            lua_rawgeti(L, at, (int)i);
        }
        view_list_append_item(L, column, i, out);
        lua_pop(L, 1);
        view_object_check_room(L, out->len);
    }
    buffer_append_text(out, "}");
    struct slice copy = view_object_copy(L, buffer_slice(out));
    if (out->cap > LITERAL_KEPT_BYTES) {
        buffer_free(out);
    }
    return copy;
}
