/* rejected: the events that were set aside: list, show, drop. Retrying is rejected_retry.c.
 * Not a dead-letter topic: the platform has another service for that. */
#include <stdio.h>

#include "command.h"
#include "rejected.h"

#define LIST_DEFAULT 50
/* More than these are not retried or dropped without asking. */
#define HANDFUL 5

static const char list_sql[] =
    "SELECT topic || '/' || partition || '/' || \"offset\", "
    "to_char(rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), reason, "
    "coalesce(event_id, '-'), split_part(coalesce(detail, ''), E'\\n', 1) FROM rejected_events "
    "WHERE " REJECTED_SELECTED
    " ORDER BY rejected_at DESC, topic, partition, \"offset\" LIMIT $4::int8";
static const char count_sql[] =
    "SELECT count(*)::text FROM rejected_events WHERE " REJECTED_SELECTED;
static const char drop_sql[] = "DELETE FROM rejected_events WHERE " REJECTED_SELECTED;
static const char show_sql[] =
    "SELECT topic, partition, \"offset\", rejected_at, reason, detail, event_id, correlation_id, "
    "handler, generation AS scripts, CASE WHEN raw IS NULL THEN 'no value' ELSE "
    "encode(raw, 'escape') END AS value FROM rejected_events WHERE " REJECTED_SELECTED;

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
    if (command->word_count < 2) {
        pg_params_add_null(params);
        return;
    }
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (int i = 1; i < command->word_count; i++) {
        pg_array_bytes(params, slice_of(command->words[i]));
    }
    pg_array_end(params);
}

static bool list(const struct rejected *rejected, struct err *err) {
    PGresult *rows = NULL;
    int64_t limit = LIST_DEFAULT;
    const char *text = rejected->command->limit;
    if (text && !command_number("limit", text, 1, 1000000, &limit)) {
        return err_set(err, ERR_INPUT, "bad --limit");
    }
    rejected_fill(rejected);
    pg_params_add_int8(rejected->session->params, limit);
    if (!sql_query(rejected->session, slice_of(list_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < PQntuples(rows); i++) {
        printf("%s  %s  %s  %s  %s\n", PQgetvalue(rows, i, 1), PQgetvalue(rows, i, 0),
               PQgetvalue(rows, i, 2), PQgetvalue(rows, i, 3), PQgetvalue(rows, i, 4));
    }
    printf("%d rejected events\n", PQntuples(rows));
    PQclear(rows);
    return true;
}

static bool show(const struct rejected *rejected, struct err *err) {
    PGresult *rows = NULL;
    if (rejected->command->word_count < 2) {
        return err_set(err, ERR_INPUT, "say which: TOPIC/PARTITION/OFFSET, as `list` prints it");
    }
    rejected_fill(rejected);
    if (!sql_query(rejected->session, slice_of(show_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < PQntuples(rows); i++) {
        for (int column = 0; column < PQnfields(rows); column++) {
            printf("%-15s %s\n", PQfname(rows, column), PQgetvalue(rows, i, column));
        }
    }
    bool found = PQntuples(rows) > 0;
    PQclear(rows);
    return found ||
           err_set(err, ERR_INPUT, "no such rejected event: it may be too old, or dropped");
}

/* Counts what is selected, and asks before more than a handful. */
static bool may_go_on(const struct rejected *rejected, const char *verb, struct err *err) {
    const struct command *command = rejected->command;
    PGresult *row = NULL;
    char question[128];
    if (command->word_count < 2 && !command->topic && !command->reason && !command->all) {
        return err_set(err, ERR_INPUT, "say which: IDs, --topic, --reason or --all");
    }
    rejected_fill(rejected);
    if (!sql_query(rejected->session, slice_of(count_sql), &row, err)) {
        return false;
    }
    int64_t count = sql_cell_int(row, 0, 0);
    PQclear(row);
    if (count == 0) {
        return err_set(err, ERR_INPUT, "no such rejected event");
    }
    snprintf(question, sizeof question, "%s %lld rejected events?", verb, (long long)count);
    return count <= HANDFUL || command_confirm(command, question) ||
           err_set(err, ERR_INPUT, "nothing was done");
}

static bool drop(const struct rejected *rejected, struct err *err) {
    PGresult *result = NULL;
    if (!may_go_on(rejected, "Drop", err)) {
        return false;
    }
    rejected_fill(rejected);
    if (!sql_query(rejected->session, slice_of(drop_sql), &result, err)) {
        return false;
    }
    printf("%s dropped\n", PQcmdTuples(result));
    PQclear(result);
    return true;
}

static bool retry(const struct rejected *rejected, struct err *err) {
    return may_go_on(rejected, "Retry", err) && rejected_retry(rejected, err);
}

int command_rejected(const struct command *command) {
    static const struct {
        const char *name;
        bool (*run)(const struct rejected *rejected, struct err *err);
    } verbs[] = {{"list", list}, {"show", show}, {"retry", retry}, {"drop", drop}};
    const char *wanted = command->word_count > 0 ? command->words[0] : "";
    size_t verb = 0;
    while (verb < 4 && strcmp(verbs[verb].name, wanted) != 0) {
        verb++;
    }
    if (verb == 4) {
        fputs("aggregator: rejected list, show, retry or drop\n", stderr);
        return 2;
    }
    struct sql_session session;
    struct rejected rejected = {command, &session};
    struct err err = {0};
    bool ok = sql_session_open(&session, command->config, "aggregator rejected",
                               command->config->postgres.statement_timeout_ms, &err) &&
              verbs[verb].run(&rejected, &err);
    if (!ok) {
        fprintf(stderr, "rejected %s: %s\n", wanted, err.text);
    }
    sql_session_close(&session);
    return ok ? 0 : 1;
}
