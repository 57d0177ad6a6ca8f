/* outbox: list, show, retry and drop messages. A dropped message keeps its row and identity, so
 * that the same fact is not stored again. */
#include <stdio.h>

#include "base/plural.h"
#include "selection.h"

/* With the parameters of selection_fill; the second one is the key. */
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

static bool outbox_list(struct selection *selection, struct err *err) {
    struct pg_result *rows;
    selection_fill(selection);
    selection_add_text(selection, selection->command->state);
    pg_params_add_int8(selection->session.params, selection->command->limit);
    if (!sql_query(&selection->session, slice_of(list_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        const char *error = pg_rows_text(rows, i, 6);
        printf("%s  %s  %s  %s  %s  %s%s%s\n", pg_rows_text(rows, i, 0), pg_rows_text(rows, i, 1),
               pg_rows_text(rows, i, 2), pg_rows_text(rows, i, 3), pg_rows_text(rows, i, 4),
               pg_rows_text(rows, i, 5), error[0] ? "  " : "", error);
    }
    printf("%d message%s\n", pg_rows_count(rows), plural_of(pg_rows_count(rows)));
    pg_rows_free(rows);
    return true;
}

static bool outbox_check_ids(struct selection *selection, struct err *err) {
    return selection_check_ids(selection, missing_sql, "message in the outbox",
                               "pruned, or misspelt; `outbox list` prints ids", err);
}

static bool outbox_show(struct selection *selection, struct err *err) {
    return outbox_check_ids(selection, err) && selection_show(selection, show_sql, err);
}

/* Changes the selected messages that are in one of the states ("pending or failed"), and prints
 * their state afterwards. */
static bool outbox_change(struct selection *selection, const char *verb, const char *states,
                          const char *sql, const char *outcome, struct err *err) {
    if (!outbox_check_ids(selection, err)) {
        return false;
    }
    selection_fill(selection);
    selection_add_text(selection, states);
    int64_t count = selection_count(selection, count_sql, "message", err);
    if (count < 0 ||
        (count == 0 && !err_set(err, ERR_INPUT, "none of the selected messages is %s", states)) ||
        !selection_confirm(selection, verb, count, "message", err)) {
        return false;
    }
    selection_fill(selection);
    int64_t changed = selection_change(selection, sql, err);
    if (changed >= 0) {
        printf("%lld message%s now %s\n", (long long)changed, changed == 1 ? " is" : "s are",
               outcome);
    }
    return changed >= 0;
}

static bool outbox_retry(struct selection *selection, struct err *err) {
    return outbox_change(selection, "Publish", "failed", retry_sql, "pending", err);
}

static bool outbox_drop(struct selection *selection, struct err *err) {
    return outbox_change(selection, "Drop", "pending or failed", drop_sql,
                         "settled and will not be sent", err);
}

int command_outbox_list(const struct command *command) {
    return selection_run(command, "outbox", "list", command->key, outbox_list);
}

int command_outbox_show(const struct command *command) {
    return selection_run(command, "outbox", "show", command->key, outbox_show);
}

int command_outbox_retry(const struct command *command) {
    return selection_run(command, "outbox", "retry", command->key, outbox_retry);
}

int command_outbox_drop(const struct command *command) {
    return selection_run(command, "outbox", "drop", command->key, outbox_drop);
}
