/* Reads scripts/view.lua. */
#include <math.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "manifest.h"

#define MAX_TABLES 64

static const char *const rules[] = {"first", "latest", "min", "max", "set", "count"};

#define NAME_BYTES "abcdefghijklmnopqrstuvwxyz_0123456789"

/* Names go into SQL in quotes, types without. */
bool manifest_view_check_name(struct manifest_reader *r, const char *name) {
    size_t len = name ? strspn(name, NAME_BYTES) : 0;
    if (name && (len == 0 || len >= 64 || name[len])) {
        manifest_problem(
            r, name,
            "\"%.80s\" is not a name: use lower-case letters, digits and _, up to 63 bytes", name);
        return false;
    }
    return name != NULL;
}

static bool manifest_view_is_type(const char *type) {
    size_t len = strspn(type, NAME_BYTES);
    return len > 0 && (type[len] == '\0' || strcmp(type + len, "[]") == 0);
}

/* The type of view.lua that an author means by a type of SQL or another language; NULL: none. */
static const char *manifest_view_meant(const char *type) {
    static const char *const meant[][2] = {
        {"int", "integer"},    {"int2", "integer"},     {"int4", "integer"},
        {"int32", "integer"},  {"smallint", "integer"}, {"int8", "bigint"},
        {"int64", "bigint"},   {"long", "bigint"},      {"string", "text"},
        {"strings", "text[]"}, {"varchar", "text"},     {"char", "text"},
        {"float", "double"},   {"float4", "double"},    {"float8", "double"},
        {"real", "double"},    {"number", "double"},    {"numeric", "double"},
        {"decimal", "double"}, {"bool", "boolean"},     {"datetime", "timestamp"},
        {"jsonb", "json"},
    };
    for (size_t i = 0; i < COUNT(meant); i++) {
        if (strcmp(meant[i][0], type) == 0) {
            return meant[i][1];
        }
    }
    return NULL;
}

/* Memory and database must order values alike: not so for lists, documents and enums. */
static bool manifest_view_has_order(enum view_type type) {
    return type != VIEW_JSON && type != VIEW_ENUM && type != VIEW_CONTENT &&
           view_item_type(type) == type;
}

/* Values of a key are compared in memory and written as text by `explain`. */
static bool manifest_view_is_key(enum view_type type) {
    return type == VIEW_CONTENT || type == VIEW_ENUM ||
           (manifest_view_has_order(type) && type != VIEW_DOUBLE && type != VIEW_BOOLEAN);
}

/* ---- columns ------------------------------------------------------------------------------ */

struct table_reading {
    struct view_table *table;
    const char *name, *content;
    struct manifest_retention retention;
};
struct group_reading {
    struct view_table *table;
    struct view_group *group;
    const char *name, *rule;
    struct manifest_number limit;
};

static void manifest_view_fill_column(struct manifest_reader *r, struct view_column *column,
                                      const char *name, const char *type) {
    bool is_id = strcmp(type, "id") == 0, is_ids = strcmp(type, "id[]") == 0;
    bool is_time = strcmp(type, "timestamptz") == 0; /* the name that Postgres has for it */
    type = is_id ? "text" : is_ids ? "text[]" : is_time ? "timestamp" : type;
    const char *sql_type = type;
    *column = (struct view_column){xstrdup(name), VIEW_ENUM, .is_id = is_id || is_ids};
    for (size_t i = 0; i < VIEW_TYPES; i++) {
        if (strcmp(view_type_names[i], type) == 0) {
            column->type = (enum view_type)i;
            sql_type = view_sql_types[i];
        }
    }
    column->sql_type = xstrdup(sql_type);
    if (!manifest_view_is_type(type)) {
        manifest_refuse(r, "type", type, view_type_names, VIEW_TYPE_WORDS);
    } else if (column->type == VIEW_ENUM && manifest_view_meant(type)) {
        manifest_problem(r, type, "no type \"%s\": did you mean \"%s\"?", type,
                         manifest_view_meant(type));
    }
}

static bool manifest_view_read_column(struct manifest_reader *r, struct view_column *column) {
    lua_State *L = r->L;
    size_t count = 0;
    struct manifest_scope scope = {0};
    bool pair = lua_istable(L, -1) && lua_objlen(L, -1) == 2;
    const char **texts = pair ? manifest_take_texts(r, "column", 2, &count) : NULL;
    if (pair && !texts) {
        return false;
    }
    if (!texts) {
        manifest_problem(r, NULL, "a column is { \"name\", \"type\" }");
        return false;
    }
    bool good = manifest_view_check_name(r, texts[0]);
    if (good) {
        manifest_enter(r, &scope, texts[0], "%.60s: column %.60s", r->scope->owner, texts[0]);
        manifest_view_fill_column(r, column, texts[0], texts[1]);
        manifest_leave(r);
    }
    return good;
}

