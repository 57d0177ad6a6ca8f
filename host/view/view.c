#include "view.h"

#include <stdlib.h>

const char *const view_type_names[VIEW_TYPES] = {
    [VIEW_TEXT] = "text",          [VIEW_TEXTS] = "text[]",        [VIEW_INTEGER] = "integer",
    [VIEW_INTEGERS] = "integer[]", [VIEW_DOUBLE] = "double",       [VIEW_DOUBLES] = "double[]",
    [VIEW_BOOLEAN] = "boolean",    [VIEW_TIMESTAMP] = "timestamp", [VIEW_JSON] = "json",
    [VIEW_CONTENT] = "content"};
const char *const view_sql_types[VIEW_TYPES] = {[VIEW_TEXT] = "text",
                                                [VIEW_TEXTS] = "text[]",
                                                [VIEW_INTEGER] = "integer",
                                                [VIEW_INTEGERS] = "integer[]",
                                                [VIEW_DOUBLE] = "double precision",
                                                [VIEW_DOUBLES] = "double precision[]",
                                                [VIEW_BOOLEAN] = "boolean",
                                                [VIEW_TIMESTAMP] = "timestamptz",
                                                [VIEW_JSON] = "json",
                                                [VIEW_CONTENT] = "uuid"};

const char *view_rule_name(enum view_rule rule) {
    static const char *const names[] = {"first", "latest", "min", "max"};
    return names[rule];
}

static void view_free_column(struct view_column *column) {
    free(column->name);
    free(column->sql_type);
}

static void view_free_group(struct view_group *group) {
    for (size_t i = 0; i < group->column_count; i++) {
        view_free_column(&group->columns[i]);
    }
    free(group->columns);
    free(group->name);
}

void view_destroy(struct view *view) {
    if (!view) {
        return;
    }
    for (size_t i = 0; i < view->table_count; i++) {
        struct view_table *table = &view->tables[i];
        for (size_t k = 0; k < table->key_count; k++) {
            view_free_column(&table->key[k]);
        }
        for (size_t g = 0; g < table->group_count; g++) {
            view_free_group(&table->groups[g]);
        }
        free(table->name);
    }
    free(view->tables);
    free(view);
}
