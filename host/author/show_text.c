/* show_text: handled events and merged rows as text. */
#include <errno.h>
#include <stdio.h>

#include "base/json_scan.h"
#include "base/timestamp.h"
#include "base/uuid.h"
#include "pipeline/reaction_marks.h"
#include "view/view_sql.h"
#include "show.h"

const char *show_outcome_name(const struct dry_run_outcome *outcome) {
    return outcome->event->state == EVENT_APPLIED   ? "applied"
           : outcome->event->state == EVENT_IGNORED ? "ignored"
           : outcome->event->state == EVENT_EXPIRED ? "expired"
                                                    : "rejected";
}

bool show_has_field(const struct dry_run_outcome *outcome, size_t field) {
    bool rejected = outcome->event->state == EVENT_REJECTED;
    return !outcome->handler->fields[field].check_only &&
           (!rejected || outcome->event->values[field].present);
}

/* ---- the event ----------------------------------------------------------------------------- */

static void show_text_append_envelope(struct buffer *out, const struct dry_run_outcome *outcome) {
    static const struct {
        enum script_envelope field;
        const char *title;
    } lines[] = {{ENVELOPE_EVENT_ID, "event"},
                 {ENVELOPE_TIME, "time"},
                 {ENVELOPE_CORRELATION_ID, "correlation"}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const struct extract_value *value = &outcome->event->values[lines[i].field];
        if (value->present) {
            buffer_append_format(out, "  %-11s  ", lines[i].title);
            show_field_value(out, &outcome->handler->fields[lines[i].field], value);
            buffer_append_text(out, "\n");
        }
    }
}

void show_lines(struct buffer *out, struct slice text) {
    for (size_t i = 0; i < text.len; i++) {
        buffer_append(out, &text.data[i], 1);
        buffer_append_text(out, text.data[i] == '\n' ? "    " : "");
    }
    buffer_append_text(out, "\n");
}

bool show_write(struct buffer *out, struct err *err) {
    bool ok = fwrite(out->data, 1, out->len, stdout) == out->len && fflush(stdout) == 0;
    buffer_clear(out);
    return ok || err_set(err, ERR_INTERNAL, "cannot write to standard output: %s", strerror(errno));
}

/* A number past 2^53 reaches scripts as text. */
static void show_text_append_rounding(struct buffer *out, const struct extract_field *field,
                                      const struct extract_value *value) {
    bool exact = value->as.integer > -EXTRACT_EXACT && value->as.integer < EXTRACT_EXACT;
    if (field->type == FIELD_BIGINT && value->present && !exact) {
        buffer_append_text(out, "  (a script gets its digits as a string)");
    }
}

/* Appends one line of JSON as it is, anything else as a JSON string. */
static void show_text_append_json(struct buffer *out, struct slice text) {
    struct json_cursor cursor;
    struct json_value value;
    json_begin(&cursor, text);
    bool bare =
        json_read(&cursor, &value) && json_finish(&cursor) && !memchr(text.data, '\n', text.len);
    if (bare) {
        buffer_append(out, text.data, text.len);
    } else {
        buffer_append_json_string(out, text);
    }
}

static void show_text_append_fields(struct buffer *out, const struct dry_run_outcome *outcome) {
    const char *title = "  fields\n";
    for (size_t i = ENVELOPE_ROLES; i < outcome->handler->field_count; i++) {
        const struct extract_field *field = &outcome->handler->fields[i];
        if (show_has_field(outcome, i)) {
            const struct extract_value *value = &outcome->event->values[i];
            buffer_append_format(out, "%s    %s = ", title, field->name);
            if (field->type == FIELD_JSON && value->present) {
                show_text_append_json(out, value->as.text);
            } else {
                show_field_value(out, field, value);
                show_text_append_rounding(out, field, value);
            }
            buffer_append_text(out, "\n");
            title = "";
        }
    }
}

/* ---- merges and rows ----------------------------------------------------------------------- */

static void show_text_append_key(struct buffer *out, const struct view_table *table,
                                 const struct view_value *key) {
    buffer_append_text(out, table->name);
    for (size_t i = 0; i < table->key_count; i++) {
        buffer_append_format(out, "  %s = ", table->key[i].name);
        show_column_value(out, table->key[i].type, &key[i]);
    }
    buffer_append_text(out, "\n");
}

static void show_text_append_columns(struct buffer *out, const struct view_group *group,
                                     const struct view_value *values) {
    for (size_t i = 0; i < group->column_count; i++) {
        buffer_append_format(out, "        %s = ", group->columns[i].name);
        if (group->columns[i].type == VIEW_JSON && !values[i].is_null) {
            show_text_append_json(out, values[i].as.text);
        } else {
            show_column_value(out, group->columns[i].type, &values[i]);
        }
        buffer_append_text(out, "\n");
    }
}

static void show_text_append_merges(struct buffer *out, const struct dry_run_outcome *outcome) {
    buffer_append_text(out, outcome->merge_count > 0 ? "  merges\n" : "");
    for (size_t i = 0; i < outcome->merge_count; i++) {
        const struct merge_op *op = &outcome->merges[i].op;
        const struct view_table *table = &outcome->view->tables[op->table];
        const struct view_group *group = &table->groups[op->group];
        buffer_append_text(out, "    ");
        show_text_append_key(out, table, op->key);
        buffer_append_format(out, "      %s (%s)\n", group->name, view_rule_name(group->rule));
        show_text_append_columns(out, group, op->values);
    }
}

