/* rows: reads from the database the rows that have the id as a key or in a list, the rejected
 * events that contain it, and which scripts handled which offsets. */
#include <stdlib.h>

#include "base/number.h"
#include "base/uuid.h"
#include "view/view_sql.h"
#include "base/xalloc.h"
#include "explain.h"
#include "explain/rows.sql.h"

/* ---- rows ---------------------------------------------------------------------------------- */

bool explain_can_be(enum view_type type, struct slice id) {
    uint8_t uuid[16];
    int64_t number;
    return type == VIEW_TEXT || (type == VIEW_UUID && uuid_read(id, uuid)) ||
           (type == VIEW_BIGINT && number_parse_int64(id, &number)) ||
           (type == VIEW_INTEGER && number_parse_int64(id, &number) && number >= INT32_MIN &&
            number <= INT32_MAX);
}

enum view_type explain_listed(enum view_type type) {
    bool ids = type == VIEW_TEXTS || type == VIEW_UUIDS || type == VIEW_BIGINTS;
    return ids ? view_item_type(type) : VIEW_JSON;
}

struct match {
    struct buffer *sql;
    struct slice id;
};

static void rows_append_match(void *context, const struct view_table *table, int group,
                              int column) {
    struct match *match = context;
    const struct view_column *of =
        group < 0 || column < 0 ? NULL : view_sql_column_at(table, group, column);
    enum view_type item = of ? explain_listed(of->type) : VIEW_JSON;
    if (explain_can_be(item, match->id)) {
        buffer_append_format(match->sql, " OR \"%s\" @> ARRAY[$1::text::%s]", of->name,
                             view_sql_types[item]);
    }
}

/* Walks the columns of the table that reactions follow; zeroed before the first. */
struct rows_follow {
    size_t reaction, next; /* next: of the reaction's columns */
    const char *column;
};

static bool rows_next_follow(const struct explanation *explanation, size_t table,
                             struct rows_follow *at) {
    size_t count;
    const struct script_reaction *reactions =
        script_generation_reactions(explanation->generation, &count);
    for (; at->reaction < count; at->reaction++, at->next = 0) {
        const struct script_reaction *reaction = &reactions[at->reaction];
        while (at->next < reaction->follow_count) {
            const struct script_follow *follow = &reaction->follows[at->next++];
            if (follow->table_index == table) {
                at->column = follow->column;
                return true;
            }
        }
    }
    return false;
}

static void rows_append_follows(const struct explanation *explanation, size_t table,
                                struct buffer *sql) {
    for (struct rows_follow at = {0}; rows_next_follow(explanation, table, &at);) {
        buffer_append_format(sql, ", \"%s\"::text", at.column);
    }
}

static void rows_append_where(const struct explanation *explanation, size_t t, struct buffer *sql) {
    const struct explain_question *question = &explanation->question;
    const struct view_table *table = &explanation->view->tables[t];
    buffer_append_text(sql, " WHERE $1::text IS NULL");
    for (size_t i = 0; i < question->column_count; i++) {
        if (question->columns[i].table_index == t) {
            const struct script_follow *of = &question->columns[i];
            if (explain_can_be(of->type, slice_of(question->id))) {
                buffer_append_format(sql, " OR \"%s\" = $1::text::%s", of->column,
                                     view_sql_types[of->type]);
            }
        }
    }
    for (size_t g = 0; question->by_event && g < table->group_count; g++) {
        if (view_sql_is_versioned(&table->groups[g])) {
            buffer_append_format(sql, " OR \"%s_event_id\" = $1::text::uuid",
                                 table->groups[g].name);
        }
    }
    if (question->in_lists) {
        struct match match = {sql, slice_of(question->id)};
        view_sql_columns(table, UINT32_MAX, rows_append_match, &match);
    }
}

/* As timestamp_format writes it. */
static const char time_text[] =
    "to_char(\"%s\" AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";

