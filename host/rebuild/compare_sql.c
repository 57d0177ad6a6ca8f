#include "compare_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "view/view_sql.h"
#include "rebuild/compare_sql.sql.h"

/* What the words of a text refer to. */
struct place {
    const struct compare_scope *scope;
    const struct view_table *table;
    int group, column; /* as in view_sql_visit; of words about groups and columns */
    struct buffer *sql;
};

static void compare_sql_fill(const struct place *place, const char *text);

static const struct view_group *compare_sql_group(const struct place *place) {
    return &place->table->groups[place->group];
}

/* NULL: a column of a version. */
static const struct view_column *compare_sql_column(const struct place *place) {
    return place->column >= 0 ? view_sql_column_at(place->table, place->group, place->column)
                              : NULL;
}

static bool compare_sql_is_versioned(const struct place *place) {
    return view_sql_is_versioned(compare_sql_group(place));
}

/* ---- words that choose a text -------------------------------------------------------------- */

static void compare_sql_wins(const struct place *place) {
    bool set = view_is_set(compare_sql_group(place));
    compare_sql_fill(place, set                               ? set_wins_sql
                            : compare_sql_is_versioned(place) ? version_wins_sql
                                                              : value_wins_sql);
}

/* Of a set: its only column. */
static void compare_sql_union(const struct place *place) {
    char live[VIEW_SQL_NAME_CAP + 8], shadow[VIEW_SQL_NAME_CAP + 8], name[VIEW_SQL_NAME_CAP];
    view_sql_name(name, place->table, place->group, 0);
    snprintf(live, sizeof live, "(\"L\").\"%s\"", name);
    snprintf(shadow, sizeof shadow, "(\"S\").\"%s\"", name);
    view_sql_append_union(place->sql, compare_sql_group(place), live, shadow);
}

/* The value of a group that stays: of a set what is only in the live row is added to it. */
static void compare_sql_kept_value(const struct place *place) {
    compare_sql_fill(place, view_is_set(compare_sql_group(place)) ? "{union}" : "(\"L\").{column}");
}

/* Whether the live group stays although the log does not give it. */
static void compare_sql_keep(const struct place *place) {
    const struct compare_scope *scope = place->scope;
    if (scope->lost_before_us == 0 && !scope->outside) {
        compare_sql_fill(place, "false");
    } else if (!compare_sql_is_versioned(place)) {
        compare_sql_fill(place, "coalesce({wins}, false)");
    } else {
        compare_sql_fill(place, "coalesce((false");
        compare_sql_fill(place, scope->lost_before_us != 0 ? lost_sql : "");
        compare_sql_fill(place, scope->outside ? asked_sql : "");
        compare_sql_fill(place, ") AND {wins}, false)");
    }
}

/* A row stays by a versioned group that is kept. A kept minimum or maximum names no event: it keeps
 * the row only if no version does and an event that cannot be derived again may have made the row.
 */
static void compare_sql_lives_on(const struct place *place) {
    compare_sql_fill(place, place->scope->outside || place->scope->expires
                                ? "(false{kept_versions}) OR (false{kept_extremes}){no_versions}"
                                : "(false{kept_versions})");
}

/* For a version: or anything of its group differs. */
static void compare_sql_or_columns(const struct place *place) {
    struct place of = *place;
    size_t count = place->column < 0 && !place->scope->own_versions
                       ? compare_sql_group(place)->column_count
                       : 0;
    for (of.column = 0; of.column < (int)count; of.column++) {
        compare_sql_fill(&of, " OR {distinct}");
    }
}

static void compare_sql_outside_row(const struct place *place) {
    compare_sql_fill(place,
                     compare_sql_is_versioned(place) ? written_outside_sql : kept_extreme_sql);
}

static bool compare_sql_has_type(const struct place *place, enum view_type type) {
    const struct view_column *column = compare_sql_column(place);
    return column && column->type == type;
}

/* Numbers are surrogate keys in a key alone. */
static void compare_sql_texts_of(const struct place *place) {
    const struct view_column *column = compare_sql_column(place);
    bool id = compare_sql_has_type(place, VIEW_TEXT) || compare_sql_has_type(place, VIEW_UUID) ||
              (column && place->group < 0 && view_is_tag(column->type));
    compare_sql_fill(place, id ? ", \"D\".{column}::text, \"T\".{column}::text" : "");
}

