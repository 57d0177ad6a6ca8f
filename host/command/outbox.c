/* outbox: the messages that are published, or wait to be: list, show, retry, drop. Nothing is
 * deleted: a dropped message keeps its identity, so that the same fact is not stored once more. */
#include <stdio.h>
#include <string.h>

#include "view/sql_session.h"
#include "command.h"

/* More than these are not retried or dropped without asking. */
#define HANDFUL 5

/* What fill_selection's parameters select: $1 topic, $2 key, $3 ids; NULL: any. */
#define SELECTED                                                                                   \
    "($1::text IS NULL OR topic = $1::text) AND ($2::text IS NULL OR key = $2::text) AND "         \
    "($3::text[] IS NULL OR id = ANY ($3::text[]::int8[]))"

static const char list_sql[] =
    "SELECT id, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), state, topic, "
    "coalesce(key, '-'), identity, coalesce(error, '') FROM aggregator_state.outbox WHERE " SELECTED
    " AND ($4::text IS NULL OR state = $4::text) ORDER BY id DESC LIMIT $5::int8";
static const char show_sql[] =
    "SELECT id, identity, topic, key, state, attempts, error, created_at, fact_at, done_at, "
    "source, scripts, traceparent, headers, encode(value, 'escape') AS value FROM "
    "aggregator_state.outbox "
    "WHERE " SELECTED " ORDER BY id";
static const char missing_sql[] =
    "SELECT wanted.id FROM unnest($3::text[]) AS wanted (id) WHERE $1::text IS NULL "
    "AND $2::text IS NULL AND NOT EXISTS (SELECT FROM aggregator_state.outbox o WHERE o.id::text = "
    "wanted.id)";
static const char count_sql[] =
    "SELECT topic, state, count(*)::text FROM aggregator_state.outbox WHERE " SELECTED
    " AND state = ANY (string_to_array($4::text, ' or ')) GROUP BY "
    "topic, state ORDER BY topic, state";
static const char retry_sql[] =
    "UPDATE aggregator_state.outbox SET state = 'pending', done_at = NULL, error = NULL "
    "WHERE " SELECTED " AND state = 'failed'";
static const char drop_sql[] = "UPDATE aggregator_state.outbox SET state = 'settled', done_at = "
                               "now(), error = 'dropped by an operator' "
                               "WHERE " SELECTED " AND state IN ('pending', 'failed')";

struct outbox_command {
    const struct command *command;
    struct sql_session *session;
};

static void outbox_add_text(const struct outbox_command *outbox, const char *text) {
    if (text) {
        pg_params_add_text(outbox->session->params, slice_of(text));
    } else {
        pg_params_add_null(outbox->session->params);
    }
}

