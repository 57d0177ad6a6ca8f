/* cjson and cjson.safe: lua-cjson 2.1.0's functions over the codec of json, for scripts written for
 * it. A setting accepts only the value that json has: all scripts of a state share the codec. */
#include <stdbool.h>
#include <string.h>

#include "base/json_scan.h"
#include "lua_json.h"
#include "lua_modules.h"

/* ---- settings ----------------------------------------------------------------------------- */

struct cjson_setting {
    const char *name;
    int least, value; /* accepts numbers from `least` to `value`; 0 and 0: a switch, off */
    bool has_no_effect;
    const char *instead;
};

static const struct cjson_setting cjson_settings[] = {
    {"encode_max_depth", JSON_MAX_DEPTH, JSON_MAX_DEPTH, false, "flatten what is nested deeper"},
    {"decode_max_depth", JSON_MAX_DEPTH, JSON_MAX_DEPTH, false, "deeper texts are refused"},
    {"encode_number_precision", 14, 17, false,
     "every number reads back unchanged; round it before, as by math.floor(x * 100 + 0.5) / 100"},
    {"encode_keep_buffer", 0, 0, true, NULL},
    {"encode_invalid_numbers", 0, 0, false,
     "JSON has no NaN and no infinity; put cjson.null in their place"},
    {"decode_invalid_numbers", 0, 0, false,
     "JSON has no NaN, no infinity and no hexadecimal number; ask the sender for null or a string"},
};

static bool lua_cjson_takes(lua_State *L, const struct cjson_setting *setting) {
    if (setting->has_no_effect || lua_isnoneornil(L, 1)) {
        return true;
    }
    if (setting->value == 0) {
        return lua_isboolean(L, 1) ? !lua_toboolean(L, 1)
                                   : lua_isstring(L, 1) && strcmp(lua_tostring(L, 1), "off") == 0;
    }
    double number = lua_tonumber(L, 1);
    return lua_isnumber(L, 1) && number >= setting->least && number <= setting->value;
}

/* cjson.encode_max_depth(depth), cjson.decode_max_depth(depth),
 * cjson.encode_number_precision(digits), cjson.encode_keep_buffer(keep),
 * cjson.encode_invalid_numbers(setting), cjson.decode_invalid_numbers(setting) -> the value.
 * Upvalue 1: the index in cjson_settings. */
static int lua_cjson_set(lua_State *L) {
    const struct cjson_setting *setting = &cjson_settings[lua_tointeger(L, lua_upvalueindex(1))];
    if (!lua_cjson_takes(L, setting)) {
        return luaL_error(L, "cjson.%s cannot be set: %s", setting->name, setting->instead);
    }
    if (setting->value == 0) {
        lua_pushboolean(L, false);
    } else {
        lua_pushinteger(L, setting->value);
    }
    return 1;
}

/* cjson.encode_sparse_array(convert, ratio, safe) -> false, 1, 0: a list with a gap raises, in
 * lua-cjson's terms. */
static int lua_cjson_encode_sparse_array(lua_State *L) {
    if (lua_toboolean(L, 1) || luaL_optinteger(L, 2, 1) != 1 || luaL_optinteger(L, 3, 0) != 0) {
        return luaL_error(L, "cjson.encode_sparse_array cannot be set: a list has no gap; fill it "
                             "with cjson.null, or make its keys strings by tostring");
    }
    lua_pushboolean(L, false);
    lua_pushinteger(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

/* ---- codec -------------------------------------------------------------------------------- */

/* cjson.decode(text) -> value. Raises for invalid JSON. cjson.encode(value) is json's. */
static int lua_cjson_decode(lua_State *L) {
    int count = lua_json_decode(L);
    if (count == 1) {
        return 1;
    }
    lua_getfield(L, -1, "message");
    return luaL_error(L, "cjson.decode: %s", lua_tostring(L, -1));
}

/* cjson.safe.encode(value), cjson.safe.decode(text) -> value, or nil and the error's text. Calls
 * upvalue 1 through upvalue 2, the scripts' pcall, which re-raises a time limit. */
static int lua_cjson_call_safe(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 2);
    lua_call(L, lua_gettop(L) - 1, 2); /* [done, value or error] */
    if (lua_toboolean(L, -2)) {
        return 1;
    }
    lua_pushnil(L);
    lua_replace(L, -3);
    return 2;
}

static void lua_cjson_push_safe(lua_State *L, lua_CFunction function) {
    lua_pushcfunction(L, function);
    lua_getglobal(L, "pcall");
    lua_pushcclosure(L, lua_cjson_call_safe, 2);
}

/* ---- modules ------------------------------------------------------------------------------ */

/* Pushes a table with the functions of both modules. */
static void lua_cjson_push_module(lua_State *L, lua_CFunction open) {
    size_t count = sizeof cjson_settings / sizeof *cjson_settings;
    lua_createtable(L, 0, (int)count + 5);
    for (size_t i = 0; i < count; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, lua_cjson_set, 1);
        lua_setfield(L, -2, cjson_settings[i].name);
    }
    lua_pushcfunction(L, lua_cjson_encode_sparse_array);
    lua_setfield(L, -2, "encode_sparse_array");
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    lua_pushcfunction(L, open); /* cjson.new(), cjson.safe.new(): another table */
    lua_setfield(L, -2, "new");
}

int luaopen_agg_cjson(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"encode", lua_json_encode}, {"decode", lua_cjson_decode}, {NULL, NULL}};
    lua_cjson_push_module(L, luaopen_agg_cjson);
    luaL_register(L, NULL, functions);
    return 1;
}

int luaopen_agg_cjson_safe(lua_State *L) {
    lua_cjson_push_module(L, luaopen_agg_cjson_safe);
    lua_cjson_push_safe(L, lua_json_encode);
    lua_setfield(L, -2, "encode");
    lua_cjson_push_safe(L, lua_cjson_decode);
    lua_setfield(L, -2, "decode");
    return 1;
}
