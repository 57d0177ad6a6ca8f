/* Values of the view for specs: lists as Lua lists, times and ids as text. */
#include <stdio.h>

#include "bindings/lua_modules.h"
#include "bindings/lua_pg.h"
#include "base/hash.h"
#include "base/timestamp.h"
#include "base/uuid.h"
#include "view/literal.h"
#include "spec_private.h"

void spec_call_json(lua_State *L, const char *function) {
    int value = lua_gettop(L);
    lua_pushcfunction(L, luaopen_agg_json);
    lua_call(L, 0, 1);
    lua_getfield(L, -1, function);
    lua_pushvalue(L, value);
    lua_call(L, 1, 2); /* [value, json, answer, failure] */
    lua_replace(L, value + 1);
    lua_replace(L, value);
}

static void spec_values_push_time(lua_State *L, int64_t at_us) {
    char text[TIMESTAMP_TEXT_CAP];
    lua_pushlstring(L, text, timestamp_format(at_us, text));
}

static void spec_values_push_uuid(lua_State *L, const void *uuid) {
    char text[UUID_TEXT_LEN + 1];
    uuid_format(uuid, text);
    lua_pushlstring(L, text, UUID_TEXT_LEN);
}

static void spec_values_push_value(lua_State *L, enum view_type type,
                                   const struct view_value *value) {
    char text[DATE_TEXT_LEN + 1];
    switch (type) {
    case VIEW_TEXTS:
    case VIEW_DATES:
    case VIEW_UUIDS:
        lua_pg_push_list(L, value->as.text.data, LUA_PG_TEXTS);
        break;
    case VIEW_INTEGERS:
    case VIEW_DOUBLES:
        lua_pg_push_list(L, value->as.text.data, LUA_PG_DOUBLES);
        break;
    case VIEW_BIGINTS:
        lua_pg_push_list(L, value->as.text.data, LUA_PG_BIGINTS);
        break;
    case VIEW_SOURCES:
        lua_pushinteger(L, (lua_Integer)literal_count(value->as.text));
        break;
    case VIEW_INTEGER:
    case VIEW_BIGINT:
        lua_push_integer(L, value->as.integer);
        break;
    case VIEW_DATE:
        date_format(value->as.integer, text);
        lua_pushstring(L, text);
        break;
    case VIEW_DOUBLE:
        lua_pushnumber(L, value->as.number);
        break;
    case VIEW_BOOLEAN:
        lua_pushboolean(L, value->as.integer != 0);
        break;
    case VIEW_TIMESTAMP:
        spec_values_push_time(L, value->as.integer);
        break;
    case VIEW_UUID:
    case VIEW_CONTENT:
        spec_values_push_uuid(L, value->as.text.data);
        break;
    case VIEW_TEXT:
    case VIEW_JSON:
    case VIEW_ENUM:
        lua_pushlstring(L, value->as.text.data, value->as.text.len);
        break;
    }
}

void spec_push_key(lua_State *L, const struct view_table *table, const struct view_value *key) {
    lua_createtable(L, 0, (int)table->key_count);
    for (size_t i = 0; i < table->key_count; i++) {
        spec_values_push_value(L, table->key[i].type, &key[i]);
        lua_setfield(L, -2, table->key[i].name);
    }
}

void spec_set_columns(lua_State *L, const struct view_group *group,
                      const struct view_value *values) {
    for (size_t i = 0; i < group->column_count; i++) {
        if (!values[i].is_null) {
            spec_values_push_value(L, group->columns[i].type, &values[i]);
            lua_setfield(L, -2, group->columns[i].name);
        }
    }
}

static void spec_values_push_tag(lua_State *L, uint64_t hash) {
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    lua_pushstring(L, text);
}

int spec_lua_tag(lua_State *L) {
    struct slice id;
    id.data = luaL_checklstring(L, 1, &id.len);
    spec_values_push_tag(L, hash64(id));
    return 1;
}

void spec_set_tags(lua_State *L, const uint64_t *tags, size_t count) {
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        spec_values_push_tag(L, tags[i]);
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
    }
    lua_setfield(L, -2, "tags");
}

void spec_set_version(lua_State *L, const struct merge_version *version) {
    spec_values_push_time(L, version->at_us);
    lua_setfield(L, -2, "at");
    spec_values_push_uuid(L, version->event_id);
    lua_setfield(L, -2, "event_id");
}

/* ---- messages ----------------------------------------------------------------------------- */

static void spec_values_set_slice(lua_State *L, const char *key, struct slice text) {
    lua_pushlstring(L, text.data, text.len);
    lua_setfield(L, -2, key);
}

static void spec_values_set_decoded(lua_State *L, const char *key, struct slice json) {
    lua_pushlstring(L, json.data, json.len);
    spec_call_json(L, "decode");
    lua_pop(L, 1);
    lua_setfield(L, -2, key);
}

/* As scripts wrote it, with the value decoded; `text` is what is published. */
static void spec_values_push_message(lua_State *L, const struct outbox_message *message) {
    lua_createtable(L, 0, 7);
    spec_values_set_slice(L, "topic", message->topic);
    spec_values_set_slice(L, "key", message->key);
    spec_values_set_slice(L, "identity", message->identity);
    spec_values_set_slice(L, "text", message->value);
    spec_values_set_decoded(L, "value", message->value);
    spec_values_set_decoded(L, "headers",
                            message->headers.data ? message->headers : slice_of("{}"));
    lua_pushnumber(L, (lua_Number)message->fact_at_us);
    lua_setfield(L, -2, "at");
}

void spec_push_messages(lua_State *L, const struct outbox_message *messages, size_t count) {
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        spec_values_push_message(L, &messages[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
}