static void manifest_view_read_columns(struct manifest_reader *r, const char *key,
                                       struct view_column *columns, size_t max, size_t *count) {
    size_t len;
    if (!manifest_is_list(r, key, "a list of columns, { { \"name\", \"type\" } }", max, &len)) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        lua_rawgeti(r->L, -1, (int)i + 1);
        *count += manifest_view_read_column(r, &columns[*count]);
        lua_pop(r->L, 1);
    }
}

/* ---- groups ------------------------------------------------------------------------------- */

static void manifest_view_read_group_columns(struct manifest_reader *r, void *target) {
    struct view_group *group = ((struct group_reading *)target)->group;
    manifest_view_read_columns(r, "columns", group->columns, VIEW_MAX_COLUMNS,
                               &group->column_count);
}

/* The name is first, for the messages about the rest. */
static const struct manifest_key group_keys[] = {
    {"name", MANIFEST_TEXT, true, offsetof(struct group_reading, name),
     "the name that handlers merge it by", NULL},
    {"rule", MANIFEST_TEXT, true, offsetof(struct group_reading, rule),
     "first, latest, min, max, set or count", NULL},
    {"limit", MANIFEST_NUMBER, false, offsetof(struct group_reading, limit), NULL, NULL},
    {"columns", MANIFEST_TABLE, true, 0, "a list, may be empty", manifest_view_read_group_columns},
};

/* A number of items, of the rules set and count alone. */
static void manifest_view_take_limit(struct manifest_reader *r,
                                     const struct group_reading *reading) {
    double limit = reading->limit.there ? reading->limit.value : VIEW_SET_ITEMS;
    bool good = limit >= 1 && limit <= VIEW_MAX_SET_ITEMS && limit == floor(limit);
    if (reading->limit.there && (!view_is_set(reading->group) || !good)) {
        manifest_problem(r, "limit",
                         "`limit` is the most items that a group with the rule set or count keeps, "
                         "from 1 to %d",
                         VIEW_MAX_SET_ITEMS);
    }
    reading->group->limit = good ? (size_t)limit : 1;
}

static void manifest_view_make_set(struct manifest_reader *r, const struct group_reading *reading) {
    struct view_column *column = reading->group->columns;
    enum view_type item = view_item_type(column->type);
    if (reading->group->column_count != 1 || item == column->type || item == VIEW_DOUBLE) {
        manifest_problem(r, reading->rule,
                         "set takes one column of text[], id[], integer[], bigint[], date[] or "
                         "uuid[]");
    }
    column->in_set = true;
}

/* The declared column is computed by Postgres; what is counted is stored beside it. */
static void manifest_view_make_count(struct manifest_reader *r,
                                     const struct group_reading *reading) {
    struct view_column *column = reading->group->columns;
    char stored[96];
    if (reading->group->column_count != 1 || column->type != VIEW_INTEGER) {
        manifest_problem(r, reading->rule,
                         "count takes one column of integer, to which a merge gives the id of what "
                         "is counted");
        return;
    }
    snprintf(stored, sizeof stored, "%.63s_sources", reading->name ? reading->name : "?");
    if (strlen(stored) >= 64) {
        manifest_problem(r, reading->name, "its column \"%s\" has a longer name than 63 bytes",
                         stored);
    }
    column->type = VIEW_SOURCES;
    column->in_set = true;
    column->stored = xstrdup(stored);
    free(column->sql_type);
    column->sql_type = xstrdup(view_sql_types[VIEW_UUIDS]);
}

static void manifest_view_take_rule(struct manifest_reader *r,
                                    const struct group_reading *reading) {
    struct view_group *group = reading->group;
    size_t rule = 0;
    while (reading->rule && rule < COUNT(rules) && strcmp(rules[rule], reading->rule) != 0) {
        rule++;
    }
    if (rule == COUNT(rules)) {
        manifest_refuse(r, "rule", reading->rule, rules, COUNT(rules));
        return;
    }
    group->rule = (enum view_rule)rule;
    if ((group->rule == VIEW_MIN || group->rule == VIEW_MAX) &&
        (group->column_count != 1 || !manifest_view_has_order(group->columns[0].type))) {
        manifest_problem(r, reading->rule,
                         "%s takes one column of text, integer, bigint, double, boolean, "
                         "timestamp, date or uuid",
                         reading->rule);
    } else if (group->rule == VIEW_SET) {
        manifest_view_make_set(r, reading);
    } else if (group->rule == VIEW_COUNT) {
        manifest_view_make_count(r, reading);
    }
    manifest_view_take_limit(r, reading);
    reading->table->has_sets = reading->table->has_sets || view_is_set(group);
}

