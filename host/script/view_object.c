/* view_object: the `view` that handlers merge into: checks merges against the declaration, and
 * stages them. */
#include <math.h>

#include "bindings/lua_names.h"
#include "bindings/lua_util.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "base/uuid.h"
#include "direct.h"
#include "message.h"
#include "view_column.h"
#include "view_list.h"

bool view_object_has_room(const struct script_instance *instance, size_t bytes) {
    return merge_staged_bytes(instance->merge) + bytes <=
           (size_t)instance->config->ingest.event_max_merge_bytes;
}

void view_object_check_room(lua_State *L, size_t bytes) {
    struct script_instance *instance = sandbox_instance(L);
    if (!view_object_has_room(instance, bytes)) {
        instance->merged_too_much = true;
        luaL_error(L,
                   "the merges of one event take at most %d bytes (config.lua, "
                   "ingest.event_max_merge_bytes): merge fewer or smaller rows, or raise it",
                   instance->config->ingest.event_max_merge_bytes);
    }
}

const char *view_object_push_given(lua_State *L, int at) {
    char digits[LUA_NUMBER_TEXT_CAP];
    lua_Number number = lua_tonumber(L, at);
    if (view_object_is_null(L, at)) {
        lua_pushstring(L, lua_isnil(L, at) ? "nil" : "null");
    } else if (lua_type(L, at) == LUA_TSTRING) {
        lua_pushfstring(L, "\"%s\"", lua_tostring(L, at));
    } else if (lua_type(L, at) != LUA_TNUMBER) {
        lua_pushfstring(L, "a %s", luaL_typename(L, at));
    } else if (number == floor(number) && fabs(number) < 1e18) { /* %g rounds to 14 digits */
        snprintf(digits, sizeof digits, "%.0f", number);
        lua_pushstring(L, digits);
    } else {
        lua_pushvalue(L, at);
    }
    return lua_tostring(L, -1);
}

static void *view_object_alloc(lua_State *L, size_t bytes) {
    view_object_check_room(L, bytes);
    return arena_alloc(merge_arena(sandbox_instance(L)->merge), bytes);
}

struct slice view_object_copy(lua_State *L, struct slice bytes) {
    view_object_check_room(L, bytes.len);
    return arena_copy(merge_arena(sandbox_instance(L)->merge), bytes);
}

struct slice view_object_check_text(lua_State *L, int at, const struct view_column *column) {
    size_t len;
    const char *text = lua_tolstring(L, at, &len);
    if (!view_column_takes_length(column, len)) {
        luaL_error(L, "column \"%s\" takes ids of at most %d bytes", column->name,
                   VIEW_ID_MAX_BYTES);
    }
    if (!view_column_takes_text((struct slice){text, len})) {
        luaL_error(L, "column \"%s\" takes UTF-8 text without NUL", column->name);
    }
    return (struct slice){text, len};
}

int64_t script_check_time_us(lua_State *L, int at, const char *what) {
    lua_Number number = lua_tonumber(L, at);
    if (!view_column_takes_time(number)) {
        luaL_error(L, "%s takes whole microseconds since 1970, of the years 1 to 9999, not %s",
                   what, view_object_push_given(L, at));
    }
    return (int64_t)number;
}

int64_t view_object_check_whole(lua_State *L, int at, enum view_type type, const char *column) {
    int64_t number = 0;
    bool big = type == VIEW_BIGINT, text = lua_type(L, at) == LUA_TSTRING;
    struct slice digits = {0};
    if (text && big) {
        digits.data = lua_tolstring(L, at, &digits.len);
        if (number_parse_int64(digits, &number)) {
            return number;
        }
    }
    lua_Number given = text ? NAN : lua_tonumber(L, at);
    if (!(big ? view_column_takes_bigint(given) : view_column_takes_integer(given))) {
        luaL_error(L, "column \"%s\" takes %s, not %s", column,
                   big ? "a whole number below 2^53 either way, or the digits of one of 64 bits"
                       : "a whole number from -2147483648 to 2147483647",
                   view_object_push_given(L, at));
    }
    return (int64_t)given;
}

/* The text of a UUID or a date: no event of that column's values is stored in two spellings. */
static void view_object_check_coded(lua_State *L, int at, const struct view_column *column,
                                    struct view_value *value) {
    struct slice text;
    uint8_t uuid[16];
    text.data = lua_tolstring(L, at, &text.len);
    if (column->type == VIEW_DATE && date_parse(text, &value->as.integer)) {
        return;
    }
    if (column->type == VIEW_DATE || !uuid_read(text, uuid)) {
        luaL_error(L, "column \"%s\" takes the text of %s, not %s", column->name,
                   column->type == VIEW_DATE ? DATE_WANTED : "a UUID",
                   view_object_push_given(L, at));
    }
    value->as.text = view_object_copy(L, (struct slice){(const char *)uuid, sizeof uuid});
}

