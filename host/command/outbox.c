/* outbox: list, show, retry and drop messages. A dropped message keeps its row and identity, so
 * that the same fact is not stored again. */
#include <stdio.h>

#include "base/plural.h"
#include "stored/messages.h"
#include "selection.h"

static bool outbox_list(struct selection *selection, struct err *err) {
    struct pg_result *rows;
    selection_fill(selection);
    choice_add_text(selection->session.params, slice_of(selection->command->state));
    pg_params_add_int8(selection->session.params, selection->command->limit);
    pg_params_add_null(selection->session.params); /* no id that they follow */
    pg_params_add_null(selection->session.params); /* nothing that they contain */
    if (!sql_query(&selection->session, slice_of(messages_list_sql), &rows, err)) {
        return false;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        const char *error = pg_rows_text(rows, i, 6);
        printf("%s  %s  %s  %s  %s  %s%s%s\n", pg_rows_text(rows, i, 0), pg_rows_text(rows, i, 1),
               pg_rows_text(rows, i, 2), pg_rows_text(rows, i, 3), selection_text(rows, i, 4),
               pg_rows_text(rows, i, 5), error[0] ? "  " : "", error);
    }
    printf("%d message%s\n", pg_rows_count(rows), plural_of(pg_rows_count(rows)));
    pg_rows_free(rows);
    return true;
}

static bool outbox_check_ids(struct selection *selection, struct err *err) {
    return selection_check_ids(selection, messages_missing_sql, "message in the outbox",
                               "pruned, or misspelt; `outbox list` prints ids", err);
}

static bool outbox_show(struct selection *selection, struct err *err) {
    return outbox_check_ids(selection, err) && selection_show(selection, messages_show_sql, err);
}

/* Changes the selected messages that are in one of the states ("pending or failed"), and prints
 * their state afterwards. */
static bool outbox_change(struct selection *selection, const char *verb, const char *states,
                          const char *sql, const char *outcome, struct err *err) {
    if (!outbox_check_ids(selection, err)) {
        return false;
    }
    selection_fill(selection);
    choice_add_text(selection->session.params, slice_of(states));
    int64_t count = selection_count(selection, messages_count_sql, "message", err);
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
    return outbox_change(selection, "Publish", "failed", messages_retry_sql, "pending", err);
}

static bool outbox_drop(struct selection *selection, struct err *err) {
    return outbox_change(selection, "Drop", "pending or failed", messages_drop_sql,
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
