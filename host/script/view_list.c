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
    if (number == floor(number) && number >= 0 && number < 1e15) {
        char *end = out + ITEM_CAP, *first = number_put_before(end, (size_t)number);
        return (struct slice){first, (size_t)(end - first)};
    }
    return (struct slice){out, (size_t)snprintf(out, ITEM_CAP, "%.17g", number)};
}

static const char *view_list_wants(const struct view_column *column) {
    if (column->type == VIEW_SOURCES) {
        return "ids: texts or whole numbers";
    }
    switch (view_item_type(column->type)) {
    case VIEW_TEXT:
        return "texts";
    case VIEW_DATE:
        return "texts of dates of the years 1 to 9999, such as 2025-06-28";
    case VIEW_UUID:
        return "texts of UUIDs";
    case VIEW_DOUBLE:
        return "finite numbers";
    default:
        return "whole numbers";
    }
}

/* The value is at the top. index 0: it is no item of a list. */
static void view_list_refuse_item(lua_State *L, const struct view_column *column, size_t index) {
    const char *given = view_object_push_given(L, lua_gettop(L));
    if (index == 0) {
        luaL_error(L, "column \"%s\" takes %s, one or a list, not %s", column->name,
                   view_list_wants(column), given);
    }
    luaL_error(L, "column \"%s\" takes %s: item %d is %s", column->name, view_list_wants(column),
               (int)index, given);
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
    case VIEW_INTEGER:
        return number ? view_list_digits(L, item, column, out) : (struct slice){0};
    default: /* -0 becomes 0, as in view_object.c */
        return number && isfinite(lua_tonumber(L, -1))
                   ? view_list_format_number(lua_tonumber(L, -1) + 0.0, out)
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

/* The item at the top, which has the given index; 0: it is no item of a list. */
static void view_list_append_item(lua_State *L, const struct view_column *column, size_t index,
                                  struct buffer *out) {
    char text[ITEM_CAP];
    if (!lua_isnil(L, -1) && view_object_is_null(L, lua_gettop(L)) && !column->in_set) {
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

/* The length of the list at `at`: its keys are 1 to n and no other, so that no item is lost. A gap
 * is found where it is read. */
static size_t view_list_length(lua_State *L, int at, const struct view_column *column) {
    size_t count = lua_objlen(L, at), keys = 0;
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TNUMBER) {
            luaL_error(L,
                       "column \"%s\" takes a list: the table has the key %s, and a list has the "
                       "keys 1 to n and no other",
                       column->name, view_object_push_given(L, lua_gettop(L) - 1));
        }
        keys++;
    }
    if (keys != count) {
        luaL_error(L,
                   "column \"%s\" takes a list: the keys of the table are not 1 to n (json.null "
                   "stands for nothing)",
                   column->name);
    }
    return count;
}

static void view_list_append(lua_State *L, int at, const struct view_column *column,
                             struct buffer *out) {
    size_t count = view_list_length(L, at, column);
    for (size_t i = 1; i <= count; i++) {
        buffer_append_text(out, i == 1 ? "" : ",");
        lua_rawgeti(L, at, (int)i);
        view_list_append_item(L, column, i, out);
        lua_pop(L, 1);
        view_object_check_room(L, out->len);
    }
}

/* The instance owns the buffer: an error may be raised. */
struct slice view_list_read(lua_State *L, int at, const struct view_column *column) {
    struct buffer *out = &sandbox_instance(L)->literal;
    buffer_clear(out);
    buffer_append_text(out, "{");
    if (lua_istable(L, at)) {
        view_list_append(L, at, column, out);
    } else if (column->in_set) {
        lua_pushvalue(L, at);
        view_list_append_item(L, column, 0, out);
        lua_pop(L, 1);
    } else {
        luaL_error(L, "column \"%s\" takes a table, not a %s", column->name, luaL_typename(L, at));
    }
    buffer_append_text(out, "}");
    struct slice copy = view_object_copy(L, buffer_slice(out));
    if (out->cap > LITERAL_KEPT_BYTES) {
        buffer_free(out);
    }
    return copy;
}
