/* testing.handlers: runs events through production's extraction, handlers and merge. Documented in
 * docs/types/testing/handlers.lua. */
#include "spec_private.h"

/* The text of the event at `at`, which stays on the stack. */
static struct slice spec_handlers_event_text(lua_State *L, int at) {
    struct slice text;
    if (lua_istable(L, at)) {
        lua_pushvalue(L, at);
        spec_call_json(L, "encode");
        lua_pop(L, 1);
    } else {
        luaL_checktype(L, at, LUA_TSTRING);
        lua_pushvalue(L, at);
    }
    text.data = lua_tolstring(L, -1, &text.len);
    return text;
}

static void spec_handlers_push_merges(lua_State *L, const struct view *view,
                                      const struct merge *merge) {
    struct merge_op op;
    struct merge_version version;
    lua_newtable(L);
    for (size_t i = 0; merge_staged(merge, i, &op, &version); i++) {
        const struct view_table *table = &view->tables[op.table];
        const struct view_group *group = &table->groups[op.group];
        lua_createtable(L, 0, 6);
        lua_pushstring(L, table->name);
        lua_setfield(L, -2, "table");
        lua_pushstring(L, group->name);
        lua_setfield(L, -2, "group");
        spec_push_key(L, table, op.key);
        lua_setfield(L, -2, "key");
        lua_createtable(L, 0, (int)group->column_count);
        spec_set_columns(L, group, op.values);
        lua_setfield(L, -2, "columns");
        spec_set_version(L, &version);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

static void spec_handlers_push_rows(lua_State *L, const struct view *view, struct merge *merge) {
    lua_createtable(L, 0, (int)view->table_count);
    for (size_t t = 0; t < view->table_count; t++) {
        const struct view_table *table = &view->tables[t];
        size_t count;
        struct merge_row *const *rows = merge_rows(merge, t, &count);
        lua_createtable(L, (int)count, 0);
        for (size_t i = 0; i < count; i++) {
            spec_push_key(L, table, rows[i]->key);
            for (size_t g = 0; g < table->group_count; g++) {
                const struct merge_group_value *held = &rows[i]->groups[g];
                if (held->present) {
                    lua_newtable(L);
                    spec_set_columns(L, &table->groups[g], held->values);
                    if (table->groups[g].rule == VIEW_FIRST ||
                        table->groups[g].rule == VIEW_LATEST) {
                        spec_set_version(L, &held->version);
                    }
                    lua_setfield(L, -2, table->groups[g].name);
                }
            }
            lua_rawseti(L, -2, (int)i + 1);
        }
        lua_setfield(L, -2, table->name);
    }
}

static void spec_handlers_set_text(lua_State *L, const char *key, const char *text) {
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

/* Extracts and handles like pipeline/batch.c; the merges stay staged. */
static enum script_result spec_handlers_handle(struct script_instance *instance, size_t handler,
                                               struct slice text, struct merge *merge,
                                               struct err *err) {
    const struct script_handler *declared = &instance->generation->handlers[handler];
    size_t bytes = declared->field_count * sizeof(struct extract_value);
    struct extract_value *values = arena_alloc(merge_arena(merge), bytes);
    memset(values, 0, bytes);
    if (!extract_run(declared->plan, text, merge_arena(merge), values, err)) {
        return SCRIPT_ERROR;
    }
    enum script_result result = script_handle(instance, handler, values, merge, err);
    if (result != SCRIPT_OK && result != SCRIPT_IGNORED) {
        err_wrap(err, "%s", script_rejection_code(result));
    }
    return result;
}

/* Runs one event and pushes its outcome, without rows. */
static void spec_handlers_run_event(lua_State *L, struct merge *merge, int name_at, int event_at) {
    struct script_instance *instance = sandbox_instance(L);
    const struct script_generation *generation = instance->generation;
    size_t handler =
        spec_find_script(L, "handler", luaL_checkstring(L, name_at), generation->handlers,
                         generation->handler_count, sizeof *generation->handlers);
    struct slice text = spec_handlers_event_text(L, event_at);
    size_t count;
    struct err err = {0};
    enum script_result result = spec_handlers_handle(instance, handler, text, merge, &err);
    if (result != SCRIPT_OK) {
        merge_discard(merge);
    }
    lua_newtable(L);
    spec_handlers_push_merges(L, generation->view, merge);
    lua_setfield(L, -2, "merges");
    const struct outbox_message *messages = merge_staged_messages(merge, &count);
    spec_push_messages(L, messages, count);
    lua_setfield(L, -2, "published");
    spec_handlers_set_text(L, "result",
                           result == SCRIPT_OK        ? "applied"
                           : result == SCRIPT_IGNORED ? "ignored"
                                                      : "rejected");
    if (result != SCRIPT_OK && result != SCRIPT_IGNORED) {
        spec_handlers_set_text(L, "reason", err.text);
    }
    merge_accept(merge, 0);
    lua_remove(L, -2); /* the event's text */
}

static struct merge *spec_handlers_begin(lua_State *L) {
    struct merge *merge = lua_touserdata(L, lua_upvalueindex(1));
    merge_reset(merge, sandbox_instance(L)->generation->view);
    return merge;
}

static int spec_handlers_lua_run(lua_State *L) {
    struct merge *merge = spec_handlers_begin(L);
    size_t tag_count;
    spec_handlers_run_event(L, merge, 1, 2);
    const uint64_t *tags = merge_tags(merge, &tag_count);
    spec_set_tags(L, tags, tag_count);
    spec_handlers_push_rows(L, sandbox_instance(L)->generation->view, merge);
    lua_setfield(L, -2, "rows");
    return 1;
}

static int spec_handlers_lua_replay(lua_State *L) {
    struct merge *merge = spec_handlers_begin(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_createtable(L, 0, 2);
    lua_newtable(L); /* [answer, outcomes] */
    int outcomes = lua_gettop(L);
    for (int i = 1; i <= (int)lua_objlen(L, 1); i++) {
        lua_rawgeti(L, 1, i);
        luaL_argcheck(L, lua_istable(L, -1), 1, "takes a list of { name, event }");
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        spec_handlers_run_event(L, merge, lua_gettop(L) - 1, lua_gettop(L));
        lua_rawseti(L, outcomes, i);
        lua_settop(L, outcomes);
    }
    lua_setfield(L, -2, "outcomes");
    spec_handlers_push_rows(L, sandbox_instance(L)->generation->view, merge);
    lua_setfield(L, -2, "rows");
    return 1;
}

void spec_handlers_open(lua_State *L, struct merge *merge) {
    lua_newtable(L);
    lua_pushlightuserdata(L, merge);
    lua_pushcclosure(L, spec_handlers_lua_run, 1);
    lua_setfield(L, -2, "run");
    lua_pushlightuserdata(L, merge);
    lua_pushcclosure(L, spec_handlers_lua_replay, 1);
    lua_setfield(L, -2, "replay");
    lua_pushcfunction(L, spec_lua_tag);
    lua_setfield(L, -2, "tag");
}