static void outbox_fill_selection(const struct outbox_command *outbox) {
    const struct command *command = outbox->command;
    struct pg_params *params = outbox->session->params;
    outbox_add_text(outbox, command->topic);
    outbox_add_text(outbox, command->key);
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

static bool outbox_list_messages(const struct outbox_command *outbox, struct err *err) {
    struct pg_result *rows = NULL;
    outbox_fill_selection(outbox);
    outbox_add_text(outbox, outbox->command->state);
    pg_params_add_int8(outbox->session->params, outbox->command->limit);
    if (!sql_query(outbox->session, slice_of(list_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        const char *error = pg_rows_text(rows, i, 6);
        printf("%s  %s  %s  %s  %s  %s%s%s\n", pg_rows_text(rows, i, 0), pg_rows_text(rows, i, 1),
               pg_rows_text(rows, i, 2), pg_rows_text(rows, i, 3), pg_rows_text(rows, i, 4),
               pg_rows_text(rows, i, 5), error[0] ? "  " : "", error);
    }
    printf("%d message%s\n", pg_rows_count(rows), pg_rows_count(rows) == 1 ? "" : "s");
    pg_rows_free(rows);
    return true;
}

/* Every id that was given is of a message: a misspelt one is not passed by. */
static bool outbox_check_message_ids(const struct outbox_command *outbox, struct err *err) {
    struct pg_result *missing = NULL;
    outbox_fill_selection(outbox);
    if (!sql_query(outbox->session, slice_of(missing_sql), &missing, err)) {
        return false;
    }
    bool good = pg_rows_count(missing) == 0;
    if (!good) {
        err_set(err, ERR_INPUT,
                "no message %s in the outbox: pruned, or misspelt; `outbox list` prints ids",
                pg_rows_text(missing, 0, 0));
    }
    pg_rows_free(missing);
    return good;
}

static bool outbox_show_messages(const struct outbox_command *outbox, struct err *err) {
    struct pg_result *rows = NULL;
    if (!outbox_check_message_ids(outbox, err)) {
        return false;
    }
    outbox_fill_selection(outbox);
    if (!sql_query(outbox->session, slice_of(show_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        for (int column = 0; column < pg_rows_column_count(rows); column++) {
            printf("%-12s %s\n", pg_rows_column_name(rows, column), pg_rows_text(rows, i, column));
        }
    }
    pg_rows_free(rows);
    return true;
}

/* Prints what is selected and in one of the states ("pending or failed"), by topic and state. */
static bool outbox_count_messages(const struct outbox_command *outbox, const char *states,
                                  int64_t *count, struct err *err) {
    struct pg_result *rows = NULL;
    *count = 0;
    outbox_fill_selection(outbox);
    outbox_add_text(outbox, states);
    if (!sql_query(outbox->session, slice_of(count_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        *count += pg_rows_int(rows, i, 2);
        printf("  %s  %s  %s\n", pg_rows_text(rows, i, 2), pg_rows_text(rows, i, 0),
               pg_rows_text(rows, i, 1));
    }
    pg_rows_free(rows);
    return *count > 0 || err_set(err, ERR_INPUT, "none of the selected messages is %s", states);
}

static bool outbox_change_messages(const struct outbox_command *outbox, const char *verb,
                                   const char *states, const char *sql, struct err *err) {
    struct pg_result *result = NULL;
    int64_t count;
    char question[128];
    if (!outbox_check_message_ids(outbox, err) ||
        !outbox_count_messages(outbox, states, &count, err)) {
        return false;
    }
    snprintf(question, sizeof question, "%s %lld messages?", verb, (long long)count);
    if (count > HANDFUL && !command_confirm(outbox->command, question)) {
        return err_set(err, ERR_INPUT, "nothing was done");
    }
    outbox_fill_selection(outbox);
    if (!sql_query(outbox->session, slice_of(sql), &result, err)) {
        return false;
    }
    int64_t changed = pg_rows_written(result);
    printf("%lld message%s changed\n", (long long)changed, changed == 1 ? "" : "s");
    pg_rows_free(result);
    return true;
}

static bool outbox_retry_messages(const struct outbox_command *outbox, struct err *err) {
    return outbox_change_messages(outbox, "Publish", "failed", retry_sql, err);
}

static bool outbox_drop_messages(const struct outbox_command *outbox, struct err *err) {
    return outbox_change_messages(outbox, "Drop", "pending or failed", drop_sql, err);
}

static int outbox_run_outbox(const struct command *command, const char *name,
                             bool (*run)(const struct outbox_command *outbox, struct err *err)) {
    struct sql_session session;
    struct outbox_command outbox = {command, &session};
    struct err err = {0};
    bool ok = sql_session_open(&session, command->config, "aggregator outbox command",
                               command->config->postgres.statement_timeout_ms, &err) &&
              run(&outbox, &err);
    if (!ok) {
        fprintf(stderr, "outbox %s: %s\n", name, err.text);
    }
    sql_session_close(&session);
    return ok ? 0 : 1;
}

int command_outbox_list(const struct command *command) {
    return outbox_run_outbox(command, "list", outbox_list_messages);
}

int command_outbox_show(const struct command *command) {
    return outbox_run_outbox(command, "show", outbox_show_messages);
}

int command_outbox_retry(const struct command *command) {
    return outbox_run_outbox(command, "retry", outbox_retry_messages);
}

int command_outbox_drop(const struct command *command) {
    return outbox_run_outbox(command, "drop", outbox_drop_messages);
}
