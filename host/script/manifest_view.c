/* Reads scripts/view.lua into struct view. */
#include <stdio.h>
#include <stdlib.h>

#include "../base/xalloc.h"
#include "script_private.h"

static const struct {
    const char *name;
    enum view_type type;
    const char *sql_type;
} types[] = {
    {"text", VIEW_TEXT, "text"},
    {"text[]", VIEW_TEXTS, "text[]"},
    {"integer", VIEW_INTEGER, "integer"},
    {"integer[]", VIEW_INTEGERS, "integer[]"},
    {"double", VIEW_DOUBLE, "double precision"},
    {"double[]", VIEW_DOUBLES, "double precision[]"},
    {"boolean", VIEW_BOOLEAN, "boolean"},
    {"timestamp", VIEW_TIMESTAMP, "timestamptz"},
    {"json", VIEW_JSON, "json"},
    {"content", VIEW_CONTENT, "uuid"},
};
static const char *const rules[] = {"first", "latest", "min", "max", NULL};
static const char *const table_keys[] = {"name", "key", "groups", "content", NULL};
static const char *const group_keys[] = {"name", "rule", "columns", NULL};

/* A field that must be a string; NULL and an error otherwise. */
static const char *text_field(lua_State *L, const char *key, const char *owner, struct err *err) {
    lua_getfield(L, -1, key);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1); /* the table still holds the string */
    if (!text) {
        err_set(err, ERR_INPUT, "%s: `%s` must be a string", owner, key);
    }
    return text;
}

/* Names go into SQL in quotes, types without. */
static bool is_name(const char *name) {
    return name[0] && strlen(name) < 64 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(name);
}

static bool is_type(const char *type) {
    size_t len = strspn(type, "abcdefghijklmnopqrstuvwxyz_0123456789");
    return len > 0 && (type[len] == '\0' || strcmp(type + len, "[]") == 0);
}

static bool check_name(const char *owner, const char *name, struct err *err) {
    return is_name(name) ||
           err_set(err, ERR_INPUT,
                   "%s: a name has lower-case letters, digits and _, up to 63 bytes", owner);
}

/* Memory and database must find the same value smaller: lists, documents and enums have no order
 * that both know. */
static bool has_order(enum view_type type) {
    return type == VIEW_TEXT || type == VIEW_INTEGER || type == VIEW_DOUBLE ||
           type == VIEW_BOOLEAN || type == VIEW_TIMESTAMP;
}

static bool read_column(lua_State *L, const char *owner, struct view_column *column,
                        struct err *err) {
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    const char *name = lua_tostring(L, -2), *type = lua_tostring(L, -1);
    lua_pop(L, 2);
    manifest_blame(L, name);
    if (!name || !type || !is_name(name) || !is_type(type)) {
        return err_set(err, ERR_INPUT, "%s: a column is { \"name\", \"type\" }, in lower case",
                       owner);
    }
    *column = (struct view_column){xstrdup(name), VIEW_ENUM, NULL};
    const char *sql_type = type;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, type) == 0) {
            column->type = types[i].type;
            sql_type = types[i].sql_type;
        }
    }
    column->sql_type = xstrdup(sql_type);
    return true;
}

