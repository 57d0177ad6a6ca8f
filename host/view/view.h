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
    VIEW_BIGINT,
    VIEW_BIGINTS,
    VIEW_DOUBLE,
    VIEW_DOUBLES,
    VIEW_BOOLEAN,
    VIEW_TIMESTAMP,
    VIEW_DATE,
    VIEW_DATES,
    VIEW_UUID,
    VIEW_UUIDS,
    VIEW_JSON,
    VIEW_CONTENT,
    VIEW_ENUM,
    VIEW_SOURCES, /* of the rule count: the hashes of what is counted, each a UUID */
};
/* The names in view.lua and in the database. VIEW_ENUM has the name of the database's enum. */
#define VIEW_TYPES VIEW_ENUM
#define VIEW_TYPE_WORDS (VIEW_TYPES + 2)
/* The names by type, then `id` and `id[]`, which are texts. */
extern const char *const view_type_names[VIEW_TYPE_WORDS], *const view_sql_types[VIEW_TYPES];

/* Whether a value is bytes: as.text. Else it is as.integer, or as.number of VIEW_DOUBLE. */
static inline bool view_is_bytes(enum view_type type) {
    return type != VIEW_INTEGER && type != VIEW_BIGINT && type != VIEW_BOOLEAN &&
           type != VIEW_TIMESTAMP && type != VIEW_DATE && type != VIEW_DOUBLE;
}
/* The type of a list's items; of another type itself. */
enum view_type view_item_type(enum view_type type);

enum view_rule { VIEW_FIRST, VIEW_LATEST, VIEW_MIN, VIEW_MAX, VIEW_SET, VIEW_COUNT };

#define VIEW_MAX_GROUPS 16
#define VIEW_MAX_KEY 4
#define VIEW_MAX_COLUMNS 32 /* per group */
#define VIEW_SET_ITEMS 1000 /* of the rules set and count, unless the group has a limit */
#define VIEW_MAX_SET_ITEMS 10000

struct view_column {
    char *name;
    enum view_type type;
    char *sql_type; /* of the database's column: "text", "integer", "order_status[]", … */
    bool is_id;     /* type id or id[], or a text of the key: indexes hold the value */
    bool in_set;    /* of the rules set and count: its value is items to add */
    /* The database's column, where it has another name: "<group>_sources" of the rule count, whose
     * own column Postgres computes. NULL: `name`. */
    char *stored;
};
struct view_group {
    char *name;
    enum view_rule rule;
    struct view_column *columns;
    size_t column_count;
    size_t limit; /* of the rules set and count: items that stay, the least ones */
};
/* A table whose rows leave with those of another table; of the view or not. */
struct view_hanging {
    char *table;
    char *column; /* the key of the row that it leaves with */
};
#define VIEW_MAX_HANGING 16
#define VIEW_HORIZON_LAG_DAYS 14 /* no event younger than this is expired */
/* When rows of a table leave the view: docs/ARCHITECTURE.md, "Why retention converges". */
struct view_retention {
    int days;      /* a row leaves when the version of the group `by` is older */
    int span_days; /* no event that writes what leaves with it is so much newer than that version */
    int by;        /* a group with the rule first */
    struct view_hanging *with; /* the view's tables in their order, then others */
    size_t with_count;
};
struct view_table {
    char *name;
    struct view_column key[VIEW_MAX_KEY];
    size_t key_count;
    int content_group; /* a VIEW_CONTENT key column hashes its values; -1: none */
    struct view_group groups[VIEW_MAX_GROUPS];
    size_t group_count;
    bool has_sets;                    /* a group has the rule set or count */
    struct view_retention *retention; /* NULL: no row leaves by itself */
    int root; /* the table whose retention its rows follow, which may be itself; -1: they stay */
};
struct view {
    struct view_table *tables; /* in declared order, which is the order of all writes */
    size_t table_count;
    bool forgets; /* a table has a retention */
};

const char *view_rule_name(enum view_rule rule); /* in view.lua */
/* The rules set and count. */
static inline bool view_is_set(const struct view_group *group) {
    return group->rule >= VIEW_SET;
}

void view_destroy(struct view *view); /* with all strings, which are malloc'ed */

/* One value of a column, borrowed. Lists and enums are Postgres text literals. */
struct view_value {
    bool is_null;
    union {
        struct slice
            text; /* TEXT, JSON, ENUM, UUID and CONTENT (16 bytes), lists: '{…}' literals */
        int64_t integer; /* INTEGER, BIGINT, BOOLEAN, TIMESTAMP (µs), DATE (days since 1970) */
        double number;
    } as;
};

#define VIEW_VALUE_TEXT_CAP 40
/* A scalar that a key may have, in its one spelling: a text as it is, a UUID in lower case, the
 * digits of a number, a date or time as in JSON. Borrowed from the value or in `out`. */
struct slice view_value_text(enum view_type type, const struct view_value *value,
                             char out[VIEW_VALUE_TEXT_CAP]);
/* Whether commits that touch a key announce its value as a surrogate key. */
bool view_is_tag(enum view_type type);