void show_messages(struct buffer *out, const struct outbox_message *messages, size_t count) {
    char time[TIMESTAMP_TEXT_CAP];
    buffer_append_text(out, count > 0 ? "  published\n" : "");
    for (size_t i = 0; i < count; i++) {
        const struct outbox_message *message = &messages[i];
        timestamp_format(message->fact_at_us, time);
        buffer_append_format(out, "    %.*s  key = ", (int)message->topic.len, message->topic.data);
        buffer_append_json_string(out, message->key);
        buffer_append_text(out, "  identity = ");
        buffer_append_json_string(out, message->identity);
        buffer_append_format(out, "  at = %s\n        ", time);
        show_text_append_json(out, message->value);
        if (message->headers.data) {
            buffer_append_text(out, "\n        headers ");
            show_text_append_json(out, message->headers);
        }
        buffer_append_text(out, "\n");
    }
}

static void show_text_append_horizon(struct buffer *out, const struct dry_run_outcome *outcome) {
    char before[TIMESTAMP_TEXT_CAP];
    if (outcome->passed) {
        timestamp_format(outcome->passed->expired_before_us, before);
        buffer_append_format(out,
                             "  older than %s: by its retention nothing is merged into %s, nor "
                             "into what leaves with it\n",
                             before, outcome->passed->table);
    }
}

static void show_text_append_touches(struct buffer *out, const struct dry_run_outcome *outcome) {
    struct show_touches touches;
    show_touches_read(&touches, outcome);
    for (size_t i = 0; i < touches.count; i++) {
        buffer_append_text(out, i > 0 ? ", " : "  touches ");
        buffer_append_json_string(out, touches.ids[i]);
    }
    buffer_append_text(out, touches.count > 0 ? "\n" : "");
    show_touches_free(&touches);
}

void show_event(struct buffer *out, const struct dry_run_outcome *outcome) {
    if (outcome->event->values) {
        show_text_append_envelope(out, outcome);
    }
    if (outcome->event->state == EVENT_REJECTED) {
        const struct event *event = outcome->event;
        buffer_append_format(out, "  %.*s: ", (int)event->reason.len, event->reason.data);
        show_lines(out, event->detail);
    }
    show_text_append_horizon(out, outcome);
    if (outcome->event->rests_on) {
        buffer_append_format(
            out,
            "  depends on %s, which sends no reply here: the outcome may differ in "
            "production\n",
            outcome->event->rests_on);
    }
    if (outcome->event->values) {
        show_text_append_fields(out, outcome);
    }
    show_text_append_merges(out, outcome);
    show_text_append_touches(out, outcome);
    show_messages(out, outcome->messages, outcome->message_count);
}

static void show_text_append_group(struct buffer *out, const struct view_group *group,
                                   const struct merge_group_value *held) {
    char at[TIMESTAMP_TEXT_CAP], event_id[UUID_TEXT_LEN + 1];
    buffer_append_format(out, "      %s (%s)", group->name, view_rule_name(group->rule));
    if (!view_is_set(group)) { /* many events make a set */
        timestamp_format(held->version.at_us, at);
        uuid_format(held->version.event_id, event_id);
        buffer_append_format(out, "  by %s  %s", at, event_id);
    }
    buffer_append_text(out, "\n");
    show_text_append_columns(out, group, held->values);
}

void show_rows(struct buffer *out, const struct view *view, struct merge *merge) {
    for (size_t t = 0; t < view->table_count; t++) {
        const struct view_table *table = &view->tables[t];
        size_t count;
        struct merge_row *const *rows = merge_rows(merge, t, &count);
        for (size_t r = 0; r < count; r++) {
            buffer_append_text(out, "    ");
            show_text_append_key(out, table, rows[r]->key);
            for (size_t g = 0; g < table->group_count; g++) {
                if (rows[r]->groups[g].present) {
                    show_text_append_group(out, &table->groups[g], &rows[r]->groups[g]);
                }
            }
        }
    }
}

void show_statements(struct buffer *out, const struct view *view, struct merge *merge) {
    for (size_t t = 0; t < view->table_count; t++) {
        const struct view_table *table = &view->tables[t];
        size_t count;
        struct merge_row *const *rows = merge_rows(merge, t, &count);
        if (count > 0) {
            buffer_append_format(out, "-- %s: %zu row%s\n", table->name, count,
                                 count == 1 ? "" : "s");
            view_sql_upsert(table, view_sql_groups(table, rows, count), out);
            buffer_append_text(out, ";\n");
        }
    }
}

void show_asked(struct buffer *out, const struct script_generation *generation,
                struct batch *batch) {
    size_t reaction_count;
    const struct script_reaction *reactions =
        script_generation_reactions(generation, &reaction_count);
    const char *title = "reactions that these events would run\n";
    for (size_t i = 0; i < reaction_count; i++) {
        size_t count;
        const struct slice *keys = reaction_marks_collect(batch, &reactions[i], &count);
        if (count == 0) {
            continue;
        }
        buffer_append_format(out, "%s    %s, by %s.sql, for ", title, reactions[i].name,
                             reactions[i].query);
        for (size_t k = 0; k < count; k++) {
            buffer_append_text(out, k > 0 ? ", " : "");
            buffer_append_json_string(out, keys[k]);
        }
        buffer_append_text(out, "\n");
        title = "";
    }
    buffer_append_text(out, *title ? "" : "\n");
}
