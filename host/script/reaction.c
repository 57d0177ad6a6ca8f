/* reaction: calls a reaction's `publish` for a row of its query, and reads the messages it returns.
 */
#include "bindings/lua_json.h"
#include "bindings/lua_names.h"
#include "bindings/lua_pg.h"
#include "base/clock.h"
#include "advice.h"
#include "message.h"

#define MAX_MESSAGES 64 /* per row */

struct reaction_rows {
    const struct script_reaction *reaction;
    const struct pg_result *result;
};

/* The column `key` of each row in the list at the top becomes Postgres' text of it: the key of a
 * message and a part of an identity, where a number would lose digits. */
static void reaction_write_keys(lua_State *L, const struct pg_result *rows) {
    int column = pg_rows_find_column(rows, "key");
    for (int i = 0; column >= 0 && i < pg_rows_count(rows); i++) {
        if (!pg_rows_is_null(rows, i, column)) {
            lua_rawgeti(L, -1, i + 1);
            lua_pushliteral(L, "key");
            lua_pushstring(L, pg_rows_text(rows, i, column));
            lua_rawset(L, -3);
            lua_pop(L, 1);
        }
    }
}

static int reaction_load_rows(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    const struct reaction_rows *rows = lua_touserdata(L, 1);
    lua_pg_push_rows(L, rows->reaction->name, rows->reaction->query, rows->result);
    reaction_write_keys(L, rows->result);
    luaL_unref(L, LUA_REGISTRYINDEX, instance->rows_ref);
    instance->rows_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

bool script_react_to(struct script_instance *instance, size_t reaction,
                     const struct pg_result *rows, struct err *err) {
    struct reaction_rows loaded = {&instance->generation->reactions[reaction], rows};
    return script_guard(instance, reaction_load_rows, &loaded, err) ||
           err_wrap(err, "%s", loaded.reaction->name);
}

/* ---- rows of JSON -------------------------------------------------------------------------- */

struct reaction_json {
    const struct script_reaction *reaction;
    struct slice json;
    int row_count;
};

/* Whether only a json column can hold the value at the top: an object, or a list with an object. */
static bool reaction_is_document(lua_State *L) {
    bool is = lua_istable(L, -1) && !lua_is_marked_list(L, -1);
    size_t count = lua_istable(L, -1) && !is ? lua_objlen(L, -1) : 0;
    for (size_t i = 1; i <= count && !is; i++) {
        lua_rawgeti(L, -1, (int)i);
        is = lua_istable(L, -1) && !lua_is_marked_list(L, -1);
        lua_pop(L, 1);
    }
    return is;
}

/* A key is a text in production's rows. */
static bool reaction_is_number_key(lua_State *L, int name) {
    return lua_type(L, -1) == LUA_TNUMBER && lua_type(L, name) == LUA_TSTRING &&
           strcmp(lua_tostring(L, name), "key") == 0;
}

/* Replaces the row at the top by a copy as database rows are: null is nil, reading an unknown
 * column raises. */
static void reaction_make_row(lua_State *L, const char *query) {
    int from = lua_gettop(L), row = from + 1, names = from + 2;
    lua_newtable(L);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, from); lua_settop(L, names + 1)) {
        lua_pushvalue(L, names + 1); /* [row, copy, names, name, value, name] */
        lua_pushboolean(L, 1);
        lua_rawset(L, names);
        if (lua_islightuserdata(L, names + 2)) {
            continue;
        }
        if (reaction_is_document(L) || reaction_is_number_key(L, names + 1)) {
            lua_json_push_text(L);
        }
        lua_pushvalue(L, names + 1);
        lua_insert(L, -2);
        lua_rawset(L, row);
    }
    const char *place = lua_pushfstring(L, "the row given; sql/queries/%s.sql", query);
    lua_insert(L, -2);
    lua_names_push_strict(L, "the row", "column ", place);
    lua_setmetatable(L, row);
    lua_settop(L, row);
    lua_remove(L, from);
}

static void reaction_check_row(lua_State *L, int number) {
    if (!lua_istable(L, -1) || lua_is_marked_list(L, -1)) {
        const char *what = lua_istable(L, -1)           ? "a list"
                           : lua_islightuserdata(L, -1) ? "null"
                                                        : NULL;
        what = what ? what : lua_pushfstring(L, "a %s", luaL_typename(L, -1));
        luaL_error(L, "row %d is %s: a row is a JSON object by column, {\"key\": …}", number, what);
    }
}