/* `SELECT … FROM`: the key, the version of each group, the columns that reactions follow. */
static void rows_append_columns(const struct explanation *explanation, size_t t,
                                struct buffer *sql) {
    const struct view_table *table = &explanation->view->tables[t];
    buffer_append_text(sql, "SELECT ");
    for (size_t i = 0; i < table->key_count; i++) {
        buffer_append_text(sql, i ? ", " : "");
        buffer_append_format(sql, table->key[i].type == VIEW_TIMESTAMP ? time_text : "\"%s\"::text",
                             table->key[i].name);
    }
    for (size_t g = 0; g < table->group_count; g++) {
        const char *name = table->groups[g].name;
        if (view_sql_is_versioned(&table->groups[g])) {
            buffer_append_format(sql,
                                 ", (extract(epoch FROM \"%s_at\") * 1000000)::int8::text, "
                                 "\"%s_event_id\"::text",
                                 name, name);
        } else {
            buffer_append_text(sql, ", NULL, NULL");
        }
    }
    rows_append_follows(explanation, t, sql);
    buffer_append_format(sql, " FROM \"%s\" AS t", table->name);
}

static void rows_append_select(const struct explanation *explanation, size_t t,
                               struct buffer *sql) {
    const struct view_table *table = &explanation->view->tables[t];
    rows_append_columns(explanation, t, sql);
    rows_append_where(explanation, t, sql);
    /* A bare name may be that of a result: each cast to text is called "text". */
    buffer_append_text(sql, " ORDER BY ");
    for (size_t i = 0; i < table->key_count; i++) {
        buffer_append_format(sql, "%st.\"%s\"", i ? ", " : "", table->key[i].name);
    }
}

size_t explain_add_row(struct explanation *explanation, const struct explain_row *row) {
    explanation->rows = xgrow(explanation->rows, explanation->row_count, sizeof *explanation->rows);
    explanation->rows[explanation->row_count] = *row;
    return explanation->row_count++;
}

/* Adds the row's keys for reactions, which begin at `column`. */
static void rows_take_follows(struct explanation *explanation, size_t table,
                              const struct pg_result *rows, int at, int column) {
    for (struct rows_follow follow = {0}; rows_next_follow(explanation, table, &follow);) {
        struct slice key = pg_rows_cell(rows, at, column++);
        if (key.data && explanation->question.reaction == SIZE_MAX) {
            explain_add_reacted(explanation, follow.reaction, key);
        }
    }
}

/* The versions, which begin at `column`; returns the column behind them. */
static int rows_take_versions(const struct view_table *table, const struct pg_result *rows, int at,
                              int column, struct explain_held *groups) {
    for (size_t g = 0; g < table->group_count; g++, column += 2) {
        struct slice event_id = pg_rows_cell(rows, at, column + 1);
        groups[g].present = event_id.data && uuid_read(event_id, groups[g].version.event_id);
        groups[g].version.at_us = pg_rows_int(rows, at, column);
    }
    return column;
}

static void rows_take_row(struct explanation *explanation, size_t t, const struct pg_result *rows,
                          int at) {
    const struct view_table *table = &explanation->view->tables[t];
    struct slice *key = arena_alloc(explanation->arena, table->key_count * sizeof *key);
    struct explain_held *groups =
        arena_alloc(explanation->arena, table->group_count * sizeof *groups);
    memset(groups, 0, table->group_count * sizeof *groups);
    int column = 0;
    for (size_t i = 0; i < table->key_count; i++) {
        key[i] = arena_copy(explanation->arena, pg_rows_cell(rows, at, column++));
    }
    column = rows_take_versions(table, rows, at, column, groups);
    explain_add_row(explanation, &(struct explain_row){table, key, true, groups});
    rows_take_follows(explanation, t, rows, at, column);
}

