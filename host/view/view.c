#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/timestamp.h"
#include "base/uuid.h"

const char *const view_type_names[VIEW_TYPE_WORDS] = {
    [VIEW_TEXT] = "text",           [VIEW_TEXTS] = "text[]",     [VIEW_INTEGER] = "integer",
    [VIEW_INTEGERS] = "integer[]",  [VIEW_BIGINT] = "bigint",    [VIEW_BIGINTS] = "bigint[]",
    [VIEW_DOUBLE] = "double",       [VIEW_DOUBLES] = "double[]", [VIEW_BOOLEAN] = "boolean",
    [VIEW_TIMESTAMP] = "timestamp", [VIEW_DATE] = "date",        [VIEW_DATES] = "date[]",
    [VIEW_UUID] = "uuid",           [VIEW_UUIDS] = "uuid[]",     [VIEW_JSON] = "json",
    [VIEW_CONTENT] = "content",     [VIEW_TYPES] = "id",         [VIEW_TYPES + 1] = "id[]"};
const char *const view_sql_types[VIEW_TYPES] = {[VIEW_TEXT] = "text",
                                                [VIEW_TEXTS] = "text[]",
                                                [VIEW_INTEGER] = "integer",
                                                [VIEW_INTEGERS] = "integer[]",
                                                [VIEW_BIGINT] = "bigint",
                                                [VIEW_BIGINTS] = "bigint[]",
                                                [VIEW_DOUBLE] = "double precision",
                                                [VIEW_DOUBLES] = "double precision[]",
                                                [VIEW_BOOLEAN] = "boolean",
                                                [VIEW_TIMESTAMP] = "timestamptz",
                                                [VIEW_DATE] = "date",
                                                [VIEW_DATES] = "date[]",
                                                [VIEW_UUID] = "uuid",
                                                [VIEW_UUIDS] = "uuid[]",
                                                [VIEW_JSON] = "json",
                                                [VIEW_CONTENT] = "uuid"};

const char *view_rule_name(enum view_rule rule) {
    static const char *const names[] = {"first", "latest", "min", "max", "set", "count"};
    return names[rule];
}

enum view_type view_item_type(enum view_type type) {
    switch (type) {
    case VIEW_TEXTS:
        return VIEW_TEXT;
    case VIEW_INTEGERS:
        return VIEW_INTEGER;
    case VIEW_BIGINTS:
        return VIEW_BIGINT;
    case VIEW_DOUBLES:
        return VIEW_DOUBLE;
    case VIEW_DATES:
        return VIEW_DATE;
    case VIEW_UUIDS:
    case VIEW_SOURCES:
        return VIEW_UUID;
    default:
        return type;
    }
}

bool view_is_tag(enum view_type type) {
    return type == VIEW_TEXT || type == VIEW_UUID || type == VIEW_INTEGER || type == VIEW_BIGINT;
}

struct slice view_value_text(enum view_type type, const struct view_value *value,
                             char out[VIEW_VALUE_TEXT_CAP]) {
    switch (type) {
    case VIEW_UUID:
    case VIEW_CONTENT:
        uuid_format((const uint8_t *)value->as.text.data, out);
        return slice_of(out);
    case VIEW_INTEGER:
    case VIEW_BIGINT:
        snprintf(out, VIEW_VALUE_TEXT_CAP, "%" PRId64, value->as.integer);
        return slice_of(out);
    case VIEW_DATE:
        date_format(value->as.integer, out);
        return slice_of(out);
    case VIEW_TIMESTAMP:
        return (struct slice){out, timestamp_format(value->as.integer, out)};
    default:
        return value->as.text;
    }
}

static void view_free_column(struct view_column *column) {
    free(column->name);
    free(column->sql_type);
    free(column->stored);
}

static void view_free_group(struct view_group *group) {
    for (size_t i = 0; i < group->column_count; i++) {
        view_free_column(&group->columns[i]);
    }
    free(group->columns);
    free(group->name);
}

static void view_free_retention(struct view_retention *retention) {
    for (size_t i = 0; retention && i < retention->with_count; i++) {
        free(retention->with[i].table);
        free(retention->with[i].column);
    }
    free(retention ? retention->with : NULL);
    free(retention);
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
        view_free_retention(table->retention);
        free(table->name);
    }
    free(view->tables);
    free(view);
}
