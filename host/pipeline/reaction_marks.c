/* reaction_marks: marks commit with the rows that they stand for. Each mark is a row of its own, so
 * that commits and reactions never wait for each other. */
#include "reaction_marks.h"

#include <stdlib.h>

#include "base/traceparent.h"
#include "pipeline.h"
#include "pipeline/reaction_marks.sql.h"

/* The reaction's key among a row's or an operation's values; values NULL: none of the group. */
static const struct view_value *reaction_marks_value(const struct script_follow *follow,
                                                     const struct view_value *key,
                                                     const struct view_value *values) {
    if (follow->group == SCRIPT_FOLLOWS_KEY) {
        return &key[follow->at];
    }
    return values && !values[follow->at].is_null ? &values[follow->at] : NULL;
}

static const struct view_value *reaction_marks_row_value(const struct merge_row *row,
                                                         const struct script_follow *follow) {
    bool has_group = follow->group >= 0 && row->groups[follow->group].present;
    return reaction_marks_value(follow, row->key,
                                has_group ? row->groups[follow->group].values : NULL);
}

/* In the arena, or the value's own text. */
static struct slice reaction_marks_text(struct batch *batch, const struct script_follow *follow,
                                        const struct view_value *value) {
    char text[VIEW_VALUE_TEXT_CAP];
    struct slice key = view_value_text(follow->type, value, text);
    return key.data == text ? arena_copy(merge_arena(batch->merge), key) : key;
}

static int reaction_marks_compare_marks(const void *one, const void *other) {
    return slice_compare(*(const struct slice *)one, *(const struct slice *)other);
}

const struct slice *reaction_marks_collect(struct batch *batch,
                                           const struct script_reaction *reaction, size_t *count) {
    size_t room = 0, found = 0;
    for (size_t f = 0; f < reaction->follow_count; f++) {
        size_t rows;
        merge_rows(batch->merge, reaction->follows[f].table_index, &rows);
        room += rows;
    }
    struct slice *keys = arena_alloc(merge_arena(batch->merge), (room + 1) * sizeof *keys);
    for (size_t f = 0; f < reaction->follow_count; f++) {
        size_t row_count;
        struct merge_row *const *rows =
            merge_rows(batch->merge, reaction->follows[f].table_index, &row_count);
        for (size_t i = 0; i < row_count; i++) {
            const struct view_value *value =
                reaction_marks_row_value(rows[i], &reaction->follows[f]);
            struct slice key = {0};
            if (value) {
                key = reaction_marks_text(batch, &reaction->follows[f], value);
            }
            if (key.data && (found == 0 || !slice_equal(keys[found - 1], key))) {
                keys[found++] = key;
            }
        }
    }
    qsort(keys, found, sizeof *keys, reaction_marks_compare_marks);
    *count = 0;
    for (size_t i = 0; i < found; i++) {
        if (*count == 0 || !slice_equal(keys[*count - 1], keys[i])) {
            keys[(*count)++] = keys[i];
        }
    }
    return keys;
}

struct marked {
    const char *reaction;
    const struct slice *keys;
    struct slice *traceparents; /* parallel to keys; NULL: the batch has none */
    size_t count;
};

/* ---- traces -------------------------------------------------------------------------------- */

/* Gives the event's trace to the keys of its operation. */
static void reaction_marks_trace_operation(const struct merge_accepted *accepted,
                                           const struct script_reaction *reaction,
                                           struct slice traceparent, struct marked *marked) {
    for (size_t f = 0; f < reaction->follow_count; f++) {
        const struct script_follow *follow = &reaction->follows[f];
        const struct merge_op *op = &accepted->op;
        const struct view_value *value =
            op->table != follow->table_index
                ? NULL
                : reaction_marks_value(follow, op->key,
                                       op->group == (size_t)follow->group ? op->values : NULL);
        if (!value) {
            continue;
        }
        char formatted[VIEW_VALUE_TEXT_CAP];
        struct slice text = view_value_text(follow->type, value, formatted);
        const struct slice *key = bsearch(&text, marked->keys, marked->count, sizeof *marked->keys,
                                          reaction_marks_compare_marks);
        if (key) {
            marked->traceparents[key - marked->keys] = traceparent;
        }
    }
}

/* Each key gets the trace of its newest event with a trace. */
static void reaction_marks_trace_marks(struct batch *batch, const struct script_reaction *reaction,
                                       struct marked *marked) {
    size_t count, bytes = (marked->count + 1) * sizeof *marked->traceparents;
    const struct merge_accepted *accepted = merge_accepted_ops(batch->merge, &count);
    marked->traceparents = arena_alloc(merge_arena(batch->merge), bytes);
    memset(marked->traceparents, 0, bytes);
    for (size_t i = 0; i < count; i++) {
        const struct event *event = &batch->events[accepted[i].event];
        if (event->record.traceparent.data) {
            reaction_marks_trace_operation(&accepted[i], reaction, event->record.traceparent,
                                           marked);
        }
    }
}

/* ---- the statement ------------------------------------------------------------------------- */

enum { REACTION, KEY, TRACEPARENT, COLUMNS };

static void reaction_marks_put_cell(struct pg_params *params, const struct marked *marked, size_t k,
                                    int column) {
    if (column == REACTION) {
        pg_array_bytes(params, slice_of(marked->reaction));
    } else if (column == KEY) {
        pg_array_bytes(params, marked->keys[k]);
    } else if (marked->traceparents) {
        char text[TRACEPARENT_LEN + 1];
        traceparent_format(marked->traceparents[k], text);
        text[0] ? pg_array_bytes(params, slice_of(text)) : pg_array_null(params);
    }
}

static bool reaction_marks_send_all(struct pipeline *pipeline, const struct marked *marked,
                                    size_t count, struct err *err) {
    struct pg_params *params = pipeline->params;
    pg_params_reset(params);
    for (int column = 0; column < COLUMNS; column++) {
        pg_array_begin(params, PG_ARRAY_TEXT);
        for (size_t i = 0; i < count; i++) {
            for (size_t k = 0; k < marked[i].count; k++) {
                reaction_marks_put_cell(params, &marked[i], k, column);
            }
        }
        pg_array_end(params);
    }
    return pg_send(pipeline->pg, "reaction_marks", marks_sql, params, false, err);
}

bool reaction_marks_send(struct pipeline *pipeline, struct batch *batch, struct err *err) {
    size_t reaction_count, total = 0;
    const struct script_reaction *reactions =
        script_generation_reactions(batch->generation, &reaction_count);
    if (!pipeline->options.marks || reaction_count == 0) {
        return true;
    }
    struct marked *marked = arena_alloc(merge_arena(batch->merge), reaction_count * sizeof *marked);
    memset(marked, 0, reaction_count * sizeof *marked);
    for (size_t i = 0; i < reaction_count; i++) {
        marked[i].reaction = reactions[i].name;
        marked[i].keys = reaction_marks_collect(batch, &reactions[i], &marked[i].count);
        if (batch->traced) {
            reaction_marks_trace_marks(batch, &reactions[i], &marked[i]);
        }
        total += marked[i].count;
    }
    batch->marks = total;
    return total == 0 || reaction_marks_send_all(pipeline, marked, reaction_count, err);
}