static bool rows_find_in(struct explanation *explanation, size_t t, struct err *err) {
    struct buffer sql = {0};
    struct pg_result *rows;
    rows_append_select(explanation, t, &sql);
    pg_params_add_text(explanation->session.params, slice_of(explanation->question.id));
    if (!sql_query_built(&explanation->session, &sql, &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        rows_take_row(explanation, t, rows, i);
    }
    pg_rows_free(rows);
    return true;
}

bool explain_find_rows(struct explanation *explanation, struct err *err) {
    const char *only = explanation->options.table;
    bool ok = true;
    for (size_t i = 0; ok && i < explanation->view->table_count; i++) {
        const struct view_table *table = &explanation->view->tables[i];
        if (!only || strcmp(only, table->name) == 0) {
            ok = rows_find_in(explanation, i, err);
        }
    }
    return ok;
}

static bool rows_look_up(struct explanation *explanation, struct explain_row *row,
                         struct err *err) {
    const struct view_table *table = row->table;
    struct buffer sql = {0};
    struct pg_result *found;
    rows_append_columns(explanation, (size_t)(table - explanation->view->tables), &sql);
    for (size_t i = 0; i < table->key_count; i++) {
        buffer_append_format(&sql, " %s \"%s\" = $%zu::text::%s", i ? "AND" : "WHERE",
                             table->key[i].name, i + 1, view_sql_types[table->key[i].type]);
        pg_params_add_text(explanation->session.params, row->key[i]);
    }
    if (!sql_query_built(&explanation->session, &sql, &found, err)) {
        return false;
    }
    row->in_view = pg_rows_count(found) > 0;
    if (row->in_view) {
        rows_take_versions(table, found, 0, (int)table->key_count, row->groups);
    }
    pg_rows_free(found);
    return true;
}

bool explain_look_up_rows(struct explanation *explanation, struct err *err) {
    bool ok = true;
    for (size_t r = 0; ok && r < explanation->row_count; r++) {
        ok = explanation->rows[r].in_view || rows_look_up(explanation, &explanation->rows[r], err);
    }
    return ok;
}

/* ---- rejected events ----------------------------------------------------------------------- */

bool explain_find_rejected(struct explanation *explanation, struct err *err) {
    struct pg_result *rows;
    pg_params_add_text(explanation->session.params, slice_of(explanation->question.id));
    if (!sql_query(&explanation->session, slice_of(rejected_sql), &rows, err)) {
        return false;
    }
    size_t count = (size_t)pg_rows_count(rows);
    explanation->rejected =
        arena_alloc(explanation->arena, (count + 1) * sizeof *explanation->rejected);
    for (size_t i = 0; i < count; i++) {
        explanation->rejected[i] = (struct explain_rejected){
            .topic = arena_copy(explanation->arena, pg_rows_cell(rows, (int)i, 0)),
            .partition = (int32_t)pg_rows_int(rows, (int)i, 1),
            .offset = pg_rows_int(rows, (int)i, 2),
            .json = arena_copy(explanation->arena, pg_rows_cell(rows, (int)i, 3)),
        };
    }
    explanation->rejected_count = count;
    pg_rows_free(rows);
    return true;
}

/* ---- scripts ------------------------------------------------------------------------------- */

static struct explain_place *rows_place_at(struct explanation *explanation, size_t index) {
    return index < explanation->event_count
               ? &explanation->events[index].place
               : &explanation->others[index - explanation->event_count].place;
}

struct rows_offset {
    struct slice topic;
    int64_t partition, offset;
};

static const struct pg_column offset_columns[] = {
    {PG_ARRAY_TEXT, offsetof(struct rows_offset, topic)},
    {PG_ARRAY_INT4, offsetof(struct rows_offset, partition)},
    {PG_ARRAY_INT8, offsetof(struct rows_offset, offset)},
};

static void rows_fill_places(struct explanation *explanation, size_t count) {
    struct rows_offset *offsets = arena_alloc(explanation->arena, (count + 1) * sizeof *offsets);
    for (size_t i = 0; i < count; i++) {
        const struct explain_place *place = rows_place_at(explanation, i);
        const struct log_partition *partition = &explanation->reader.partitions[place->partition];
        offsets[i] =
            (struct rows_offset){slice_of(partition->topic), partition->number, place->offset};
    }
    pg_params_add_text(explanation->session.params,
                       slice_of(explanation->options.config->kafka.group));
    pg_params_add_rows(explanation->session.params, offset_columns, 3, offsets, count,
                       sizeof *offsets);
}

bool explain_find_scripts(struct explanation *explanation, struct err *err) {
    size_t count = explanation->event_count + explanation->other_count;
    struct pg_result *rows;
    rows_fill_places(explanation, count);
    if (!sql_query(&explanation->session, slice_of(scripts_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        struct explain_place *place = rows_place_at(explanation, (size_t)i);
        struct slice scripts = pg_rows_cell(rows, i, 0);
        place->consumed = slice_equal(pg_rows_cell(rows, i, 1), slice_of("t"));
        if (scripts.data && place->consumed) {
            place->scripts = arena_copy(explanation->arena, scripts);
        }
    }
    pg_rows_free(rows);
    return true;
}