static void compare_sql_lists_of(const struct place *place) {
    bool ids = compare_sql_has_type(place, VIEW_TEXTS) || compare_sql_has_type(place, VIEW_UUIDS);
    compare_sql_fill(place, ids ? " || coalesce(\"D\".{column}::text[], '{}') || "
                                  "coalesce(\"T\".{column}::text[], '{}')"
                                : "");
}

static const struct {
    const char *word;
    void (*choose)(const struct place *place);
} choices[] = {
    {"wins", compare_sql_wins},
    {"union", compare_sql_union},
    {"kept_value", compare_sql_kept_value},
    {"keep", compare_sql_keep},
    {"lives_on", compare_sql_lives_on},
    {"or_columns", compare_sql_or_columns},
    {"outside_row", compare_sql_outside_row},
    {"texts_of", compare_sql_texts_of},
    {"lists_of", compare_sql_lists_of},
};

/* ---- words for a text, or one text for each column or group --------------------------------- */

static const struct phrase {
    const char *word;
    enum { ONCE, KEYS, VALUES, COLUMNS, VERSIONS, EXTREMES, GROUPS } each;
    const char *separator;
    const char *text;
} phrases[] = {
    {"compared", ONCE, "", compared_sql},
    {"wanted", ONCE, "", wanted_sql},
    {"found", ONCE, "", found_sql},
    {"table", ONCE, "", "\"{name}\""},
    {"differences", ONCE, "", "{shadow}.\"differences_{name}\""},
    {"key", ONCE, "", "\"{first_key}\""},
    {"keys", KEYS, ", ", "{column}"},
    {"l.keys", KEYS, ", ", "\"L\".{column}"},
    {"d.keys", KEYS, ", ", "\"D\".{column}"},
    {"keys_equal", KEYS, " AND ", "\"T\".{column} = \"D\".{column}"},
    {"key_text", ONCE, "", "concat_ws(' '{key_parts})"},
    {"key_parts", KEYS, "", ", '{column_name}=' || {column}::text"},
    {"column", ONCE, "", "\"{column_name}\""},
    {"columns", COLUMNS, ", ", "{column}"},
    {"texts", COLUMNS, "", "{texts_of}"},
    {"lists", COLUMNS, "", "{lists_of}"},
    {"replaced", VALUES, ", ", "{column} = EXCLUDED.{column}"},
    {"wanted_keys", KEYS, "", ", coalesce((\"L\").{column}, (\"S\").{column}) AS {column}"},
    {"wanted_values", VALUES, "",
     ", CASE WHEN \"KEEP_{number}\" THEN {kept_value} ELSE (\"S\").{column} END AS {column}"},
    {"differing", VALUES, "", ", CASE WHEN {distinct}{or_columns} THEN '{column_name}' END"},
    {"distinct", ONCE, "", "(\"L\").{column}{cast} IS DISTINCT FROM {column}{cast}"},
    {"at", ONCE, "", "\"{group}_at\""},
    {"event_id", ONCE, "", "\"{group}_event_id\""},
    {"value", ONCE, "", "\"{first_value}\""},
    {"keeps", GROUPS, "", ", {keep} AS \"KEEP_{number}\""},
    {"kept", GROUPS, "", " OR \"KEEP_{number}\""},
    {"kept_versions", VERSIONS, "", " OR \"KEEP_{number}\""},
    {"kept_extremes", EXTREMES, "", " OR \"KEEP_{number}\""},
    {"no_versions", VERSIONS, "", " AND (\"L\").{event_id} IS NULL"},
    {"version_columns", VERSIONS, "", " || '{group}_at'::text || '{group}_event_id'::text"},
    {"outside_rows", GROUPS, "", " UNION ALL ({outside_row})"},
};

struct repetition {
    const struct place *place;
    const struct phrase *phrase;
    size_t count;
};

static void compare_sql_repeat(struct repetition *repetition, int group, int column) {
    struct place of = *repetition->place;
    of.group = group;
    of.column = column;
    buffer_append_text(of.sql, repetition->count++ > 0 ? repetition->phrase->separator : "");
    compare_sql_fill(&of, repetition->phrase->text);
}

static void compare_sql_visit_column(void *context, const struct view_table *table, int group,
                                     int column) {
    struct repetition *repetition = context;
    (void)table;
    if (repetition->phrase->each == COLUMNS || (repetition->phrase->each == KEYS) == (group < 0)) {
        compare_sql_repeat(repetition, group, column);
    }
}

