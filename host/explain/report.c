/* report: an explanation as one JSON object, and that object as text. */
#include "base/json_put.h"
#include "base/timestamp.h"
#include "script/text_report.h"
#include "explain.h"
#include "explain_report.lua.h"
#include "report_text.lua.h"

static void report_put_place(struct buffer *json, const struct explanation *explanation,
                             const struct explain_place *place) {
    const struct log_partition *partition = &explanation->reader.partitions[place->partition];
    json_put_text(json, "topic", slice_of(partition->topic));
    json_put_int(json, "partition", partition->number);
    json_put_int(json, "offset", place->offset);
    json_put_time(json, "stored_at", place->stored_us);
    json_put_text(json, "handler", slice_of(explain_handler_of(explanation, place->partition)));
    json_put_text(json, "scripts", place->scripts);
}

/* Times before 1970, too: json_put_time takes them for none. NULL: none. */
static void report_put_version(struct buffer *json, const struct merge_version *version) {
    char text[TIMESTAMP_TEXT_CAP];
    size_t len = version ? timestamp_format(version->at_us, text) : 0;
    json_put_text(json, "at", version ? (struct slice){text, len} : (struct slice){0});
    json_put_uuid(json, "event_id", version ? version->event_id : NULL);
}

static void report_put_event(struct buffer *json, const struct explanation *explanation,
                             const struct explain_event *event) {
    json_open(json, NULL, "{");
    json_put_text(json, "outcome", slice_of(explain_outcome_name(event->outcome)));
    report_put_version(json, &event->version);
    json_put_text(json, "rests_on", slice_of(event->rests_on));
    report_put_place(json, explanation, &event->place);
    buffer_append_text(json, "}");
}

static size_t report_put_group(struct buffer *json, const struct explanation *explanation,
                               size_t row, size_t g, size_t at) {
    const struct view_group *group = &explanation->rows[row].table->groups[g];
    const struct explain_held *held = &explanation->rows[row].groups[g];
    json_open(json, NULL, "{");
    json_put_text(json, "name", slice_of(group->name));
    json_put_text(json, "rule", slice_of(view_rule_name(group->rule)));
    report_put_version(json, held->present ? &held->version : NULL);
    json_open(json, "events", "[");
    for (; at < explanation->event_count && explanation->events[at].row == row &&
           explanation->events[at].group == g;
         at++) {
        report_put_event(json, explanation, &explanation->events[at]);
    }
    buffer_append_text(json, "]}");
    return at;
}

static void report_put_rows(struct buffer *json, const struct explanation *explanation) {
    size_t at = 0;
    json_open(json, "rows", "[");
    for (size_t r = 0; r < explanation->row_count; r++) {
        const struct explain_row *row = &explanation->rows[r];
        json_open(json, NULL, "{");
        json_put_text(json, "table", slice_of(row->table->name));
        json_open(json, "key", "{");
        for (size_t i = 0; i < row->table->key_count; i++) {
            json_put_text(json, row->table->key[i].name, row->key[i]);
        }
        buffer_append_text(json, "}");
        json_put_bool(json, "in_view", row->in_view);
        json_open(json, "groups", "[");
        for (size_t g = 0; g < row->table->group_count; g++) {
            at = report_put_group(json, explanation, r, g, at);
        }
        buffer_append_text(json, "]}");
    }
    buffer_append_text(json, "]");
}

static void report_put_rejected(struct buffer *json, const struct explanation *explanation) {
    json_open(json, "rejected", "[");
    for (size_t i = 0; i < explanation->rejected_count; i++) {
        json_put_name(json, NULL);
        json_append_compact(json, explanation->rejected[i].json);
    }
    buffer_append_text(json, "]");
}

static void report_put_others(struct buffer *json, const struct explanation *explanation) {
    json_open(json, "without_effect", "[");
    for (size_t i = 0; i < explanation->other_count; i++) {
        const struct explain_other *other = &explanation->others[i];
        json_open(json, NULL, "{");
        json_put_text(json, "outcome", slice_of(explain_other_name(other)));
        json_put_text(json, "rests_on", slice_of(other->rests_on));
        json_put_uuid(json, "event_id", other->has_id ? other->event_id : NULL);
        json_put_text(json, "reason", other->reason);
        json_put_text(json, "detail", other->detail);
        report_put_place(json, explanation, &other->place);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

/* ---- what was published -------------------------------------------------------------------- */

static void report_put_answers(struct buffer *json, const struct explanation *explanation,
                               const struct explain_reacted *reacted) {
    const struct pg_result *rows = explanation->answers[reacted->reaction];
    int key = rows ? pg_rows_find_column(rows, "key") : -1;
    json_open(json, "rows", "[");
    for (int row = 0; key >= 0 && row < pg_rows_count(rows); row++) {
        if (!slice_equal(pg_rows_cell(rows, row, key), reacted->key)) {
            continue;
        }
        json_open(json, NULL, "{");
        for (int column = 0; column < pg_rows_column_count(rows); column++) {
            json_put_text(json, pg_rows_column_name(rows, column), pg_rows_cell(rows, row, column));
        }
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

static void report_put_reacted(struct buffer *json, const struct explanation *explanation,
                               const struct explain_reacted *reacted) {
    json_open(json, NULL, "{");
    json_put_text(json, "reaction", reacted->name);
    json_put_text(json, "query", slice_of(reacted->query));
    json_put_text(json, "key", reacted->key);
    report_put_answers(json, explanation, reacted);
    json_put_int(json, "messages", (int64_t)reacted->made);
    json_put_text(json, "error", reacted->error);
    json_put_text(json, "marked_at", reacted->marked_at);
    json_put_text(json, "mark_attempts", reacted->attempts);
    json_put_text(json, "mark_error", reacted->mark_error);
    buffer_append_text(json, "}");
}

static void report_put_published(struct buffer *json, const struct explanation *explanation) {
    json_put_name(json, "message");
    json_append_compact(json,
                        explanation->asked_for.data ? explanation->asked_for : slice_of("null"));
    json_open(json, "reactions", "[");
    for (size_t i = 0; i < explanation->reacted_count; i++) {
        report_put_reacted(json, explanation, &explanation->reacted[i]);
    }
    buffer_append_text(json, "]");
    json_put_int(json, "reactions_left_out", (int64_t)explanation->reacted_left_out);
    json_open(json, "published", "[");
    json_append_compact(json, explanation->published);
    buffer_append_text(json, "]");
}

void explain_json(const struct explanation *explanation, struct buffer *json) {
    buffer_append_text(json, "{");
    json_put_text(json, "id", slice_of(explanation->options.id));
    report_put_rows(json, explanation);
    report_put_rejected(json, explanation);
    report_put_others(json, explanation);
    report_put_published(json, explanation);
    json_put_time(json, "read_since", explanation->since_us);
    json_put_int(json, "records_read", explanation->records_read);
    buffer_append_text(json, "}");
}

bool explain_print(const struct explanation *explanation, int64_t limit, FILE *out,
                   struct err *err) {
    struct buffer json = {0};
    explain_json(explanation, &json);
    struct text_report report = {.name = "explain_report",
                                 .chunk = EMBEDDED(explain_report_lua),
                                 .helpers = {EMBEDDED(report_text_lua)},
                                 .json = buffer_slice(&json),
                                 .limit = limit};
    bool ok = text_report_print(&report, out, err);
    buffer_free(&json);
    return ok;
}