static const char *manifest_view_peek_name(struct manifest_reader *r) {
    lua_State *L = r->L;
    const char *name = NULL;
    if (lua_istable(L, -1)) {
        lua_pushliteral(L, "name");
        lua_rawget(L, -2);
        name = lua_type(L, -1) == LUA_TSTRING ? manifest_text(r->generation, lua_tostring(L, -1))
                                              : NULL;
        lua_pop(L, 1);
    }
    return name;
}

static void manifest_view_read_group(struct manifest_reader *r, struct table_reading *of,
                                     struct view_group *group) {
    struct manifest_scope scope = {0};
    const char *name = manifest_view_peek_name(r);
    struct group_reading reading = {.table = of->table, .group = group};
    manifest_enter(r, &scope, name, "group %s.%s", of->name ? of->name : "?", name ? name : "?");
    group->columns = xcalloc(VIEW_MAX_COLUMNS, sizeof *group->columns);
    if (manifest_read_table(r, group_keys, COUNT(group_keys), false, &reading)) {
        manifest_view_check_name(r, reading.name);
        manifest_view_take_rule(r, &reading);
    }
    group->name = xstrdup(name ? name : "?");
    manifest_leave(r);
}

static void manifest_view_read_groups(struct manifest_reader *r, void *target) {
    struct table_reading *reading = target;
    size_t len;
    if (!manifest_is_list(r, "groups", "a list of groups", VIEW_MAX_GROUPS, &len)) {
        return;
    }
    if (len == 0) {
        manifest_problem(r, "groups", "`groups` is empty: nothing could be merged");
    }
    for (size_t i = 0; i < len; i++) {
        lua_rawgeti(r->L, -1, (int)i + 1);
        reading->table->group_count = i + 1;
        manifest_view_read_group(r, reading, &reading->table->groups[i]);
        lua_pop(r->L, 1);
    }
}

/* ---- tables ------------------------------------------------------------------------------- */

static void manifest_view_read_key_columns(struct manifest_reader *r, void *target) {
    struct view_table *table = ((struct table_reading *)target)->table;
    manifest_view_read_columns(r, "key", table->key, VIEW_MAX_KEY, &table->key_count);
    for (size_t i = 0; i < table->key_count; i++) {
        table->key[i].is_id = table->key[i].type == VIEW_TEXT;
        if (!manifest_view_is_key(table->key[i].type)) {
            manifest_problem(r, table->key[i].name,
                             "key column %s: a key takes text, uuid, integer, bigint, date, "
                             "timestamp, content or an enum",
                             table->key[i].name);
        }
    }
    if (table->key_count == 0) {
        manifest_problem(r, "key", "`key` has 1 to %d columns", VIEW_MAX_KEY);
    }
}

static void manifest_view_read_retention(struct manifest_reader *r, void *target) {
    manifest_read_retention(r, &((struct table_reading *)target)->retention);
}

static const struct manifest_key table_keys[] = {
    {"name", MANIFEST_TEXT, true, offsetof(struct table_reading, name),
     "the name of the database's table", NULL},
    {"key", MANIFEST_TABLE, true, 0, "a list of columns", manifest_view_read_key_columns},
    {"groups", MANIFEST_TABLE, true, 0, "a list, at least one", manifest_view_read_groups},
    {"content", MANIFEST_TEXT, false, offsetof(struct table_reading, content), NULL, NULL},
    {"retention", MANIFEST_TABLE, false, 0, "a table", manifest_view_read_retention},
};

static void manifest_view_take_content(struct manifest_reader *r,
                                       const struct table_reading *reading) {
    struct view_table *table = reading->table;
    const char *names[VIEW_MAX_GROUPS];
    bool hashed = false;
    for (size_t g = 0; g < table->group_count; g++) {
        names[g] = table->groups[g].name;
        if (reading->content && strcmp(names[g], reading->content) == 0) {
            table->content_group = (int)g;
        }
    }
    for (size_t k = 0; k < table->key_count; k++) {
        hashed = hashed || table->key[k].type == VIEW_CONTENT;
    }
    if (table->content_group >= 0 && view_is_set(&table->groups[table->content_group])) {
        manifest_problem(r, "content",
                         "`content` names a group with the rule %s, which has no value of its own",
                         view_rule_name(table->groups[table->content_group].rule));
    }
    if (reading->content && table->content_group < 0) {
        struct manifest_scope scope = {0};
        manifest_enter(r, &scope, "content", "table %s: content", table->name);
        manifest_refuse(r, "group", reading->content, names, table->group_count);
        manifest_leave(r);
    } else if (hashed != (reading->content != NULL)) {
        manifest_problem(r, "content",
                         hashed ? "a key column of type content needs `content`, the "
                                  "group whose values it hashes"
                                : "`content` needs a key column of type content");
    }
}