/* -0 becomes 0: both are equal, so the order of merges would decide which one stays. */
static double view_object_check_finite(lua_State *L, int at, const struct view_column *column) {
    double number = lua_tonumber(L, at);
    if (!isfinite(number)) {
        luaL_error(L, "column \"%s\" takes a finite number, not %s", column->name,
                   lua_tostring(L, at));
    }
    return number + 0.0;
}

static struct view_value view_object_to_value(lua_State *L, int at,
                                              const struct view_column *column) {
    struct view_value value = {.is_null = view_object_is_null(L, at)};
    if (value.is_null) {
        return value;
    }
    static const int wanted[] = {
        [VIEW_TEXT] = LUA_TSTRING,     [VIEW_JSON] = LUA_TSTRING,      [VIEW_ENUM] = LUA_TSTRING,
        [VIEW_INTEGER] = LUA_TNUMBER,  [VIEW_TIMESTAMP] = LUA_TNUMBER, [VIEW_DOUBLE] = LUA_TNUMBER,
        [VIEW_BOOLEAN] = LUA_TBOOLEAN, [VIEW_CONTENT] = LUA_TSTRING,   [VIEW_UUID] = LUA_TSTRING,
        [VIEW_BIGINT] = LUA_TNUMBER,   [VIEW_DATE] = LUA_TSTRING};
    bool digits = column->type == VIEW_BIGINT && lua_type(L, at) == LUA_TSTRING;
    if (view_item_type(column->type) != column->type) {
        value.as.text = view_list_read(L, at, column);
        return value;
    }
    if (lua_type(L, at) != wanted[column->type] && !digits) {
        luaL_error(L, "column \"%s\" takes a %s, not a %s", column->name,
                   lua_typename(L, wanted[column->type]), luaL_typename(L, at));
    }
    switch (column->type) {
    case VIEW_BOOLEAN:
        value.as.integer = lua_toboolean(L, at);
        break;
    case VIEW_DOUBLE:
        value.as.number = view_object_check_finite(L, at, column);
        break;
    case VIEW_TIMESTAMP:
        value.as.integer =
            script_check_time_us(L, at, lua_pushfstring(L, "column \"%s\"", column->name));
        lua_pop(L, 1);
        break;
    case VIEW_INTEGER:
    case VIEW_BIGINT:
        value.as.integer = view_object_check_whole(L, at, column->type, column->name);
        break;
    case VIEW_DATE:
    case VIEW_UUID:
        view_object_check_coded(L, at, column, &value);
        break;
    default:
        value.as.text = view_object_copy(L, view_object_check_text(L, at, column));
    }
    return value;
}

/* One value alone is that of a key of one column: a missing one would name another row. */
static void view_object_check_key(lua_State *L, int at, const struct view_table *table) {
    size_t wanted = 0, given = lua_istable(L, at) ? lua_objlen(L, at) : 1;
    for (size_t i = 0; i < table->key_count; i++) {
        wanted += table->key[i].type != VIEW_CONTENT;
    }
    if (wanted > 1 && !lua_istable(L, at)) {
        luaL_error(L, "%s: the key is a list of %d values, not %s", table->name, (int)wanted,
                   view_object_push_given(L, at));
    }
    if (given > wanted) {
        luaL_error(L, "%s: the key has %d values, and the table takes %d", table->name, (int)given,
                   (int)wanted);
    }
}

static const struct view_value *view_object_read_key(lua_State *L, int at,
                                                     const struct view_table *table) {
    view_object_check_key(L, at, table);
    struct view_value *key = view_object_alloc(L, table->key_count * sizeof *key);
    int item = 0;
    for (size_t i = 0; i < table->key_count; i++) {
        if (table->key[i].type == VIEW_CONTENT) {
            continue;
        }
        if (lua_istable(L, at)) {
            lua_rawgeti(L, at, ++item);
        } else {
            lua_pushvalue(L, at);
        }
        bool number = table->key[i].type == VIEW_INTEGER || table->key[i].type == VIEW_BIGINT ||
                      table->key[i].type == VIEW_TIMESTAMP;
        if (lua_type(L, -1) != LUA_TSTRING && !(number && lua_type(L, -1) == LUA_TNUMBER)) {
            luaL_error(L, "%s: key \"%s\" takes a %s, not a %s", table->name, table->key[i].name,
                       number ? "number" : "string", luaL_typename(L, -1));
        }
        key[i] = view_object_to_value(L, lua_gettop(L), &table->key[i]);
        lua_pop(L, 1);
    }
    return key;
}

