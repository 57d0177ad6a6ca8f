/* sql_session: a database connection for commands that compose their SQL. One thread. */
#pragma once

#include "bindings/pg.h"
#include "base/buffer.h"
#include "config/config.h"

struct sql_session {
    struct pg *pg;
    struct pg_params *params; /* of the next statement; empty after each */
    char **texts;             /* statements, each before its name */
    size_t text_count;
    int timeout_ms; /* of one statement */
};

/* Connects. Call sql_session_close also after false. */
bool sql_session_open(struct sql_session *session, const struct config *config,
                      const char *application_name, int timeout_ms, struct err *err);
void sql_session_close(struct sql_session *session);
/* The same with a spare connection (pg_spare.h): leave no session state on it. */
bool sql_session_borrow(struct sql_session *session, const struct config *config,
                        const char *application_name, int timeout_ms, struct err *err);
void sql_session_give_back(struct sql_session *session);

/* Runs one statement with session->params. The caller frees *rows; `rows` may be NULL. */
bool sql_query(struct sql_session *session, struct slice sql, struct pg_result **rows,
               struct err *err);
/* The same with a composed statement, which it frees. */
bool sql_query_built(struct sql_session *session, struct buffer *sql, struct pg_result **rows,
                     struct err *err);
/* The same for a statement that returns one number. */
bool sql_query_int(struct sql_session *session, const char *sql, int64_t *number, struct err *err);
/* The same without rows, from a format. */
bool sql_run(struct sql_session *session, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
