/* event_names: reading a field that a handler did not declare is an error that names the nearest.
 */
#include "bindings/lua_names.h"
#include "script_private.h"

/* Pushes a set of the fields that scripts may read, with the reason for those that they may not. */
static void event_names_push_field_names(lua_State *L, const struct extract_field *fields,
                                         size_t count) {
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].check_only) {
            lua_pushliteral(L, "is declared check_only: it is checked, and not handed on");
        } else {
            lua_pushboolean(L, 1);
        }
        lua_setfield(L, -2, fields[i].name);
    }
}

/* Puts the metatable of the items of each list into the registry, under the list's address. */
static void event_names_add_lists(lua_State *L, const struct extract_field *fields, size_t count,
                                  const char *place) {
    for (size_t i = 0; i < count; i++) {
        if (fields[i].type == FIELD_LIST) {
            lua_pushlightuserdata(L, (void *)&fields[i]);
            event_names_push_field_names(L, fields[i].element, fields[i].element_count);
            const char *owner = lua_pushfstring(L, "an item of %s", fields[i].name);
            lua_insert(L, -2);
            lua_names_push_strict(L, owner, "field ", place);
            lua_remove(L, -2);
            lua_rawset(L, LUA_REGISTRYINDEX);
            event_names_add_lists(L, fields[i].element, fields[i].element_count, place);
        }
    }
}

void event_push(struct script_instance *instance, const struct script_handler *handler) {
    lua_State *L = instance->host.L;
    const struct bundle_file *file = bundle_find(&instance->generation->bundle, handler->name);
    const char *place = lua_pushfstring(L, "`fields` of %s", file ? file->path : handler->name);
    event_names_add_lists(L, handler->fields, handler->field_count, place);
    lua_createtable(L, 0, (int)handler->field_count);
    event_names_push_field_names(L, handler->fields, handler->field_count);
    lua_names_push_strict(L, "event", "field ", place);
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
    protect_table(L, "event");
}

void event_push_names(lua_State *L, const struct script_handler *handler) {
    lua_createtable(L, (int)handler->field_count, 0);
    for (size_t i = 0; i < handler->field_count; i++) {
        lua_pushstring(L, handler->fields[i].name);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

void event_push_item_names(lua_State *L, const struct extract_field *list) {
    lua_pushlightuserdata(L, (void *)list);
    lua_rawget(L, LUA_REGISTRYINDEX);
}
