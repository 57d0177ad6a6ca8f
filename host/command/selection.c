#include "selection.h"
#include "schema/program_schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/plural.h"
#include "base/xalloc.h"
#include "report.h"

#define WITHOUT_QUESTION_MAX 5

int selection_run(const struct command *command, const char *what, const char *verb,
                  const char *second, bool (*run)(struct selection *selection, struct err *err)) {
    struct slice *ids = xcalloc((size_t)command->word_count + 1, sizeof *ids);
    struct selection selection = {
        .command = command,
        .choice = {slice_of(command->topic), slice_of(second), ids, (size_t)command->word_count}};
    struct err err = {0};
    char name[64];
    for (int i = 0; i < command->word_count; i++) {
        ids[i] = slice_of(command->words[i]);
    }
    snprintf(name, sizeof name, "aggregator %s", what);
    bool ok = sql_session_open(&selection.session, command->config, name,
                               command->config->postgres.statement_timeout_ms, &err) &&
              run(&selection, &err);
    if (!ok) {
        program_schema_advise(&err);
        snprintf(name, sizeof name, "%s %s", what, verb);
        command_report(command, name, &err);
    }
    sql_session_close(&selection.session);
    free(ids);
    return ok ? 0 : 1;
}

void selection_fill(struct selection *selection) {
    choice_fill(&selection->choice, selection->session.params);
}

const char *selection_text(const struct pg_result *rows, int row, int column) {
    return pg_rows_is_null(rows, row, column) ? "-" : pg_rows_text(rows, row, column);
}

static bool selection_query(struct selection *selection, const char *sql, struct pg_result **rows,
                            struct err *err) {
    return sql_query(&selection->session, slice_of(sql), rows, err);
}

bool selection_check_ids(struct selection *selection, const char *missing_sql, const char *what,
                         const char *hint, struct err *err) {
    struct pg_result *missing;
    selection_fill(selection);
    if (!selection_query(selection, missing_sql, &missing, err)) {
        return false;
    }
    bool good = pg_rows_count(missing) == 0 || err_set(err, ERR_INPUT, "no such %s: %s: %s", what,
                                                       pg_rows_text(missing, 0, 0), hint);
    pg_rows_free(missing);
    return good;
}

bool selection_show(struct selection *selection, const char *sql, struct err *err) {
    struct pg_result *rows;
    selection_fill(selection);
    if (!selection_query(selection, sql, &rows, err)) {
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

int64_t selection_count(struct selection *selection, const char *sql, const char *what,
                        struct err *err) {
    struct pg_result *rows;
    int64_t count = 0;
    if (!selection_query(selection, sql, &rows, err)) {
        return -1;
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        count += pg_rows_int(rows, i, 2);
    }
    if (count > 0) {
        printf("%" PRId64 " %s%s selected:\n", count, what, count == 1 ? " is" : "s are");
    }
    for (int i = 0; i < pg_rows_count(rows); i++) {
        printf("  %s  %s  %s\n", pg_rows_text(rows, i, 2), pg_rows_text(rows, i, 0),
               pg_rows_text(rows, i, 1));
    }
    pg_rows_free(rows);
    return count;
}

bool selection_confirm(const struct selection *selection, const char *verb, int64_t count,
                       const char *what, struct err *err) {
    char question[128];
    snprintf(question, sizeof question, "%s %" PRId64 " %s%s?", verb, count, what,
             plural_of(count));
    return count <= WITHOUT_QUESTION_MAX || command_confirm(selection->command, question) ||
           err_set(err, ERR_INPUT, "nothing was changed");
}

int64_t selection_change(struct selection *selection, const char *sql, struct err *err) {
    struct pg_result *result;
    if (!selection_query(selection, sql, &result, err)) {
        return -1;
    }
    int64_t changed = pg_rows_written(result);
    pg_rows_free(result);
    return changed;
}