/* Raises "OWNER has no WHAT "NAME": did you mean …? (scripts/view.lua)". */
static int view_object_refuse_name(lua_State *L, const char *owner, const char *what,
                                   const char *name, const char *const *known, size_t count) {
    char hint[NEAREST_HINT_CAP];
    const struct bundle_file *file = bundle_find(&sandbox_instance(L)->generation->bundle, "view");
    return luaL_error(L, "%s has no %s \"%s\": %s (%s)", owner, what, name,
                      nearest_hint(hint, name, known, count), file ? file->path : "view");
}

/* Raises for a key of the table at `at` that is no column, if it has other keys than the `known`.
 */
static void view_object_check_columns(lua_State *L, int at, const struct view_group *group,
                                      size_t known) {
    const char *names[VIEW_MAX_COLUMNS];
    size_t given = 0;
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        given++;
    }
    for (size_t i = 0; i < group->column_count; i++) {
        names[i] = group->columns[i].name;
    }
    const char *unknown =
        given == known ? NULL : lua_names_unknown(L, at, names, group->column_count);
    if (unknown) {
        const char *owner = lua_pushfstring(L, "group \"%s\"", group->name);
        view_object_refuse_name(L, owner, "column", unknown, names, group->column_count);
    }
}

static int view_object_refuse_group(lua_State *L, const struct view_table *table,
                                    const char *name) {
    const char *names[VIEW_MAX_GROUPS];
    for (size_t i = 0; i < table->group_count; i++) {
        names[i] = table->groups[i].name;
    }
    const char *owner = lua_pushfstring(L, "table \"%s\"", table->name);
    return view_object_refuse_name(L, owner, "group", name, names, table->group_count);
}

/* The list of the group's column names is at the top. */
static const struct view_value *view_object_read_values(lua_State *L, int at,
                                                        const struct view_group *group) {
    struct view_value *values = view_object_alloc(L, (group->column_count + 1) * sizeof *values);
    size_t known = 0;
    int names = lua_gettop(L);
    for (size_t i = 0; i < group->column_count; i++) {
        lua_rawgeti(L, names, (int)i + 1);
        lua_gettable(L, at);
        known += !lua_isnil(L, -1);
        values[i] = view_object_to_value(L, lua_gettop(L), &group->columns[i]);
        lua_pop(L, 1);
    }
    view_object_check_columns(L, at, group, known);
    return values;
}

/* Whether the value at 1 is the view or one of its tables: a dot instead of the colon puts an
 * argument there. */
static bool view_object_is_self(lua_State *L) {
    protect_push_original(L, 1);
    bool self = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return self;
}

/* Checks the types of merge's arguments: a dot for the colon, or a missing argument, moves them. */
static const char *view_object_check_merge(lua_State *L, const struct view_table *table) {
    static const int wanted[] = {LUA_TSTRING, LUA_TTABLE};
    static const char *const names[] = {"group", "columns"};
    if (lua_gettop(L) == 0 || !view_object_is_self(L)) {
        luaL_error(L, "a colon is missing: call view.%s:merge(key, group, columns)", table->name);
    }
    if (lua_gettop(L) != 4) {
        luaL_error(L, "%d arguments are given: call view.%s:merge(key, group, columns)",
                   lua_gettop(L) - 1, table->name);
    }
    for (int i = 0; i < 2; i++) {
        if (lua_type(L, 3 + i) != wanted[i]) {
            luaL_error(L, "`%s` is a %s, not a %s: call view.%s:merge(key, group, columns)",
                       names[i], lua_typename(L, wanted[i]), luaL_typename(L, 3 + i), table->name);
        }
    }
    return lua_tostring(L, 3);
}

/* A script may have kept the view. */
static void view_object_check_call(lua_State *L) {
    if (!sandbox_instance(L)->merge) {
        luaL_error(L, "the view is available only while an event is handled");
    }
}

/* view.TABLE:merge(key, group, columns). Upvalues: the table's index; for each group the list of
 * its column names, as strings of the state. */
