/* sql_session: a database connection for a command, whose statements may be composed as it goes.
 * One thread. Results are as pg_rows.h reads them. */
#ifndef AGG_HOST_VIEW_SQL_SESSION_H
#define AGG_HOST_VIEW_SQL_SESSION_H

#include "bindings/pg.h"
#include "base/buffer.h"
#include "config/config.h"

struct sql_session {
    struct pg *pg;
    struct pg_params *params; /* of the next statement; empty after each */
    char **texts;             /* statements and their names: as long as the connection */
    size_t text_count;
    int timeout_ms; /* of one statement */
};

/* Connects. False: err says why, and sql_session_close is still to be called. */
bool sql_session_open(struct sql_session *session, const struct config *config,
                      const char *application_name, int timeout_ms, struct err *err);
void sql_session_close(struct sql_session *session);
/* The same, on a connection that is kept for the next who borrows it under that name: nothing may
 * be left behind on it. */
bool sql_session_borrow(struct sql_session *session, const struct config *config,
                        const char *application_name, int timeout_ms, struct err *err);
void sql_session_give_back(struct sql_session *session);

/* Runs one statement with the parameters in session->params. *rows (may be NULL) is the caller's
 * to pg_rows_free. */
bool sql_query(struct sql_session *session, struct slice sql, struct pg_result **rows,
               struct err *err);
/* The same without rows, from a format. */
bool sql_run(struct sql_session *session, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
