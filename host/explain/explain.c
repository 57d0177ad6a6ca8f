#include "explain.h"

#include <stdlib.h>

#include "base/clock.h"
#include "view/view_check.h"
#include "view/view_sql.h"

#define STATEMENT_TIMEOUT_MS 60000
#define MARGIN_US (3600 * 1000000LL) /* between the time in an event and its storage */

const char *explain_outcome_name(enum explain_outcome outcome) {
    static const char *const names[] = {"wrote",           "repeated", "lost", "not yet consumed",
                                        "not in the view", "expired"};
    return names[outcome];
}

const char *explain_other_name(const struct explain_other *other) {
    return other->rests_on ? "not derived" : other->rejected ? "rejected" : "ignored";
}

const char *explain_handler_of(const struct explanation *explanation, size_t partition) {
    size_t count;
    int handler = explanation->reader.partitions[partition].handler;
    return script_generation_handlers(explanation->generation, &count)[handler].name;
}

/* ---- outcomes ------------------------------------------------------------------------------ */

static const struct view_group *explain_group_of(const struct explanation *explanation,
                                                 const struct explain_event *event) {
    return &explanation->rows[event->row].table->groups[event->group];
}

/* Negative if a wins over b by the group's rule. */
static int explain_compare_claims(const struct view_group *group, const struct explain_event *a,
                                  const struct explain_event *b) {
    bool smaller = group->rule == VIEW_FIRST || group->rule == VIEW_MIN;
    int order = merge_version_compare(&a->version, &b->version);
    if (view_is_set(group)) {
        return order; /* none wins: each adds */
    }
    if (!view_sql_is_versioned(group)) {
        enum view_type type = group->columns[0].type;
        if (a->value.is_null || b->value.is_null) {
            return a->value.is_null - b->value.is_null;
        }
        order = merge_value_less(type, &b->value, &a->value) -
                merge_value_less(type, &a->value, &b->value);
    }
    return smaller ? order : -order;
}

static int explain_compare_events(const void *left, const void *right, void *context) {
    const struct explain_event *a = left, *b = right;
    if (a->row != b->row) {
        return (a->row > b->row) - (a->row < b->row);
    }
    if (a->group != b->group) {
        return (a->group > b->group) - (a->group < b->group);
    }
    int order = explain_compare_claims(explain_group_of(context, a), a, b);
    if (order == 0) {
        order =
            (a->place.stored_us > b->place.stored_us) - (a->place.stored_us < b->place.stored_us);
    }
    return order ? order
                 : (a->place.offset > b->place.offset) - (a->place.offset < b->place.offset);
}

/* Of an event that would win. */
static enum explain_outcome explain_missing(const struct explanation *explanation,
                                            const struct explain_event *event) {
    int root = explanation->rows[event->row].table->root;
    int64_t expired_us = root < 0 ? INT64_MIN
                                  : horizon_expired_before_us(&explanation->horizon,
                                                              explanation->view->tables[root].name);
    return event->version.at_us < expired_us ? EXPLAIN_EXPIRED
           : event->place.consumed           ? EXPLAIN_MISSING
                                             : EXPLAIN_NOT_YET;
}

/* `previous`: the event before this one in its group, or NULL. */
static enum explain_outcome explain_judge(const struct explanation *explanation,
                                          const struct explain_event *event,
                                          const struct explain_event *previous) {
    const struct explain_row *row = &explanation->rows[event->row];
    const struct view_group *group = explain_group_of(explanation, event);
    const struct explain_held *held = &row->groups[event->group];
    if (previous && merge_version_compare(&previous->version, &event->version) == 0) {
        return EXPLAIN_REPEATED;
    }
    if (!view_sql_is_versioned(group)) { /* the row names no event */
        bool best = !previous || view_is_set(group);
        return !best          ? EXPLAIN_LOST
               : row->in_view ? EXPLAIN_WROTE
                              : explain_missing(explanation, event);
    }
    if (!held->present) {
        return explain_missing(explanation, event);
    }
    int order = merge_version_compare(&event->version, &held->version);
    if (order == 0) {
        return EXPLAIN_WROTE;
    }
    bool wins = group->rule == VIEW_FIRST ? order < 0 : order > 0;
    return wins ? explain_missing(explanation, event) : EXPLAIN_LOST;
}

