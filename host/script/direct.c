#include "direct.h"

#include <lualib.h>

#include "direct.lua.h"
#include "manifest.h"

#define CHUNK_NAME "=" LUA_HOST_CHUNK

void direct_open(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    if (luaL_loadbuffer(L, (const char *)direct_lua, sizeof direct_lua - 1, CHUNK_NAME)) {
        lua_error(L);
    }
    lua_pushcfunction(L, luaopen_ffi);
    lua_call(L, 0, 1);
    lua_pushstring(L, direct_declarations);
    lua_pushlightuserdata(L, (void *)&direct_calls);
    lua_pushlightuserdata(L, instance);
    lua_pushlightuserdata(L, NULL); /* json.null */
    lua_call(L, 5, 1);
    instance->direct_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Pushes a function that direct.lua returned. */
static void direct_push(lua_State *L, const char *name) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, sandbox_instance(L)->direct_ref);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

bool direct_find_global(lua_State *L, int at) {
    const char *key =
        lua_host_of(L)->compiled && lua_type(L, at) == LUA_TSTRING ? lua_tostring(L, at) : "";
    bool is_merge = strcmp(key, DIRECT_MERGE) == 0;
    if (!is_merge && strcmp(key, DIRECT_REFERENCES) != 0) {
        return false;
    }
    direct_push(L, is_merge ? "merge" : "references");
    return true;
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Pushes { { name =, type =, at = }, … } of what scripts may read. */
static void direct_push_fields(lua_State *L, const struct script_handler *handler) {
    int count = 0;
    lua_newtable(L);
    for (size_t i = 0; i < handler->field_count; i++) {
        const struct extract_field *field = &handler->fields[i];
        if (!field->check_only) {
            lua_createtable(L, 0, 3);
            lua_pushstring(L, field->name);
            lua_setfield(L, -2, "name");
            lua_pushstring(L, manifest_field_types[field->type]);
            lua_setfield(L, -2, "type");
            lua_pushinteger(L, (lua_Integer)i);
            lua_setfield(L, -2, "at");
            lua_rawseti(L, -2, ++count);
        }
    }
}

void direct_take_event(lua_State *L, size_t handler) {
    struct script_instance *instance = sandbox_instance(L);
    int proxy = lua_gettop(L);
    lua_getmetatable(L, proxy);
    direct_push(L, "event");
    lua_pushvalue(L, proxy);
    lua_pushinteger(L, (lua_Integer)handler);
    lua_pushlightuserdata(L, &instance->handlers[handler].frame);
    direct_push_fields(L, &instance->generation->handlers[handler]);
    protect_push_original(L, proxy);
    luaL_getmetafield(L, -1, "__index"); /* refuses undeclared names */
    lua_remove(L, -2);
    lua_call(L, 5, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

/* ---- the view -------------------------------------------------------------------------------- */

/* Pushes { name =, at =, columns = { { name =, kind = }, … } }. */
static void direct_push_group(lua_State *L, const struct view_group *group, size_t at) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, group->name);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, (lua_Integer)at);
    lua_setfield(L, -2, "at");
    lua_createtable(L, (int)group->column_count, 0);
    for (size_t i = 0; i < group->column_count; i++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, group->columns[i].name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, direct_column_kind(group->columns[i].type));
        lua_setfield(L, -2, "kind");
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "columns");
}

/* The view behind the proxy is at the top. */
static void direct_take_table(lua_State *L, const struct view *view, size_t number) {
    const struct view_table *table = &view->tables[number];
    int count = 0;
    direct_push(L, "table");
    lua_getfield(L, -2, table->name);
    lua_pushinteger(L, (lua_Integer)number);
    lua_newtable(L);
    for (size_t i = 0; i < table->group_count; i++) {
        if (direct_can_stage(table, &table->groups[i])) {
            direct_push_group(L, &table->groups[i], i);
            lua_rawseti(L, -2, ++count);
        }
    }
    lua_call(L, 3, 0);
}

void direct_take_view(lua_State *L) {
    const struct view *view = sandbox_instance(L)->generation->view;
    int proxy = lua_gettop(L);
    protect_push_original(L, proxy);
    for (size_t i = 0; i < view->table_count; i++) {
        direct_take_table(L, view, i);
    }
    direct_push(L, "touch");
    lua_pushvalue(L, proxy);
    lua_getfield(L, -3, "touch");
    lua_call(L, 2, 1);
    lua_setfield(L, -2, "touch");
    lua_settop(L, proxy);
}