/* Columns of the list on the stack's top. */
static bool read_columns(lua_State *L, const char *owner, struct view_column *columns, size_t max,
                         size_t *count, struct err *err) {
    size_t len = lua_objlen(L, -1);
    if (len > max) {
        return err_set(err, ERR_INPUT, "%s: more than %zu columns", owner, max);
    }
    for (size_t i = 0; i < len; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        bool ok = lua_istable(L, -1) ? read_column(L, owner, &columns[i], err)
                                     : err_set(err, ERR_INPUT, "%s: a column is a table", owner);
        lua_pop(L, 1);
        *count = i + ok;
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool read_group(lua_State *L, const char *table, struct view_group *group, struct err *err) {
    const char *name = text_field(L, "name", table, err);
    manifest_blame(L, name);
    const char *rule = name ? text_field(L, "rule", name, err) : NULL;
    if (!rule) {
        return false;
    }
    char owner[128];
    int found = -1;
    for (int i = 0; rules[i]; i++) {
        found = strcmp(rules[i], rule) == 0 ? i : found;
    }
    snprintf(owner, sizeof owner, "group %s.%s", table, name);
    if (found < 0) {
        return manifest_refuse(L, owner, "rule", rule, rules, err);
    }
    if (!manifest_check_keys(L, owner, group_keys, err)) {
        return false;
    }
    if (!check_name(table, name, err)) {
        return false;
    }
    group->name = xstrdup(name);
    group->rule = (enum view_rule)found;
    group->columns = xcalloc(VIEW_MAX_COLUMNS, sizeof *group->columns);
    lua_getfield(L, -1, "columns");
    bool ok = lua_istable(L, -1) &&
              read_columns(L, name, group->columns, VIEW_MAX_COLUMNS, &group->column_count, err);
    lua_pop(L, 1);
    if (ok && found >= VIEW_MIN &&
        (group->column_count != 1 || !has_order(group->columns[0].type))) {
        return err_set(err, ERR_INPUT,
                       "%s.%s: %s takes one column of text, integer, double, boolean or timestamp",
                       table, name, rule);
    }
    return ok;
}

static bool read_groups(lua_State *L, struct view_table *table, struct err *err) {
    lua_getfield(L, -1, "groups");
    size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    bool ok = count > 0 && count <= VIEW_MAX_GROUPS;
    if (!ok) {
        err_set(err, ERR_INPUT, "%s: 1 to %d groups", table->name, VIEW_MAX_GROUPS);
    }
    for (size_t i = 0; ok && i < count; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        table->group_count = i + 1;
        ok = lua_istable(L, -1) && read_group(L, table->name, &table->groups[i], err);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return ok;
}

static bool read_content(lua_State *L, struct view_table *table, struct err *err) {
    const char *names[VIEW_MAX_GROUPS + 1] = {NULL};
    char owner[128];
    lua_getfield(L, -1, "content");
    const char *content = lua_tostring(L, -1);
    lua_pop(L, 1); /* the table still holds it */
    for (size_t g = 0; content && g < table->group_count; g++) {
        names[g] = table->groups[g].name;
        if (strcmp(names[g], content) == 0) {
            table->content_group = (int)g;
        }
    }
    snprintf(owner, sizeof owner, "table %s: content", table->name);
    return !content || table->content_group >= 0 ||
           manifest_refuse(L, owner, "group", content, names, err);
}

static bool read_table(lua_State *L, struct view_table *table, struct err *err) {
    const char *name = text_field(L, "name", "a table of the view", err);
    manifest_blame(L, name);
    if (!name || !check_name(name, name, err)) {
        return false;
    }
    char owner[128];
    snprintf(owner, sizeof owner, "table %s", name);
    table->name = xstrdup(name);
    table->content_group = -1;
    if (!manifest_check_keys(L, owner, table_keys, err)) {
        return false;
    }
    lua_getfield(L, -1, "key");
    bool ok = lua_istable(L, -1)
                  ? read_columns(L, name, table->key, VIEW_MAX_KEY, &table->key_count, err)
                  : err_set(err, ERR_INPUT, "%s: `key` must be a list", name);
    lua_pop(L, 1);
    if (!ok || !read_groups(L, table, err)) {
        return false;
    }
    return read_content(L, table, err);
}

bool manifest_read_view(struct script_instance *instance, struct script_generation *generation,
                        struct err *err) {
    lua_State *L = instance->L;
    if (!sandbox_load(instance, "view", err)) {
        return false;
    }
    struct view *view = generation->view = xcalloc(1, sizeof *view);
    size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    view->tables = xcalloc(count + 1, sizeof *view->tables);
    bool ok = count > 0 || err_set(err, ERR_INPUT, "it must return a list of tables");
    for (size_t i = 0; ok && i < count; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        view->table_count = i + 1;
        ok = lua_istable(L, -1) ? read_table(L, &view->tables[i], err)
                                : err_set(err, ERR_INPUT, "a table of the view is a Lua table");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return ok;
}
