/* scan: reads the log again and runs the handlers on records that may concern the rows. Skips
 * records that contain neither the id nor a row's key. */
#include <stdlib.h>

#include "pipeline/dry_run.h"
#include "base/log.h"
#include "rebuild/progress.h"
#include "base/uuid.h"
#include "base/xalloc.h"
#include "view/view_sql.h"
#include "explain.h"

#define POLL_MS 1000
#define SILENT_POLLS 60
#define NEEDLES_MAX 32 /* searching more would cost more than handling every record */

struct scan {
    struct explanation *explanation;
    struct dry_run dry_run;
    struct slice needles[NEEDLES_MAX];
    size_t needle_count; /* 0: handle every record */
};

/* ---- which records ------------------------------------------------------------------------- */

/* JSON escapes none of these bytes. */
static bool scan_is_plain(struct slice text) {
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:";
    for (size_t i = 0; i < text.len; i++) {
        if (!memchr(plain, text.data[i], sizeof plain - 1)) {
            return false;
        }
    }
    return text.len > 0;
}

static bool scan_add_needle(struct scan *scan, struct slice text) {
    for (size_t i = 0; i < scan->needle_count; i++) {
        if (slice_equal(scan->needles[i], text)) {
            return true;
        }
    }
    if (scan->needle_count == NEEDLES_MAX || !scan_is_plain(text)) {
        return false;
    }
    scan->needles[scan->needle_count++] = text;
    return true;
}

/* The id, and the first key of each row, which some events name instead. */
static void scan_find_needles(struct scan *scan) {
    const struct explanation *explanation = scan->explanation;
    bool ok = scan_add_needle(scan, slice_of(explanation->question.id));
    for (size_t i = 0; ok && i < explanation->row_count; i++) {
        enum view_type type = explanation->rows[i].table->key[0].type;
        ok = (type != VIEW_TEXT && type != VIEW_UUID && type != VIEW_BIGINT) ||
             scan_add_needle(scan, explanation->rows[i].key[0]);
    }
    scan->needle_count = ok ? scan->needle_count : 0;
}

static bool scan_may_concern(const struct scan *scan, const struct log_record *message) {
    for (size_t i = 0; i < scan->needle_count; i++) {
        if (slice_contains(message->payload, scan->needles[i])) {
            return true;
        }
    }
    return scan->needle_count == 0;
}

/* ---- which merges -------------------------------------------------------------------------- */

/* The list is a literal of Postgres: "{a,b}", with some items in quotes. */
static bool scan_lists(struct slice literal, struct slice id) {
    const char *at = literal.data, *end = literal.data + literal.len;
    while ((at = memmem(at, (size_t)(end - at), id.data, id.len))) {
        const char *behind = at + id.len;
        if (at > literal.data && strchr("{,\"", at[-1]) && behind < end &&
            strchr("},\"", *behind)) {
            return true;
        }
        at++;
    }
    return false;
}

static struct slice scan_key_text(struct arena *arena, const struct view_column *column,
                                  const struct view_value *value) {
    char text[VIEW_VALUE_TEXT_CAP];
    struct slice key = view_value_text(column->type, value, text);
    return key.data == text ? arena_copy(arena, key) : key;
}

/* Whether the operation writes the id into the column. */
static bool scan_writes_id(const struct merge_op *op, const struct script_follow *column,
                           struct slice id) {
    char text[VIEW_VALUE_TEXT_CAP];
    uint8_t uuid[16];
    const struct view_value *value = NULL;
    if (op->table == column->table_index && column->group == SCRIPT_FOLLOWS_KEY) {
        value = &op->key[column->at];
    } else if (op->table == column->table_index && op->group == (size_t)column->group) {
        value = &op->values[column->at];
    }
    if (!value || value->is_null) {
        return false;
    }
    if (column->type == VIEW_UUID) {
        return uuid_read(id, uuid) && memcmp(uuid, value->as.text.data, sizeof uuid) == 0;
    }
    return slice_equal(view_value_text(column->type, value, text), id);
}

static bool scan_is_asked_for(const struct explanation *explanation,
                              const struct merge_accepted *accepted) {
    const struct explain_question *question = &explanation->question;
    const struct merge_op *op = &accepted->op;
    const struct view_table *table = &explanation->view->tables[op->table];
    const struct view_group *group = &table->groups[op->group];
    struct slice id = slice_of(question->id);
    if (explanation->options.table && strcmp(explanation->options.table, table->name) != 0) {
        return false;
    }
    for (size_t i = 0; i < question->column_count; i++) {
        if (scan_writes_id(op, &question->columns[i], id)) {
            return true;
        }
    }
    for (size_t c = 0; question->in_lists && c < group->column_count; c++) {
        if (explain_listed(group->columns[c].type) != VIEW_JSON && !op->values[c].is_null &&
            scan_lists(op->values[c].as.text, id)) {
            return true;
        }
    }
    return question->by_event &&
           memcmp(accepted->version.event_id, question->event_id, sizeof question->event_id) == 0;
}