/* All columns of the database's table, with the groups' versions. */
struct column_names {
    const char *items[VIEW_MAX_KEY + VIEW_MAX_GROUPS * (VIEW_MAX_COLUMNS + 2)];
    size_t count;
};

static void manifest_view_add_column(struct manifest_reader *r, struct column_names *names,
                                     const char *name) {
    struct manifest_scope scope = {0};
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0) {
            manifest_enter(r, &scope, name, "%.60s: column %.60s", r->scope->owner, name);
            manifest_problem(r, name, "the table has two columns of this name");
            manifest_leave(r);
            return;
        }
    }
    names->items[names->count++] = name;
}

static void manifest_view_add_version(struct manifest_reader *r, struct column_names *names,
                                      const char *group) {
    static const char *const endings[] = {"at", "event_id"};
    char name[96];
    for (size_t i = 0; i < COUNT(endings); i++) {
        snprintf(name, sizeof name, "%.63s_%s", group, endings[i]);
        manifest_view_add_column(r, names, manifest_text(r->generation, name));
    }
}

static void manifest_view_check_columns(struct manifest_reader *r, const struct view_table *table) {
    struct column_names names = {.count = 0};
    for (size_t k = 0; k < table->key_count; k++) {
        manifest_view_add_column(r, &names, table->key[k].name);
    }
    for (size_t g = 0; g < table->group_count; g++) {
        const struct view_group *group = &table->groups[g];
        for (size_t c = 0; c < group->column_count; c++) {
            manifest_view_add_column(r, &names, group->columns[c].name);
            if (group->columns[c].stored) {
                manifest_view_add_column(r, &names, group->columns[c].stored);
            }
            if (group->columns[c].type == VIEW_CONTENT) {
                manifest_problem(r, group->columns[c].name,
                                 "column %s: content is a type of key columns",
                                 group->columns[c].name);
            }
        }
        if (group->rule < VIEW_MIN) {
            manifest_view_add_version(r, &names, group->name);
        }
        if (script_find_named(table->groups, g, sizeof *table->groups, group->name) >= 0) {
            struct manifest_scope scope = {0};
            manifest_enter(r, &scope, group->name, "group %s.%s", table->name, group->name);
            manifest_problem(r, group->name, "it is declared twice");
            manifest_leave(r);
        }
    }
}

static void manifest_view_read_table(struct manifest_reader *r, struct view_table *table) {
    struct manifest_scope scope = {0};
    const char *name = manifest_view_peek_name(r);
    struct table_reading reading = {.table = table, .name = name};
    table->content_group = table->root = -1;
    table->name = xstrdup(name ? name : "?");
    manifest_enter(r, &scope, name, name ? "table %s" : "a table of the view", name);
    if (manifest_read_table(r, table_keys, COUNT(table_keys), false, &reading)) {
        manifest_view_check_name(r, reading.name);
        manifest_view_take_content(r, &reading);
        manifest_view_check_columns(r, table);
        manifest_take_retention(r, table, &reading.retention);
    }
    manifest_leave(r);
}

static void manifest_view_check_tables(struct manifest_reader *r, const struct view *view) {
    struct manifest_scope scope = {0};
    for (size_t i = 0; i < view->table_count; i++) {
        const char *name = view->tables[i].name;
        int first = script_find_named(view->tables, i, sizeof *view->tables, name);
        if (first >= 0 && name[0] != '?') {
            manifest_enter(r, &scope, name, "table %s", name);
            manifest_problem(r, name, "it is declared twice");
            manifest_leave(r);
        }
    }
}

void manifest_read_view(struct manifest_reader *r) {
    struct view *view = r->generation->view = xcalloc(1, sizeof *view);
    struct manifest_scope scope = {0};
    size_t len = 0, before = r->problems->found;
    if (!manifest_load(r, "view")) {
        return;
    }
    manifest_enter(r, &scope, NULL, "view");
    bool listed =
        manifest_is_list(r, "view", "a list of tables, which the file returns", MAX_TABLES, &len);
    if (listed && len == 0) {
        manifest_problem(r, NULL, "it returns a list of tables, at least one");
    }
    view->tables = xcalloc(len + 1, sizeof *view->tables);
    for (size_t i = 0; listed && i < len; i++) {
        lua_rawgeti(r->L, -1, (int)i + 1);
        view->table_count = i + 1;
        manifest_view_read_table(r, &view->tables[i]);
        lua_pop(r->L, 1);
    }
    manifest_view_check_tables(r, view);
    manifest_check_retentions(r, view);
    manifest_leave(r);
    r->view_good = r->problems->found == before;
}