static int reaction_load_json(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    struct reaction_json *loaded = lua_touserdata(L, 1);
    lua_pushcfunction(L, lua_json_decode);
    lua_pushlstring(L, loaded->json.data, loaded->json.len);
    lua_call(L, 1, 2);
    if (lua_isnil(L, -2)) {
        lua_getfield(L, -1, "message");
        return luaL_error(L, "%s", lua_tostring(L, -1));
    }
    lua_pop(L, 1);
    if (!lua_istable(L, -1) || !lua_is_marked_list(L, -1)) { /* one row */
        lua_createtable(L, 1, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
    }
    loaded->row_count = (int)lua_objlen(L, -1);
    for (int i = 1; i <= loaded->row_count; i++) {
        lua_rawgeti(L, -1, i);
        reaction_check_row(L, i);
        reaction_make_row(L, loaded->reaction->query);
        lua_rawseti(L, -2, i);
    }
    luaL_unref(L, LUA_REGISTRYINDEX, instance->rows_ref);
    instance->rows_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

bool script_react_to_json(struct script_instance *instance, size_t reaction, struct slice json,
                          int *row_count, struct err *err) {
    struct reaction_json loaded = {&instance->generation->reactions[reaction], json, 0};
    bool ok = script_guard(instance, reaction_load_json, &loaded, err);
    *row_count = loaded.row_count;
    if (!ok) {
        err->kind = ERR_INPUT;
    }
    return ok;
}

/* ---- a call -------------------------------------------------------------------------------- */

struct reaction_call {
    size_t reaction;
    int row;
    struct arena *arena;
    struct script_published *published;
};

/* The place of the reaction's function, for errors of what it returned: "scripts/reactions/a.lua:7:
 * WHAT"; on the stack. */
static const char *reaction_place(lua_State *L, const struct reaction_call *call,
                                  const char *what) {
    lua_Debug function;
    lua_rawgeti(L, LUA_REGISTRYINDEX, sandbox_instance(L)->reactions[call->reaction].function_ref);
    lua_getinfo(L, ">S", &function);
    return lua_pushfstring(L, "%s:%d: %s", function.short_src, function.linedefined, what);
}

/* Whether the value is a table without members: a list of no messages. */
static bool reaction_is_empty(lua_State *L, int at) {
    lua_pushnil(L);
    bool is = lua_istable(L, at) && !lua_next(L, at);
    lua_settop(L, at);
    return is;
}

/* Reads the message, or the list of messages, at the top. */
static void reaction_take_published(lua_State *L, const struct reaction_call *call) {
    struct script_published *published = call->published;
    const char *name = sandbox_instance(L)->generation->reactions[call->reaction].name;
    int at = lua_gettop(L);
    if (lua_isnil(L, at) || reaction_is_empty(L, at)) {
        return;
    }
    if (!lua_istable(L, at)) {
        luaL_error(L, "%s a %s: it returns nothing, a message, or a list of messages",
                   reaction_place(L, call, "it returned"), luaL_typename(L, at));
    }
    size_t count = lua_objlen(L, at);
    if (count > MAX_MESSAGES) {
        luaL_error(L, "%s %d messages: at most %d", reaction_place(L, call, "it returned"),
                   (int)count, MAX_MESSAGES);
    }
    const char *returned = reaction_place(L, call, "the message that it returned");
    published->messages = arena_alloc(call->arena, (count + 1) * sizeof *published->messages);
    if (count == 0) {
        message_read(L, at, returned, name, call->arena, &published->messages[published->count++]);
    }
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, at, (int)i);
        message_read(L, at + 2, returned, name, call->arena,
                     &published->messages[published->count++]);
        lua_pop(L, 1);
    }
}

/* The outbox would drop the second message. */
static void reaction_check_identities(lua_State *L, const struct reaction_call *call) {
    const struct script_published *published = call->published;
    for (size_t i = 1; i < published->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (slice_equal(published->messages[i].identity, published->messages[j].identity)) {
                luaL_error(
                    L,
                    "%s %d and %d have one identity, so the second would not be sent: add to it "
                    "what differs, such as the topic",
                    reaction_place(L, call, "messages"), (int)j + 1, (int)i + 1);
            }
        }
    }
}

static int reaction_run(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    const struct reaction_call *call = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->reactions[call->reaction].function_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->rows_ref);
    lua_rawgeti(L, -1, call->row + 1);
    lua_remove(L, -2);
    lua_call(L, 1, 1);
    reaction_take_published(L, call);
    reaction_check_identities(L, call);
    return 0;
}

/* Runs the reaction muted: its messages depend on its row alone. */
static enum script_result reaction_call_purely(struct script_instance *instance,
                                               struct reaction_call *call, struct err *err) {
    const char *muted = instance->host.muted;
    instance->host.muted = "a reaction depends on its row alone";
    instance->host.rests_on = NULL;
    instance->host.may_not_produce = ADVICE_PRODUCE_IN_REACTION;
    enum script_result result = script_call(instance, reaction_run, call,
                                            instance->config->scripts.handler_timeout_ms, err);
    instance->host.muted = muted;
    instance->host.may_not_produce = NULL;
    if (result == SCRIPT_OK && instance->host.rests_on) {
        err_set(err, ERR_INPUT,
                "it called `%s`: a reaction depends on its row alone: let its query return what "
                "it needs",
                instance->host.rests_on);
        result = SCRIPT_ERROR;
    }
    return result;
}

enum script_result script_react(struct script_instance *instance, size_t reaction, int row,
                                struct arena *arena, struct script_published *published,
                                struct err *err) {
    const char *name = instance->generation->reactions[reaction].name;
    *published = (struct script_published){0};
    struct reaction_call call = {reaction, row, arena, published};
    watched_name(&instance->watched, name, NULL);
    enum script_result result = reaction_call_purely(instance, &call, err);
    instance_count_call(instance, &instance->reactions[reaction].metrics, result != SCRIPT_OK);
    if (result != SCRIPT_OK) {
        *published = (struct script_published){0};
        instance_name_script(instance, name, err);
    }
    return result;
}
