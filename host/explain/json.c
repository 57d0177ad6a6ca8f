/* json: an explanation for programs. */
#include <inttypes.h>

#include "../timestamp.h"
#include "../uuid.h"
#include "../view_sql.h"
#include "explain.h"

/* ,"name": in front of a member's value; no comma behind an opening bracket. */
static void put_name(struct buffer *json, const char *name) {
    char last = json->len ? json->data[json->len - 1] : '{';
    buffer_append_text(json, last == '{' || last == '[' ? "" : ",");
    if (name) {
        buffer_append_json_string(json, slice_of(name));
        buffer_append_text(json, ":");
    }
}

static void put_text(struct buffer *json, const char *name, struct slice text) {
    put_name(json, name);
    if (text.data) {
        buffer_append_json_string(json, text);
    } else {
        buffer_append_text(json, "null");
    }
}

static void put_int(struct buffer *json, const char *name, int64_t value) {
    put_name(json, name);
    buffer_append_format(json, "%" PRId64, value);
}

static void put_bool(struct buffer *json, const char *name, bool value) {
    put_name(json, name);
    buffer_append_text(json, value ? "true" : "false");
}

static void put_time(struct buffer *json, const char *name, int64_t us) {
    char text[TIMESTAMP_TEXT_CAP];
    put_text(json, name,
             us > 0 ? (struct slice){text, timestamp_format(us, text)} : (struct slice){0});
}

static void put_uuid(struct buffer *json, const char *name, const uint8_t *uuid) {
    char text[UUID_TEXT_LEN + 1];
    if (uuid) {
        uuid_format(uuid, text);
    }
    put_text(json, name, uuid ? (struct slice){text, UUID_TEXT_LEN} : (struct slice){0});
}

static void put_place(struct buffer *json, const struct explanation *explanation,
                      const struct explain_place *place) {
    const struct log_partition *partition = &explanation->reader.partitions[place->partition];
    size_t count;
    const struct script_handler *handlers =
        script_generation_handlers(explanation->generation, &count);
    put_text(json, "topic", slice_of(partition->topic));
    put_int(json, "partition", partition->number);
    put_int(json, "offset", place->offset);
    put_time(json, "stored_at", place->stored_us);
    put_text(json, "handler", slice_of(handlers[partition->handler].name));
    put_text(json, "scripts", place->scripts);
}

static void put_event(struct buffer *json, const struct explanation *explanation,
                      const struct explain_event *event) {
    put_name(json, NULL);
    buffer_append_text(json, "{");
    put_text(json, "outcome", slice_of(explain_outcome_name(event->outcome)));
    put_time(json, "at", event->version.at_us);
    put_uuid(json, "event_id", event->version.event_id);
    put_place(json, explanation, &event->place);
    buffer_append_text(json, "}");
}

static size_t put_group(struct buffer *json, const struct explanation *explanation, size_t row,
                        size_t g, size_t at) {
    const struct view_group *group = &explanation->rows[row].table->groups[g];
    const struct explain_held *held = &explanation->rows[row].groups[g];
    put_name(json, NULL);
    buffer_append_text(json, "{");
    put_text(json, "name", slice_of(group->name));
    put_text(json, "rule", slice_of(explain_rule_name(group->rule)));
    put_time(json, "at", held->present ? held->version.at_us : 0);
    put_uuid(json, "event_id", held->present ? held->version.event_id : NULL);
    put_name(json, "events");
    buffer_append_text(json, "[");
    for (; at < explanation->event_count && explanation->events[at].row == row &&
           explanation->events[at].group == g;
         at++) {
        put_event(json, explanation, &explanation->events[at]);
    }
    buffer_append_text(json, "]}");
    return at;
}

static void put_rows(struct buffer *json, const struct explanation *explanation) {
    size_t at = 0;
    put_name(json, "rows");
    buffer_append_text(json, "[");
    for (size_t r = 0; r < explanation->row_count; r++) {
        const struct explain_row *row = &explanation->rows[r];
        put_name(json, NULL);
        buffer_append_text(json, "{");
        put_text(json, "table", slice_of(row->table->name));
        put_name(json, "key");
        buffer_append_text(json, "{");
        for (size_t i = 0; i < row->table->key_count; i++) {
            put_text(json, row->table->key[i].name, row->key[i]);
        }
        buffer_append_text(json, "}");
        put_bool(json, "in_view", row->in_view);
        put_name(json, "groups");
        buffer_append_text(json, "[");
        for (size_t g = 0; g < row->table->group_count; g++) {
            at = put_group(json, explanation, r, g, at);
        }
        buffer_append_text(json, "]}");
    }
    buffer_append_text(json, "]");
}

static void put_rejected(struct buffer *json, const struct explanation *explanation) {
    put_name(json, "rejected");
    buffer_append_text(json, "[");
    for (size_t i = 0; i < explanation->rejected_count; i++) {
        const struct explain_rejected *event = &explanation->rejected[i];
        put_name(json, NULL);
        buffer_append_text(json, "{");
        put_text(json, "event_id", event->event_id);
        put_text(json, "reason", event->reason);
        put_text(json, "detail", event->detail);
        put_text(json, "topic", event->topic);
        put_int(json, "partition", event->partition);
        put_int(json, "offset", event->offset);
        put_text(json, "rejected_at", event->rejected_at);
        put_text(json, "handler", event->handler);
        put_text(json, "scripts", event->scripts);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

static void put_others(struct buffer *json, const struct explanation *explanation) {
    put_name(json, "without_effect");
    buffer_append_text(json, "[");
    for (size_t i = 0; i < explanation->other_count; i++) {
        const struct explain_other *other = &explanation->others[i];
        put_name(json, NULL);
        buffer_append_text(json, "{");
        put_text(json, "outcome", slice_of(other->rejected ? "rejected" : "ignored"));
        put_uuid(json, "event_id", other->has_id ? other->event_id : NULL);
        put_text(json, "reason", other->reason);
        put_text(json, "detail", other->detail);
        put_place(json, explanation, &other->place);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

void explain_json(const struct explanation *explanation, struct buffer *json) {
    buffer_append_text(json, "{");
    put_text(json, "id", slice_of(explanation->options.id));
    put_rows(json, explanation);
    put_rejected(json, explanation);
    put_others(json, explanation);
    put_time(json, "read_since", explanation->since_us);
    put_int(json, "records_read", explanation->records_read);
    buffer_append_text(json, "}");
}
