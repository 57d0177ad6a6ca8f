/* event_object: the `event` that handlers read. Reading an undeclared field raises an error with
 * the nearest name. */
#include "bindings/lua_names.h"
#include "bindings/lua_util.h"
#include "base/timestamp.h"
#include "base/uuid.h"
#include "script_private.h"

/* Pushes a set of the fields; the value of one that is check_only says why it cannot be read. */
static void event_object_push_field_names(lua_State *L, const struct extract_field *fields,
                                          size_t count) {
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].check_only) {
            lua_pushliteral(L, "is declared check_only: handlers cannot read it");
        } else {
            lua_pushboolean(L, 1);
        }
        lua_setfield(L, -2, fields[i].name);
    }
}

/* [.., metatable] Stores the fields' names in it, as strings of the state. */
static void event_object_add_names(lua_State *L, const struct extract_field *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, fields[i].name);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* Stores the metatable of each list's items in the registry, under the list's address. */
static void event_object_add_lists(lua_State *L, const struct extract_field *fields, size_t count,
                                   const char *place) {
    for (size_t i = 0; i < count; i++) {
        if (fields[i].type == FIELD_LIST) {
            lua_pushlightuserdata(L, (void *)&fields[i]);
            event_object_push_field_names(L, fields[i].element, fields[i].element_count);
            const char *owner = lua_pushfstring(L, "an item of %s", fields[i].name);
            lua_insert(L, -2);
            lua_names_push_strict(L, owner, "field ", place);
            lua_remove(L, -2);
            event_object_add_names(L, fields[i].element, fields[i].element_count);
            lua_rawset(L, LUA_REGISTRYINDEX);
            event_object_add_lists(L, fields[i].element, fields[i].element_count, place);
        }
    }
}

void event_push_strict(lua_State *L, const struct extract_field *fields, size_t count,
                       const char *owner, const char *place) {
    event_object_add_lists(L, fields, count, place);
    event_object_push_field_names(L, fields, count);
    lua_names_push_strict(L, owner, "field ", place);
}

void event_push(struct script_instance *instance, const struct script_handler *handler) {
    lua_State *L = instance->host.L;
    const struct bundle_file *file = bundle_find(&instance->generation->bundle, handler->name);
    const char *place = lua_pushfstring(L, "`fields` of %s", file ? file->path : handler->name);
    lua_createtable(L, 0, (int)handler->field_count);
    event_push_strict(L, handler->fields, handler->field_count, "event", place);
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
    protect_table(L, "event");
}

void event_push_names(lua_State *L, const struct script_handler *handler) {
    lua_createtable(L, (int)handler->field_count, 0);
    event_object_add_names(L, handler->fields, handler->field_count);
}

/* ---- one event ---------------------------------------------------------------------------- */

/* [.., metatable of the items] Pushes an item. */
static void event_object_push_item(lua_State *L, const struct extract_field *field,
                                   const struct extract_value *cells) {
    int names = lua_gettop(L);
    lua_createtable(L, 0, (int)field->element_count);
    for (size_t i = 0; i < field->element_count; i++) {
        if (cells[i].present && !field->element[i].check_only) {
            lua_rawgeti(L, names, (int)i + 1);
            event_push_value(L, &field->element[i], &cells[i]);
            lua_rawset(L, -3);
        }
    }
    lua_pushvalue(L, names);
    lua_setmetatable(L, -2);
}

static void event_object_push_list(lua_State *L, const struct extract_field *field,
                                   const struct extract_value *value) {
    lua_createtable(L, (int)value->as.list.rows, 0);
    lua_pushlightuserdata(L, (void *)field);
    lua_rawget(L, LUA_REGISTRYINDEX);
    for (size_t row = 0; row < value->as.list.rows; row++) {
        event_object_push_item(L, field, &value->as.list.cells[row * field->element_count]);
        lua_rawseti(L, -3, (int)row + 1);
    }
    lua_pop(L, 1);
}

void event_push_value(lua_State *L, const struct extract_field *field,
                      const struct extract_value *value) {
    char text[UUID_TEXT_LEN + 1];
    if (!value->present) {
        lua_pushnil(L);
        return;
    }
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_JSON:
        lua_pushlstring(L, value->as.text.data, value->as.text.len);
        break;
    case FIELD_INTEGER:
    case FIELD_TIMESTAMP:
        lua_pushnumber(L, (lua_Number)value->as.integer);
        break;
    case FIELD_BIGINT:
        lua_push_integer(L, value->as.integer);
        break;
    case FIELD_DATE:
        date_format(value->as.integer, text);
        lua_pushlstring(L, text, DATE_TEXT_LEN);
        break;
    case FIELD_NUMBER:
        lua_pushnumber(L, value->as.number);
        break;
    case FIELD_BOOLEAN:
        lua_pushboolean(L, value->as.integer != 0);
        break;
    case FIELD_OBJECT:
        lua_pushboolean(L, 1);
        break;
    case FIELD_UUID:
        uuid_format(value->as.uuid, text);
        lua_pushlstring(L, text, UUID_TEXT_LEN);
        break;
    case FIELD_STRINGS:
        lua_createtable(L, (int)value->as.strings.count, 0);
        for (size_t i = 0; i < value->as.strings.count; i++) {
            lua_pushlstring(L, value->as.strings.items[i].data, value->as.strings.items[i].len);
            lua_rawseti(L, -2, (int)i + 1);
        }
        break;
    case FIELD_LIST:
        event_object_push_list(L, field, value);
        break;
    }
}

void event_push_values(lua_State *L, const struct extract_field *fields, size_t count,
                       const struct extract_value *values) {
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        if (!fields[i].check_only) {
            event_push_value(L, &fields[i], &values[i]);
            lua_setfield(L, -2, fields[i].name);
        }
    }
}

/* Sets every field, so that none of the previous event stays. */
void event_fill(lua_State *L, const struct script_handler *handler,
                const struct extract_value *values) {
    int event = lua_gettop(L), names = event - 1;
    for (size_t i = 0; i < handler->field_count; i++) {
        if (!handler->fields[i].check_only) {
            lua_rawgeti(L, names, (int)i + 1);
            event_push_value(L, &handler->fields[i], &values[i]);
            lua_rawset(L, event);
        }
    }
}
