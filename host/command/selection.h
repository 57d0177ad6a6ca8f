/* selection: what the commands on rejected events and on messages of the outbox share: rows chosen
 * by ids, by --topic and a second option, or all. */
#pragma once

#include "command.h"
#include "stored/choice.h"

struct selection {
    const struct command *command;
    struct choice choice; /* its ids are owned */
    struct sql_session session;
};

/* Opens a session, runs the verb and prints its error; returns the exit status. `what`: "rejected".
 */
int selection_run(const struct command *command, const char *what, const char *verb,
                  const char *second, bool (*run)(struct selection *selection, struct err *err));

/* Starts the parameters of the next statement, as choice_fill. */
void selection_fill(struct selection *selection);
/* A cell; "-" for NULL. */
const char *selection_text(const struct pg_result *rows, int row, int column);
/* `missing_sql` selects ids that do not exist; `hint` tells why that may be. */
bool selection_check_ids(struct selection *selection, const char *missing_sql, const char *what,
                         const char *hint, struct err *err);
/* Prints each selected row, a line a column. */
bool selection_show(struct selection *selection, const char *sql, struct err *err);
/* Runs the filled statement, which returns topic, detail and count; prints the sum of `what`, and
 * each row. Returns the sum; -1: err. */
int64_t selection_count(struct selection *selection, const char *sql, const char *what,
                        struct err *err);
/* Asks before more than five rows are changed. */
bool selection_confirm(const struct selection *selection, const char *verb, int64_t count,
                       const char *what, struct err *err);
/* Runs the filled statement; the number of changed rows, -1: err. */
int64_t selection_change(struct selection *selection, const char *sql, struct err *err);
