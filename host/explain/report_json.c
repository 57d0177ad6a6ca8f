/* report_json: an explanation as one JSON object. */
#include "base/json_put.h"
#include "explain.h"

static void report_json_put_place(struct buffer *json, const struct explanation *explanation,
                                  const struct explain_place *place) {
    const struct log_partition *partition = &explanation->reader.partitions[place->partition];
    size_t count;
    const struct script_handler *handlers =
        script_generation_handlers(explanation->generation, &count);
    json_put_text(json, "topic", slice_of(partition->topic));
    json_put_int(json, "partition", partition->number);
    json_put_int(json, "offset", place->offset);
    json_put_time(json, "stored_at", place->stored_us);
    json_put_text(json, "handler", slice_of(handlers[partition->handler].name));
    json_put_text(json, "scripts", place->scripts);
}

static void report_json_put_event(struct buffer *json, const struct explanation *explanation,
                                  const struct explain_event *event) {
    json_open(json, NULL, "{");
    json_put_text(json, "outcome", slice_of(explain_outcome_name(event->outcome)));
    json_put_time(json, "at", event->version.at_us);
    json_put_uuid(json, "event_id", event->version.event_id);
    json_put_text(json, "rests_on", slice_of(event->rests_on));
    report_json_put_place(json, explanation, &event->place);
    buffer_append_text(json, "}");
}

static size_t report_json_put_group(struct buffer *json, const struct explanation *explanation,
                                    size_t row, size_t g, size_t at) {
    const struct view_group *group = &explanation->rows[row].table->groups[g];
    const struct explain_held *held = &explanation->rows[row].groups[g];
    json_open(json, NULL, "{");
    json_put_text(json, "name", slice_of(group->name));
    json_put_text(json, "rule", slice_of(view_rule_name(group->rule)));
    json_put_time(json, "at", held->present ? held->version.at_us : 0);
    json_put_uuid(json, "event_id", held->present ? held->version.event_id : NULL);
    json_open(json, "events", "[");
    for (; at < explanation->event_count && explanation->events[at].row == row &&
           explanation->events[at].group == g;
         at++) {
        report_json_put_event(json, explanation, &explanation->events[at]);
    }
    buffer_append_text(json, "]}");
    return at;
}

static void report_json_put_rows(struct buffer *json, const struct explanation *explanation) {
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
            at = report_json_put_group(json, explanation, r, g, at);
        }
        buffer_append_text(json, "]}");
    }
    buffer_append_text(json, "]");
}

static void report_json_put_rejected(struct buffer *json, const struct explanation *explanation) {
    json_open(json, "rejected", "[");
    for (size_t i = 0; i < explanation->rejected_count; i++) {
        const struct explain_rejected *event = &explanation->rejected[i];
        json_open(json, NULL, "{");
        json_put_text(json, "event_id", event->event_id);
        json_put_text(json, "reason", event->reason);
        json_put_text(json, "detail", event->detail);
        json_put_text(json, "topic", event->topic);
        json_put_int(json, "partition", event->partition);
        json_put_int(json, "offset", event->offset);
        json_put_text(json, "rejected_at", event->rejected_at);
        json_put_text(json, "handler", event->handler);
        json_put_text(json, "scripts", event->scripts);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

static void report_json_put_others(struct buffer *json, const struct explanation *explanation) {
    json_open(json, "without_effect", "[");
    for (size_t i = 0; i < explanation->other_count; i++) {
        const struct explain_other *other = &explanation->others[i];
        json_open(json, NULL, "{");
        json_put_text(json, "outcome", slice_of(explain_other_name(other)));
        json_put_text(json, "rests_on", slice_of(other->rests_on));
        json_put_uuid(json, "event_id", other->has_id ? other->event_id : NULL);
        json_put_text(json, "reason", other->reason);
        json_put_text(json, "detail", other->detail);
        report_json_put_place(json, explanation, &other->place);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

void explain_json(const struct explanation *explanation, struct buffer *json) {
    buffer_append_text(json, "{");
    json_put_text(json, "id", slice_of(explanation->options.id));
    report_json_put_rows(json, explanation);
    report_json_put_rejected(json, explanation);
    report_json_put_others(json, explanation);
    explain_put_published(explanation, json);
    json_put_time(json, "read_since", explanation->since_us);
    json_put_int(json, "records_read", explanation->records_read);
    buffer_append_text(json, "}");
}
