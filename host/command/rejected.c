/* rejected: list, show and drop events that could not be applied. rejected_retry.c retries them.
 * They are in a table, not in a dead-letter topic: the platform has another service for that. */
#include <stdio.h>

#include "rejected.h"

static bool rejected_list(struct selection *selection, struct err *err) {
    struct pg_result *rows;
    selection_fill(selection);
    pg_params_add_int8(selection->session.params, selection->command->limit);
    for (int i = 0; i < 3; i++) { /* nothing that they follow or contain */
        pg_params_add_null(selection->session.params);
    }
    if (!sql_query(&selection->session, slice_of(rejected_list_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        printf("%s  %s  %s  %s  %s\n", pg_rows_text(rows, i, 1), pg_rows_text(rows, i, 0),
               pg_rows_text(rows, i, 2), selection_text(rows, i, 3), pg_rows_text(rows, i, 4));
    }
    printf("%d rejected event%s\n", pg_rows_count(rows), pg_rows_count(rows) == 1 ? "" : "s");
    pg_rows_free(rows);
    return true;
}

static bool rejected_check_ids(struct selection *selection, struct err *err) {
    return selection_check_ids(selection, rejected_missing_sql, "rejected event",
                               "too old, dropped, or misspelt", err);
}

static bool rejected_show(struct selection *selection, struct err *err) {
    return rejected_check_ids(selection, err) && selection_show(selection, rejected_show_sql, err);
}

/* Prints what is selected, and asks before more than a few are changed. */
static bool rejected_select(struct selection *selection, const char *verb, struct err *err) {
    if (!rejected_check_ids(selection, err)) {
        return false;
    }
    selection_fill(selection);
    int64_t count = selection_count(selection, rejected_count_sql, "rejected event", err);
    return count >= 0 && (count > 0 || err_set(err, ERR_INPUT, "no such rejected event")) &&
           selection_confirm(selection, verb, count, "rejected event", err);
}

static bool rejected_drop(struct selection *selection, struct err *err) {
    if (!rejected_select(selection, "Drop", err)) {
        return false;
    }
    selection_fill(selection);
    int64_t dropped = selection_change(selection, rejected_drop_sql, err);
    if (dropped >= 0) {
        printf("%lld dropped\n", (long long)dropped);
    }
    return dropped >= 0;
}

static bool rejected_select_and_retry(struct selection *selection, struct err *err) {
    return rejected_select(selection, "Retry", err) && rejected_retry(selection, err);
}

int command_rejected_list(const struct command *command) {
    return selection_run(command, "rejected", "list", command->reason, rejected_list);
}

int command_rejected_show(const struct command *command) {
    return selection_run(command, "rejected", "show", command->reason, rejected_show);
}

int command_rejected_retry(const struct command *command) {
    return selection_run(command, "rejected", "retry", command->reason, rejected_select_and_retry);
}

int command_rejected_drop(const struct command *command) {
    return selection_run(command, "rejected", "drop", command->reason, rejected_drop);
}
