/* show_json: handled events and merged rows as JSON. */
#include "base/json_put.h"
#include "pipeline/reaction_marks.h"
#include "view/view_sql.h"
#include "show.h"

static void show_json_put_field(struct buffer *json, const char *name,
                                const struct dry_run_outcome *outcome, size_t field) {
    static const struct extract_value none;
    const struct extract_value *values = outcome->event->values;
    json_put_name(json, name);
    show_field_value(json, &outcome->handler->fields[field], values ? &values[field] : &none);
}

static void show_json_put_fields(struct buffer *json, const struct dry_run_outcome *outcome) {
    json_open(json, "fields", "{");
    size_t count = outcome->event->values ? outcome->handler->field_count : 0;
    for (size_t i = ENVELOPE_ROLES; i < count; i++) {
        if (show_has_field(outcome, i)) {
            show_json_put_field(json, outcome->handler->fields[i].name, outcome, i);
        }
    }
    buffer_append_text(json, "}");
}

static void show_json_put_columns(struct buffer *json, const char *name,
                                  const struct view_column *columns, size_t count,
                                  const struct view_value *values) {
    json_open(json, name, "{");
    for (size_t i = 0; i < count; i++) {
        json_put_name(json, columns[i].name);
        show_column_value(json, columns[i].type, &values[i]);
    }
    buffer_append_text(json, "}");
}

static void show_json_put_merges(struct buffer *json, const struct dry_run_outcome *outcome) {
    json_open(json, "merges", "[");
    for (size_t i = 0; i < outcome->merge_count; i++) {
        const struct merge_op *op = &outcome->merges[i].op;
        const struct view_table *table = &outcome->view->tables[op->table];
        const struct view_group *group = &table->groups[op->group];
        json_open(json, NULL, "{");
        json_put_text(json, "table", slice_of(table->name));
        show_json_put_columns(json, "key", table->key, table->key_count, op->key);
        json_put_text(json, "group", slice_of(group->name));
        json_put_text(json, "rule", slice_of(view_rule_name(group->rule)));
        show_json_put_columns(json, "columns", group->columns, group->column_count, op->values);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

void show_messages_json(struct buffer *json, const struct outbox_message *messages, size_t count) {
    json_open(json, "published", "[");
    for (size_t i = 0; i < count; i++) {
        const struct outbox_message *message = &messages[i];
        json_open(json, NULL, "{");
        json_put_text(json, "topic", message->topic);
        json_put_text(json, "key", message->key);
        json_put_text(json, "identity", message->identity);
        json_put_time(json, "at", message->fact_at_us);
        json_put_name(json, "value");
        buffer_append(json, message->value.data, message->value.len);
        json_put_name(json, "headers");
        buffer_append(json, message->headers.data ? message->headers.data : "{}",
                      message->headers.data ? message->headers.len : 2);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

static void show_json_put_touches(struct buffer *json, const struct dry_run_outcome *outcome) {
    struct show_touches touches;
    show_touches_read(&touches, outcome);
    json_open(json, "touches", "[");
    for (size_t i = 0; i < touches.count; i++) {
        json_put_text(json, NULL, touches.ids[i]);
    }
    buffer_append_text(json, "]");
    show_touches_free(&touches);
}

void show_event_json(struct buffer *json, const struct dry_run_outcome *outcome) {
    const struct event *event = outcome->event;
    json_put_text(json, "handler", slice_of(outcome->handler->name));
    json_put_text(json, "outcome", slice_of(show_outcome_name(outcome)));
    json_put_text(json, "reason", event->reason); /* null unless rejected */
    json_put_text(json, "detail", event->detail);
    json_put_time(json, "expired_before", outcome->passed ? outcome->passed->expired_before_us : 0);
    json_put_text(json, "rests_on", slice_of(event->rests_on));
    show_json_put_field(json, "event_id", outcome, ENVELOPE_EVENT_ID);
    show_json_put_field(json, "time", outcome, ENVELOPE_TIME);
    show_json_put_field(json, "correlation_id", outcome, ENVELOPE_CORRELATION_ID);
    show_json_put_fields(json, outcome);
    show_json_put_merges(json, outcome);
    show_json_put_touches(json, outcome);
    show_messages_json(json, outcome->messages, outcome->message_count);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void show_json_put_groups(struct buffer *json, const struct view_table *table,
                                 const struct merge_row *row) {
    json_open(json, "groups", "{");
    for (size_t g = 0; g < table->group_count; g++) {
        const struct view_group *group = &table->groups[g];
        const struct merge_group_value *held = &row->groups[g];
        if (held->present) {
            struct view_value at = {.as.integer = held->version.at_us};
            json_open(json, group->name, "{");
            json_put_text(json, "rule", slice_of(view_rule_name(group->rule)));
            if (!view_is_set(group)) { /* many events make a set */
                json_put_name(json, "at");
                show_column_value(json, VIEW_TIMESTAMP, &at);
                json_put_uuid(json, "event_id", held->version.event_id);
            }
            show_json_put_columns(json, "columns", group->columns, group->column_count,
                                  held->values);
            buffer_append_text(json, "}");
        }
    }
    buffer_append_text(json, "}");
}

void show_rows_json(struct buffer *json, const struct view *view, struct merge *merge) {
    json_open(json, "rows", "[");
    for (size_t t = 0; t < view->table_count; t++) {
        const struct view_table *table = &view->tables[t];
        size_t count;
        struct merge_row *const *rows = merge_rows(merge, t, &count);
        for (size_t r = 0; r < count; r++) {
            json_open(json, NULL, "{");
            json_put_text(json, "table", slice_of(table->name));
            show_json_put_columns(json, "key", table->key, table->key_count, rows[r]->key);
            show_json_put_groups(json, table, rows[r]);
            buffer_append_text(json, "}");
        }
    }
    buffer_append_text(json, "]");
}

void show_statements_json(struct buffer *json, const struct view *view, struct merge *merge) {
    json_open(json, "statements", "[");
    for (size_t t = 0; t < view->table_count; t++) {
        const struct view_table *table = &view->tables[t];
        size_t count;
        struct merge_row *const *rows = merge_rows(merge, t, &count);
        struct buffer sql = {0};
        if (count > 0) {
            view_sql_upsert(table, view_sql_groups(table, rows, count), &sql);
            json_open(json, NULL, "{");
            json_put_text(json, "table", slice_of(table->name));
            json_put_int(json, "rows", (int64_t)count);
            json_put_text(json, "sql", buffer_slice(&sql));
            buffer_append_text(json, "}");
        }
        buffer_free(&sql);
    }
    buffer_append_text(json, "]");
}

void show_asked_json(struct buffer *json, const struct script_generation *generation,
                     struct batch *batch) {
    size_t reaction_count;
    const struct script_reaction *reactions =
        script_generation_reactions(generation, &reaction_count);
    json_open(json, "reactions", "[");
    for (size_t i = 0; i < reaction_count; i++) {
        size_t count;
        const struct slice *keys = reaction_marks_collect(batch, &reactions[i], &count);
        if (count == 0) {
            continue;
        }
        json_open(json, NULL, "{");
        json_put_text(json, "reaction", slice_of(reactions[i].name));
        json_put_text(json, "query", slice_of(reactions[i].query));
        json_open(json, "keys", "[");
        for (size_t k = 0; k < count; k++) {
            json_put_text(json, NULL, keys[k]);
        }
        buffer_append_text(json, "]}");
    }
    buffer_append_text(json, "]");
}