/* The row that the operation writes; SIZE_MAX: not part of the question. */
static size_t scan_find_row(struct scan *scan, const struct merge_accepted *accepted) {
    struct explanation *explanation = scan->explanation;
    const struct merge_op *op = &accepted->op;
    const struct view_table *table = &explanation->view->tables[op->table];
    struct slice key[VIEW_MAX_KEY];
    for (size_t i = 0; i < table->key_count; i++) {
        key[i] = scan_key_text(merge_arena(scan->dry_run.batch.merge), &table->key[i], &op->key[i]);
    }
    for (size_t r = 0; r < explanation->row_count; r++) {
        bool same = explanation->rows[r].table == table;
        for (size_t i = 0; same && i < table->key_count; i++) {
            same = slice_equal(explanation->rows[r].key[i], key[i]);
        }
        if (same) {
            return r;
        }
    }
    if (!scan_is_asked_for(explanation, accepted)) {
        return SIZE_MAX;
    }
    struct slice *copy = arena_alloc(explanation->arena, table->key_count * sizeof *copy);
    for (size_t i = 0; i < table->key_count; i++) {
        copy[i] = arena_copy(explanation->arena, key[i]);
    }
    struct explain_held *none = arena_alloc(explanation->arena, table->group_count * sizeof *none);
    memset(none, 0, table->group_count * sizeof *none);
    return explain_add_row(explanation, &(struct explain_row){table, copy, false, none});
}

static struct view_value scan_copy_value(struct arena *arena, const struct view_group *group,
                                         const struct view_value *value) {
    struct view_value copy = *value;
    if (!copy.is_null && view_is_bytes(group->columns[0].type)) {
        copy.as.text = arena_copy(arena, copy.as.text);
    }
    return copy;
}

static struct explain_event *scan_add_event(struct scan *scan) {
    struct explanation *explanation = scan->explanation;
    explanation->events =
        xgrow(explanation->events, explanation->event_count, sizeof *explanation->events);
    return &explanation->events[explanation->event_count++];
}

/* A merge of nil changes nothing where the rule takes one value, and an empty list adds nothing. */
static bool scan_has_effect(const struct view_group *group, const struct merge_op *op) {
    const struct view_value *value = &op->values[0];
    return view_sql_is_versioned(group) ||
           (!value->is_null &&
            !(view_is_set(group) && slice_equal(value->as.text, slice_of("{}"))));
}

static void scan_take_op(struct scan *scan, const struct merge_accepted *accepted,
                         const struct explain_place *place) {
    struct explanation *explanation = scan->explanation;
    const struct view_group *group =
        &explanation->view->tables[accepted->op.table].groups[accepted->op.group];
    size_t row = scan_has_effect(group, &accepted->op) ? scan_find_row(scan, accepted) : SIZE_MAX;
    if (row == SIZE_MAX) {
        return;
    }
    struct explain_event *event = scan_add_event(scan);
    *event = (struct explain_event){
        .row = row, .group = accepted->op.group, .version = accepted->version, .place = *place};
    if (!view_sql_is_versioned(group)) {
        event->value = scan_copy_value(explanation->arena, group, accepted->op.values);
    }
}

/* The merges of the event are unknown, but the rows say which groups it won. False: none. */
static bool scan_take_outside(struct scan *scan, const struct event *event,
                              const struct explain_place *place) {
    const struct explanation *explanation = scan->explanation;
    struct merge_version version = {.at_us = event->at_us};
    size_t before = explanation->event_count;
    memcpy(version.event_id, event->id, sizeof version.event_id);
    for (size_t r = 0; r < explanation->row_count; r++) {
        const struct explain_row *row = &explanation->rows[r];
        for (size_t g = 0; g < row->table->group_count; g++) {
            const struct explain_held *held = &row->groups[g];
            if (held->present && merge_version_compare(&held->version, &version) == 0) {
                *scan_add_event(scan) = (struct explain_event){.row = r,
                                                               .group = g,
                                                               .version = version,
                                                               .place = *place,
                                                               .rests_on = event->rests_on};
            }
        }
    }
    return explanation->event_count > before;
}

/* ---- records ------------------------------------------------------------------------------- */

static bool scan_is_known_rejected(const struct explanation *explanation,
                                   const struct explain_place *place) {
    const struct log_partition *partition = &explanation->reader.partitions[place->partition];
    for (size_t i = 0; i < explanation->rejected_count; i++) {
        const struct explain_rejected *event = &explanation->rejected[i];
        if (event->offset == place->offset && event->partition == partition->number &&
            slice_equal(event->topic, slice_of(partition->topic))) {
            return true;
        }
    }
    return false;
}