static void explain_judge_all(struct explanation *explanation) {
    if (explanation->event_count > 0) { /* qsort must not get NULL */
        qsort_r(explanation->events, explanation->event_count, sizeof *explanation->events,
                explain_compare_events, explanation);
    }
    for (size_t i = 0; i < explanation->event_count; i++) {
        struct explain_event *event = &explanation->events[i];
        const struct explain_event *previous = i > 0 ? event - 1 : NULL;
        bool same = previous && previous->row == event->row && previous->group == event->group;
        event->outcome = explain_judge(explanation, event, same ? previous : NULL);
    }
}

/* ---- open and close ------------------------------------------------------------------------ */

static void explain_choose_since(struct explanation *explanation) {
    int64_t oldest_us = INT64_MAX;
    explanation->since_us = explanation->options.since_us;
    if (explanation->since_us != EXPLAIN_SINCE_ROWS) {
        return;
    }
    for (size_t r = 0; r < explanation->row_count; r++) {
        const struct explain_row *row = &explanation->rows[r];
        for (size_t g = 0; g < row->table->group_count; g++) {
            int64_t at_us = row->groups[g].version.at_us;
            oldest_us = row->groups[g].present && at_us < oldest_us ? at_us : oldest_us;
        }
    }
    /* An event of the future was stored before its time: a clock was wrong. */
    bool known = oldest_us < clock_wall_us() && oldest_us > MARGIN_US;
    explanation->since_us = known ? oldest_us - MARGIN_US : EXPLAIN_SINCE_BEGINNING;
}

static bool explain_ask(struct explanation *explanation, struct err *err) {
    bool ok = explain_check_id(explanation, err);
    if (ok && !sql_session_open(&explanation->session, explanation->options.config,
                                "aggregator explain", STATEMENT_TIMEOUT_MS, err)) {
        return false;
    }
    ok = ok && explain_read_question(explanation, err);
    explanation->wrong_question = !ok && err->kind == ERR_INPUT;
    return ok;
}

bool explain_open(struct explanation *explanation, const struct explain_options *options,
                  struct err *err) {
    const struct config *config = options->config;
    *explanation = (struct explanation){.options = *options, .arena = arena_create(65536)};
    explanation->generation = script_generation_load(config, 1, err);
    if (!explanation->generation) {
        return false;
    }
    explanation->view = script_generation_view(explanation->generation);
    if (!explain_ask(explanation, err) ||
        !view_sql_check(explanation->session.pg, explanation->view, STATEMENT_TIMEOUT_MS, err) ||
        !horizon_read(&explanation->horizon, explanation->view, explanation->session.pg,
                      STATEMENT_TIMEOUT_MS, err) ||
        !explain_find_rows(explanation, err) || !explain_find_rejected(explanation, err) ||
        !explain_react(explanation, err)) {
        return false;
    }
    explain_choose_since(explanation);
    if (!log_reader_open(&explanation->reader, config, explanation->generation, err) ||
        !explain_scan(explanation, err) || !explain_look_up_rows(explanation, err) ||
        !explain_find_scripts(explanation, err) || !explain_find_published(explanation, err)) {
        return false;
    }
    explain_judge_all(explanation);
    return true;
}

static void explain_clear_answers(struct explanation *explanation) {
    size_t count = 0;
    if (explanation->answers) {
        script_generation_reactions(explanation->generation, &count);
    }
    for (size_t i = 0; i < count; i++) {
        pg_rows_free(explanation->answers[i]);
    }
}

void explain_close(struct explanation *explanation) {
    explain_clear_answers(explanation);
    log_reader_close(&explanation->reader);
    horizon_free(&explanation->horizon);
    sql_session_close(&explanation->session);
    script_generation_unref(explanation->generation);
    free(explanation->rows);
    free(explanation->events);
    free(explanation->others);
    free(explanation->handled);
    free(explanation->reacted);
    free(explanation->made);
    arena_destroy(explanation->arena);
    *explanation = (struct explanation){0};
}
