/* rejected: the events that were set aside: list, show, drop. Retrying is rejected_retry.c.
 * Not a dead-letter topic: the platform has another service for that. */
#include <stdio.h>

#include "command.h"
#include "rejected.h"

/* More than these are not retried or dropped without asking. */
#define HANDFUL 5

static const char list_sql[] =
    "SELECT topic || '/' || partition || '/' || \"offset\", "
    "to_char(rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), reason, "
    "coalesce(event_id, '-'), split_part(coalesce(detail, ''), E'\\n', 1) FROM "
    "aggregator_state.rejected_events "
    "WHERE " REJECTED_SELECTED
    " ORDER BY rejected_at DESC, topic, partition, \"offset\" LIMIT $4::int8";
static const char count_sql[] =
    "SELECT topic, reason, count(*)::text FROM aggregator_state.rejected_events "
    "WHERE " REJECTED_SELECTED " GROUP BY topic, reason ORDER BY topic, reason";
/* $1 and $2 belong to every statement; ids come without them. */
static const char missing_sql[] =
    "SELECT id FROM unnest($3::text[]) AS id WHERE $1::text IS NULL AND $2::text IS NULL AND "
    "NOT EXISTS (SELECT FROM aggregator_state.rejected_events WHERE topic || '/' || partition || "
    "'/' || \"offset\" "
    "= id) LIMIT 1";
static const char drop_sql[] =
    "DELETE FROM aggregator_state.rejected_events WHERE " REJECTED_SELECTED;
static const char show_sql[] =
    "SELECT topic, partition, \"offset\", rejected_at, reason, detail, event_id, correlation_id, "
    "handler, generation AS scripts, CASE WHEN raw IS NULL THEN 'no value' ELSE "
    "encode(raw, 'escape') END AS value FROM aggregator_state.rejected_events "
    "WHERE " REJECTED_SELECTED;

void rejected_fill(const struct rejected *rejected) {
    const struct command *command = rejected->command;
    struct pg_params *params = rejected->session->params;
    const char *const texts[] = {command->topic, command->reason};
    for (int i = 0; i < 2; i++) {
        if (texts[i]) {
            pg_params_add_text(params, slice_of(texts[i]));
        } else {
            pg_params_add_null(params);
        }
    }
    if (command->word_count == 0) {
        pg_params_add_null(params);
        return;
    }
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (int i = 0; i < command->word_count; i++) {
        pg_array_bytes(params, slice_of(command->words[i]));
    }
    pg_array_end(params);
}

static bool rejected_list(const struct rejected *rejected, struct err *err) {
    struct pg_result *rows = NULL;
    rejected_fill(rejected);
    pg_params_add_int8(rejected->session->params, rejected->command->limit);
    if (!sql_query(rejected->session, slice_of(list_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        printf("%s  %s  %s  %s  %s\n", pg_rows_text(rows, i, 1), pg_rows_text(rows, i, 0),
               pg_rows_text(rows, i, 2), pg_rows_text(rows, i, 3), pg_rows_text(rows, i, 4));
    }
    printf("%d rejected event%s\n", pg_rows_count(rows), pg_rows_count(rows) == 1 ? "" : "s");
    pg_rows_free(rows);
    return true;
}

/* Every id that was given is of an event: a misspelt one is not passed by. */
static bool rejected_check_ids(const struct rejected *rejected, struct err *err) {
    struct pg_result *missing = NULL;
    rejected_fill(rejected);
    if (!sql_query(rejected->session, slice_of(missing_sql), &missing, err)) {
        return false;
    }
    if (pg_rows_count(missing) > 0) {
        err_set(err, ERR_INPUT, "no such rejected event: %s: too old, dropped, or misspelt",
                pg_rows_text(missing, 0, 0));
    }
    bool good = pg_rows_count(missing) == 0;
    pg_rows_free(missing);
    return good;
}

static bool rejected_show(const struct rejected *rejected, struct err *err) {
    struct pg_result *rows = NULL;
    if (!rejected_check_ids(rejected, err)) {
        return false;
    }
    rejected_fill(rejected);
    if (!sql_query(rejected->session, slice_of(show_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        for (int column = 0; column < pg_rows_column_count(rows); column++) {
            printf("%-15s %s\n", pg_rows_column_name(rows, column), pg_rows_text(rows, i, column));
        }
    }
    pg_rows_free(rows);
    return true;
}

/* Prints what is selected, by topic and reason. */
static bool rejected_count_selected(const struct rejected *rejected, int64_t *count,
                                    struct err *err) {
    struct pg_result *rows = NULL;
    *count = 0;
    rejected_fill(rejected);
    if (!sql_query(rejected->session, slice_of(count_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        *count += pg_rows_int(rows, i, 2);
    }
    if (*count > 0) {
        printf("%lld rejected events are selected:\n", (long long)*count);
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        printf("  %s  %s  %s\n", pg_rows_text(rows, i, 2), pg_rows_text(rows, i, 0),
               pg_rows_text(rows, i, 1));
    }
    pg_rows_free(rows);
    return *count > 0 || err_set(err, ERR_INPUT, "no such rejected event");
}

/* Says what is selected, and asks before more than a handful. */
static bool rejected_may_go_on(const struct rejected *rejected, const char *verb, struct err *err) {
    int64_t count;
    char question[128];
    if (!rejected_check_ids(rejected, err) || !rejected_count_selected(rejected, &count, err)) {
        return false;
    }
    snprintf(question, sizeof question, "%s %lld rejected events?", verb, (long long)count);
    return count <= HANDFUL || command_confirm(rejected->command, question) ||
           err_set(err, ERR_INPUT, "nothing was done");
}

static bool rejected_drop(const struct rejected *rejected, struct err *err) {
    struct pg_result *result = NULL;
    if (!rejected_may_go_on(rejected, "Drop", err)) {
        return false;
    }
    rejected_fill(rejected);
    if (!sql_query(rejected->session, slice_of(drop_sql), &result, err)) {
        return false;
    }
    printf("%lld dropped\n", (long long)pg_rows_written(result));
    pg_rows_free(result);
    return true;
}

static bool rejected_retry_one(const struct rejected *rejected, struct err *err) {
    return rejected_may_go_on(rejected, "Retry", err) && rejected_retry(rejected, err);
}

static int rejected_run_rejected(const struct command *command, const char *name,
                                 bool (*run)(const struct rejected *rejected, struct err *err)) {
    struct sql_session session;
    struct rejected rejected = {command, &session};
    struct err err = {0};
    bool ok = sql_session_open(&session, command->config, "aggregator rejected",
                               command->config->postgres.statement_timeout_ms, &err) &&
              run(&rejected, &err);
    if (!ok) {
        fprintf(stderr, "rejected %s: %s\n", name, err.text);
    }
    sql_session_close(&session);
    return ok ? 0 : 1;
}

int command_rejected_list(const struct command *command) {
    return rejected_run_rejected(command, "list", rejected_list);
}

int command_rejected_show(const struct command *command) {
    return rejected_run_rejected(command, "show", rejected_show);
}

int command_rejected_retry(const struct command *command) {
    return rejected_run_rejected(command, "retry", rejected_retry_one);
}

int command_rejected_drop(const struct command *command) {
    return rejected_run_rejected(command, "drop", rejected_drop);
}