static void compare_sql_say(const struct place *place, const struct phrase *phrase) {
    struct repetition repetition = {place, phrase, 0};
    if (phrase->each == ONCE) {
        compare_sql_fill(place, phrase->text);
    } else if (phrase->each <= COLUMNS) {
        view_sql_columns(place->table, UINT32_MAX, compare_sql_visit_column, &repetition);
    } else {
        for (size_t g = 0; g < place->table->group_count; g++) {
            bool versioned = view_sql_is_versioned(&place->table->groups[g]);
            if (phrase->each == GROUPS || (phrase->each == VERSIONS) == versioned) {
                compare_sql_repeat(&repetition, (int)g, 0);
            }
        }
    }
}

/* ---- words for a value --------------------------------------------------------------------- */

/* False: no such word. */
static bool compare_sql_append_value(const struct place *place, struct slice word) {
    static struct view_column no_column = {.name = ""};
    static const struct view_group none = {.name = "", .columns = &no_column};
    const struct compare_scope *scope = place->scope;
    const struct view_group *group = place->group >= 0 ? compare_sql_group(place) : &none;
    const struct view_column *column = compare_sql_column(place);
    char number[16], version[160], lost[80];
    snprintf(number, sizeof number, "%d", place->group);
    snprintf(version, sizeof version, "%s_%s", group->name,
             place->column == -1 ? "at" : "event_id");
    snprintf(lost, sizeof lost, "'epoch' + %" PRId64 " * interval '1 microsecond'",
             scope->lost_before_us);
    bool smaller = group->rule == VIEW_FIRST || group->rule == VIEW_MIN;
    const struct {
        const char *word, *text;
    } values[] = {
        {"live", scope->live},
        {"shadow", scope->shadow},
        {"since", scope->since_xid},
        {"lost_before", scope->lost_before_us == INT64_MAX ? "'infinity'" : lost},
        {"name", place->table->name},
        {"first_key", place->table->key[0].name},
        {"group", group->name},
        {"number", number},
        {"rule", view_rule_name(group->rule)},
        {"sign", smaller ? "<" : ">"},
        {"first_value", view_sql_stored_name(&group->columns[0])},
        {"column_name", column ? view_sql_stored_name(column) : version},
        {"cast", column && column->type == VIEW_JSON ? "::text" : ""}, /* it has no equality */
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (slice_equal(slice_of(values[i].word), word)) {
            buffer_append_text(place->sql, values[i].text);
            return true;
        }
    }
    return false;
}

/* ---- texts --------------------------------------------------------------------------------- */

/* What is in braces and no word stays as it is. */
static void compare_sql_append_word(const struct place *place, struct slice word) {
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (slice_equal(slice_of(choices[i].word), word)) {
            choices[i].choose(place);
            return;
        }
    }
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++) {
        if (slice_equal(slice_of(phrases[i].word), word)) {
            compare_sql_say(place, &phrases[i]);
            return;
        }
    }
    if (!compare_sql_append_value(place, word)) {
        buffer_append_format(place->sql, "{%.*s}", (int)word.len, word.data);
    }
}

static void compare_sql_fill(const struct place *place, const char *text) {
    while (*text) {
        size_t len = strcspn(text, "{");
        buffer_append(place->sql, text, len);
        text += len;
        if (*text == '{') {
            len = strcspn(text, "}");
            compare_sql_append_word(place, (struct slice){text + 1, len - 1});
            text += len + 1;
        }
    }
}

void compare_sql(const struct compare_scope *scope, const struct view_table *table,
                 enum compare_statement statement, struct buffer *sql) {
    static const char *const texts[] = {
        [COMPARE_CANDIDATES] = candidates_sql, [COMPARE_ALL] = all_sql,
        [COMPARE_RECENT] = recent_sql,         [COMPARE_KEPT] = kept_sql,
        [COMPARE_OUTSIDE] = outside_sql,       [COMPARE_COUNTS] = counts_sql,
        [COMPARE_REPORT] = report_sql,         [COMPARE_ROWS] = rows_sql,
        [COMPARE_COLUMNS] = columns_sql,       [COMPARE_IDS] = ids_sql,
        [COMPARE_DELETE] = delete_sql,         [COMPARE_UPSERT] = upsert_sql,
    };
    compare_sql_fill(&(struct place){scope, table, -1, -1, sql}, texts[statement]);
}