static void scan_take_other(struct scan *scan, const struct event *event,
                            const struct explain_place *place) {
    struct explanation *explanation = scan->explanation;
    explanation->others =
        xgrow(explanation->others, explanation->other_count, sizeof *explanation->others);
    struct explain_other *other = &explanation->others[explanation->other_count++];
    *other = (struct explain_other){.place = *place, .rests_on = event->rests_on};
    other->rejected = event->state == EVENT_REJECTED && !event->rests_on;
    if (event->values && event->values[ENVELOPE_EVENT_ID].present) {
        other->has_id = true;
        memcpy(other->event_id, event->values[ENVELOPE_EVENT_ID].as.uuid, 16);
    }
    if (other->rejected) {
        other->reason = arena_copy(explanation->arena, event->reason);
        other->detail = arena_copy(explanation->arena, event->detail);
    }
}

/* Adds the event to those whose messages are known, and the messages. */
static void scan_take_messages(struct scan *scan, const struct dry_run_outcome *outcome,
                               size_t partition) {
    struct explanation *explanation = scan->explanation;
    const struct event *event = outcome->event;
    if (event->rests_on || (event->state != EVENT_APPLIED && event->state != EVENT_IGNORED)) {
        return;
    }
    explanation->handled =
        xgrow(explanation->handled, explanation->handled_count, sizeof *explanation->handled);
    struct explain_handled *handled = &explanation->handled[explanation->handled_count++];
    handled->partition = partition;
    memcpy(handled->event_id, event->id, sizeof handled->event_id);
    for (size_t i = 0; i < outcome->message_count; i++) {
        explain_add_made(explanation, &outcome->messages[i]);
    }
}

/* Takes the record over. False: no script state can be made. */
static bool scan_handle(struct scan *scan, const struct log_record *message, struct err *err) {
    struct explain_place place = {.partition = message->partition,
                                  .offset = message->offset,
                                  .stored_us = message->broker_time_us};
    struct dry_run_outcome outcome;
    log_mute(true); /* live ingestion has logged what scripts log of the event */
    bool handled = dry_run_handle(&scan->dry_run, message, &outcome, err);
    log_mute(false);
    if (!handled) {
        return false;
    }
    const struct event *event = outcome.event;
    size_t before = scan->explanation->event_count;
    for (size_t i = 0; !event->rests_on && i < outcome.merge_count; i++) {
        scan_take_op(scan, &outcome.merges[i], &place);
    }
    bool concerns = scan->explanation->event_count > before ||
                    slice_contains(message->payload, slice_of(scan->explanation->question.id));
    if (concerns) {
        scan_take_messages(scan, &outcome, place.partition);
    }
    bool without_effect =
        event->rests_on ? !scan_take_outside(scan, event, &place) : event->state != EVENT_APPLIED;
    if (without_effect &&
        slice_contains(message->payload, slice_of(scan->explanation->question.id)) &&
        !scan_is_known_rejected(scan->explanation, &place)) {
        scan_take_other(scan, event, &place);
    }
    dry_run_clear(&scan->dry_run);
    return true;
}

static bool scan_read_all(struct scan *scan, struct progress *progress, struct err *err) {
    struct log_reader *reader = &scan->explanation->reader;
    int silent = 0;
    while (reader->unfinished > 0) {
        struct log_record message;
        bool found = log_reader_next(reader, POLL_MS, &message, err);
        if (err->kind != ERR_NONE) {
            return false;
        }
        silent = found ? 0 : silent + 1;
        if (found) {
            scan->explanation->records_read++;
            if (!scan_may_concern(scan, &message)) {
                kafka_message_release(message.owner);
            } else if (!scan_handle(scan, &message, err)) {
                return false;
            }
        } else if (silent > SILENT_POLLS) {
            return log_reader_fail_silent(reader, SILENT_POLLS, err);
        }
        progress_update(progress, reader);
    }
    return true;
}

static bool scan_open_dry_run(struct scan *scan, struct err *err) {
    struct explanation *explanation = scan->explanation;
    if (!dry_run_open(&scan->dry_run, explanation->generation, "explain touches no outside system",
                      kafka_message_release, err)) {
        return false;
    }
    log_reader_add_partitions(&explanation->reader, &scan->dry_run.pipeline.partitions);
    dry_run_clear(&scan->dry_run);
    return true;
}

bool explain_scan(struct explanation *explanation, struct err *err) {
    struct scan scan = {.explanation = explanation};
    struct progress progress;
    scan_find_needles(&scan);
    progress_start(&progress, "reading the log");
    bool ok = scan_open_dry_run(&scan, err) &&
              log_reader_start(&explanation->reader, explanation->since_us, err) &&
              scan_read_all(&scan, &progress, err);
    dry_run_close(&scan.dry_run);
    return ok;
}