static int view_object_lua_merge(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    size_t number = (size_t)lua_tointeger(L, lua_upvalueindex(1));
    const struct view_table *table = &instance->generation->view->tables[number];
    const char *name = view_object_check_merge(L, table);
    size_t group = 0;
    while (group < table->group_count && strcmp(table->groups[group].name, name) != 0) {
        group++;
    }
    if (group == table->group_count) {
        return view_object_refuse_group(L, table, name);
    }
    view_object_check_call(L);
    struct merge_op op = {.table = number, .group = group};
    op.key = view_object_read_key(L, 2, table);
    lua_rawgeti(L, lua_upvalueindex(2), (int)group + 1);
    op.values = view_object_read_values(L, 4, &table->groups[group]);
    merge_stage(instance->merge, &op, instance->version);
    return 0;
}

/* For dry runs: live ingestion needs the surrogate key only. */
static void view_object_note_touch(struct script_instance *instance, struct slice id) {
    struct arena *arena = merge_arena(instance->merge);
    struct script_touch *touch = arena_alloc(arena, sizeof *touch);
    *touch = (struct script_touch){arena_copy(arena, id), instance->touches};
    instance->touches = touch;
}

/* view:touch(id) */
static int view_object_lua_touch(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    size_t len;
    if (lua_gettop(L) == 0 || !view_object_is_self(L) || lua_type(L, 2) != LUA_TSTRING) {
        return luaL_error(L, "call view:touch(id), with a colon and an id that is a string");
    }
    const char *id = lua_tolstring(L, 2, &len);
    view_object_check_call(L);
    view_object_check_room(L, sizeof(uint64_t));
    merge_add_tag(instance->merge, (struct slice){id, len});
    if (instance->host.muted) {
        view_object_note_touch(instance, (struct slice){id, len});
    }
    return 0;
}

/* view:publish(message) */
static int view_object_lua_publish(lua_State *L) {
    struct script_instance *instance = sandbox_instance(L);
    struct outbox_message message;
    char event_id[UUID_TEXT_LEN + 1];
    if (lua_gettop(L) == 0 || !view_object_is_self(L)) {
        luaL_error(L, "a colon is missing: call view:publish(message)");
    }
    lua_settop(L, 2);
    view_object_check_call(L);
    view_object_check_room(L, 1); /* a message may exceed the limit, the next one is not read */
    message_read(L, 2, "view:publish", instance->handler_name, merge_arena(instance->merge),
                 &message);
    uuid_format(instance->version.event_id, event_id);
    message.about = arena_copy(merge_arena(instance->merge), slice_of(event_id));
    merge_publish(instance->merge, &message);
    view_object_check_room(L, 0);
    return 0;
}

static void view_object_refuse_others(lua_State *L, const char *owner, const char *kind,
                                      const char *place) {
    lua_pushvalue(L, -1);
    lua_names_push_strict(L, owner, kind, place);
    lua_setmetatable(L, -2);
}

static void view_object_push_column_names(lua_State *L, const struct view_table *table) {
    lua_createtable(L, (int)table->group_count, 0);
    for (size_t g = 0; g < table->group_count; g++) {
        const struct view_group *group = &table->groups[g];
        lua_createtable(L, (int)group->column_count, 0);
        for (size_t i = 0; i < group->column_count; i++) {
            lua_pushstring(L, group->columns[i].name);
            lua_rawseti(L, -2, (int)i + 1);
        }
        lua_rawseti(L, -2, (int)g + 1);
    }
}

void view_object_push(struct script_instance *instance) {
    lua_State *L = instance->host.L;
    const struct view *view = instance->generation->view;
    const struct bundle_file *file = bundle_find(&instance->generation->bundle, "view");
    lua_createtable(L, 0, (int)view->table_count + 2);
    for (size_t i = 0; i < view->table_count; i++) {
        lua_createtable(L, 0, 1);
        lua_pushinteger(L, (lua_Integer)i);
        view_object_push_column_names(L, &view->tables[i]);
        lua_pushcclosure(L, view_object_lua_merge, 2);
        lua_setfield(L, -2, "merge");
        view_object_refuse_others(L, view->tables[i].name, "method ", NULL);
        protect_table(L, view->tables[i].name);
        lua_setfield(L, -2, view->tables[i].name);
    }
    lua_pushcfunction(L, view_object_lua_touch);
    lua_setfield(L, -2, "touch");
    lua_pushcfunction(L, view_object_lua_publish);
    lua_setfield(L, -2, "publish");
    view_object_refuse_others(L, "the view", "table ", file ? file->path : NULL);
    protect_table(L, "view");
    if (instance->host.compiled) {
        direct_take_view(L);
    }
}
