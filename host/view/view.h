/* view: the declared tables, columns, groups and merge rules of one generation. All threads share
 * it read-only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum view_type {
    VIEW_TEXT,
    VIEW_TEXTS,
    VIEW_INTEGER,
    VIEW_INTEGERS,
    VIEW_DOUBLE,
    VIEW_DOUBLES,
    VIEW_BOOLEAN,
    VIEW_TIMESTAMP,
    VIEW_JSON,
    VIEW_CONTENT,
    VIEW_ENUM,
};
/* The names in view.lua and in the database. VIEW_ENUM has the name of the database's enum. */
#define VIEW_TYPES VIEW_ENUM
extern const char *const view_type_names[VIEW_TYPES], *const view_sql_types[VIEW_TYPES];

enum view_rule { VIEW_FIRST, VIEW_LATEST, VIEW_MIN, VIEW_MAX };

#define VIEW_MAX_GROUPS 16
#define VIEW_MAX_KEY 4
#define VIEW_MAX_COLUMNS 32 /* per group */

struct view_column {
    char *name;
    enum view_type type;
    char *sql_type; /* of the database's column: "text", "integer", "order_status[]", … */
    bool is_id;     /* type id or id[], or a text of the key: indexes hold the value */
};
struct view_group {
    char *name;
    enum view_rule rule;
    struct view_column *columns;
    size_t column_count;
};
struct view_table {
    char *name;
    struct view_column key[VIEW_MAX_KEY];
    size_t key_count;
    int content_group; /* a VIEW_CONTENT key column hashes its values; -1: none */
    struct view_group groups[VIEW_MAX_GROUPS];
    size_t group_count;
};
struct view {
    struct view_table *tables; /* in declared order, which is the order of all writes */
    size_t table_count;
};

const char *view_rule_name(enum view_rule rule); /* in view.lua */

void view_destroy(struct view *view); /* with all strings, which are malloc'ed */

/* One value of a column, borrowed. Lists and enums are Postgres text literals. */
struct view_value {
    bool is_null;
    union {
        struct slice text; /* TEXT, JSON, ENUM, CONTENT (16 bytes), and lists as '{…}' literals */
        int64_t integer;   /* INTEGER, BOOLEAN, TIMESTAMP (µs) */
        double number;
    } as;
};
