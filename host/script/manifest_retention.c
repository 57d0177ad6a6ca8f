/* Reads the `retention` of a table of scripts/view.lua. */
#include <math.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "manifest.h"

#define MAX_DAYS 36500

/* ---- reading ------------------------------------------------------------------------------ */

static void manifest_retention_read_hanging(struct manifest_reader *r, void *target) {
    struct manifest_retention *reading = target;
    lua_State *L = r->L;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
            manifest_problem(r, "with", "`with` takes names: { TABLE = \"COLUMN\" }");
            continue;
        }
        struct view_hanging hanging = {manifest_text(r->generation, lua_tostring(L, -2)),
                                       manifest_text(r->generation, lua_tostring(L, -1))};
        if (reading->with_count == VIEW_MAX_HANGING) {
            manifest_problem(r, "with", "`with` names more than %d tables", VIEW_MAX_HANGING);
            lua_pop(L, 2);
            return;
        }
        if (manifest_view_check_name(r, hanging.table) &&
            manifest_view_check_name(r, hanging.column)) {
            reading->with[reading->with_count++] = hanging;
        }
    }
}

static const struct manifest_key retention_keys[] = {
    {"days", MANIFEST_NUMBER, true, offsetof(struct manifest_retention, days),
     "the days after which a row leaves", NULL},
    {"span_days", MANIFEST_NUMBER, true, offsetof(struct manifest_retention, span_days),
     "the most days between the time of a row and the newest event about it", NULL},
    {"by", MANIFEST_TEXT, true, offsetof(struct manifest_retention, by),
     "the group whose time is the row's", NULL},
    {"with", MANIFEST_TABLE, false, 0, NULL, manifest_retention_read_hanging},
};

void manifest_read_retention(struct manifest_reader *r, struct manifest_retention *reading) {
    struct manifest_scope scope = {0};
    manifest_enter(r, &scope, "retention", "%.90s: retention", r->scope->owner);
    reading->there = manifest_read_table(r, retention_keys, COUNT(retention_keys), false, reading);
    manifest_leave(r);
}

/* ---- checking ----------------------------------------------------------------------------- */

static int manifest_retention_take_days(struct manifest_reader *r, const char *key,
                                        struct manifest_number number, int min) {
    bool good =
        number.value >= min && number.value <= MAX_DAYS && number.value == floor(number.value);
    if (number.there && !good) {
        manifest_problem(r, key, "`%s` is a whole number of days from %d to %d", key, min,
                         MAX_DAYS);
    }
    return good ? (int)number.value : 0;
}

/* -1: a problem is recorded. */
static int manifest_retention_find_group(struct manifest_reader *r, const struct view_table *table,
                                         const char *by) {
    const char *names[VIEW_MAX_GROUPS];
    size_t count = 0;
    for (size_t g = 0; by && g < table->group_count; g++) {
        if (table->groups[g].rule == VIEW_FIRST) {
            names[count++] = table->groups[g].name;
            if (strcmp(table->groups[g].name, by) == 0) {
                return (int)g;
            }
        }
    }
    if (by && count == 0) {
        manifest_problem(r, "by", "`by` names a group with the rule first, and the table has none");
    } else if (by) {
        manifest_refuse(r, "group with the rule first", by, names, count);
    }
    return -1;
}

static void manifest_retention_check(struct manifest_reader *r, const struct view_table *table,
                                     const struct view_retention *retention) {
    if (table->key_count != 1 || table->key[0].type == VIEW_CONTENT) {
        manifest_problem(r, NULL,
                         "a table with a retention has a key of one column, not of type content");
    }
    if (retention->days > 0 && retention->days - retention->span_days < VIEW_HORIZON_LAG_DAYS) {
        manifest_problem(r, "days",
                         "`days` is at least `span_days` + %d: an event is expired `span_days` "
                         "before a row of its age leaves, and none younger than %d days is",
                         VIEW_HORIZON_LAG_DAYS, VIEW_HORIZON_LAG_DAYS);
    }
}

void manifest_take_retention(struct manifest_reader *r, struct view_table *table,
                             const struct manifest_retention *reading) {
    struct manifest_scope scope = {0};
    if (!reading->there) {
        return;
    }
    struct view_retention *retention = table->retention = xcalloc(1, sizeof *retention);
    manifest_enter(r, &scope, "retention", "%.90s: retention", r->scope->owner);
    retention->days = manifest_retention_take_days(r, "days", reading->days, 1);
    retention->span_days = manifest_retention_take_days(r, "span_days", reading->span_days, 0);
    retention->by = manifest_retention_find_group(r, table, reading->by);
    retention->with = xcalloc(reading->with_count + 1, sizeof *retention->with);
    for (size_t i = 0; i < reading->with_count; i++) {
        retention->with[retention->with_count++] = (struct view_hanging){
            xstrdup(reading->with[i].table), xstrdup(reading->with[i].column)};
    }
    manifest_retention_check(r, table, retention);
    manifest_leave(r);
}

/* ---- all tables --------------------------------------------------------------------------- */

/* In the order of all writes: the tables of the view, then others by name. */
static int manifest_retention_order(const void *a, const void *b, void *context) {
    const struct view *view = context;
    const struct view_hanging *left = a, *right = b;
    int of_left =
        script_find_named(view->tables, view->table_count, sizeof *view->tables, left->table);
    int of_right =
        script_find_named(view->tables, view->table_count, sizeof *view->tables, right->table);
    unsigned at_left = (unsigned)of_left, at_right = (unsigned)of_right; /* -1: the last */
    return at_left != at_right ? (at_left > at_right) - (at_left < at_right)
                               : strcmp(left->table, right->table);
}

/* Every row leaves with one other at most. */
static void manifest_retention_claim(struct manifest_reader *r, struct view *view, size_t root,
                                     const char *name) {
    int found = script_find_named(view->tables, view->table_count, sizeof *view->tables, name);
    struct view_table *table = found >= 0 ? &view->tables[found] : NULL;
    if (table && (table->root >= 0 || table->retention)) {
        manifest_problem(r, name, "`with` names %s, whose rows leave %s", name,
                         table->root == (int)root ? "with the same table already"
                         : table->retention       ? "by a retention of their own"
                                                  : "with another table");
    } else if (table) {
        table->root = (int)root;
    }
}

void manifest_check_retentions(struct manifest_reader *r, struct view *view) {
    for (size_t i = 0; i < view->table_count; i++) {
        struct view_retention *retention = view->tables[i].retention;
        struct manifest_scope table = {0}, scope = {0};
        if (!retention) {
            continue;
        }
        manifest_enter(r, &table, view->tables[i].name, "table %.60s", view->tables[i].name);
        manifest_enter(r, &scope, "retention", "table %.60s: retention", view->tables[i].name);
        view->forgets = true;
        view->tables[i].root = (int)i;
        qsort_r(retention->with, retention->with_count, sizeof *retention->with,
                manifest_retention_order, view);
        for (size_t w = 0; w < retention->with_count; w++) {
            manifest_retention_claim(r, view, i, retention->with[w].table);
        }
        manifest_leave(r);
        manifest_leave(r);
    }
}
