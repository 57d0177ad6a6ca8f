#include "sql_session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/pg_spare.h"
#include "base/xalloc.h"

static void sql_session_begin(struct sql_session *session, const struct config *config,
                              const char *application_name, int timeout_ms, bool borrows) {
    struct pg_options options = {
        .url = config->postgres.url,
        .application_name = application_name,
        .connect_timeout_ms = config->postgres.connect_timeout_ms,
        .statement_timeout_ms = timeout_ms,
        .uncounted = true, /* its statements have numbers, not names */
    };
    *session = (struct sql_session){.timeout_ms = timeout_ms, .params = pg_params_create()};
    session->pg = borrows ? pg_borrow(&options) : pg_create(&options);
}

bool sql_session_open(struct sql_session *session, const struct config *config,
                      const char *application_name, int timeout_ms, struct err *err) {
    sql_session_begin(session, config, application_name, timeout_ms, false);
    return pg_connect(session->pg, err);
}

bool sql_session_borrow(struct sql_session *session, const struct config *config,
                        const char *application_name, int timeout_ms, struct err *err) {
    sql_session_begin(session, config, application_name, timeout_ms, true);
    return pg_wake(session->pg, config->postgres.connect_timeout_ms, err);
}

void sql_session_give_back(struct sql_session *session) {
    pg_give_back(session->pg);
    session->pg = NULL;
    sql_session_close(session);
}

void sql_session_close(struct sql_session *session) {
    pg_destroy(session->pg);
    pg_params_destroy(session->params);
    for (size_t i = 0; i < session->text_count; i++) {
        free(session->texts[i]);
    }
    free(session->texts);
    *session = (struct sql_session){0};
}

static const char *sql_session_keep(struct sql_session *session, char *text) {
    session->texts = xrealloc(session->texts, (session->text_count + 1) * sizeof *session->texts);
    return session->texts[session->text_count++] = text;
}

/* The name of a statement that was run before, or a new name. */
static void sql_session_name_statement(struct sql_session *session, struct slice sql,
                                       const char **name, const char **text) {
    for (size_t i = 0; i + 1 < session->text_count; i += 2) {
        if (slice_equal(slice_of(session->texts[i]), sql)) {
            *text = session->texts[i];
            *name = session->texts[i + 1];
            return;
        }
    }
    char number[24];
    snprintf(number, sizeof number, "q%zu", session->text_count);
    struct buffer copy = {0};
    buffer_append(&copy, sql.data, sql.len);
    *text = sql_session_keep(session, copy.data);
    *name = sql_session_keep(session, xstrdup(number));
}

/* The statement's number is of no use in an error. */
static void sql_session_remove_statement_name(struct err *err, const char *name) {
    size_t len = strlen(name);
    if (strncmp(err->text, name, len) == 0 && strncmp(err->text + len, ": ", 2) == 0) {
        memmove(err->text, err->text + len + 2, strlen(err->text + len + 2) + 1);
    }
}

bool sql_query(struct sql_session *session, struct slice sql, struct pg_result **rows,
               struct err *err) {
    const char *name, *text;
    sql_session_name_statement(session, sql, &name, &text);
    /* Later than the server's statement_timeout, which keeps the connection usable. */
    bool ok =
        pg_query(session->pg, name, text, session->params, session->timeout_ms + 5000, rows, err);
    pg_params_reset(session->params);
    if (!ok) {
        sql_session_remove_statement_name(err, name);
    }
    return ok;
}

bool sql_query_built(struct sql_session *session, struct buffer *sql, struct pg_result **rows,
                     struct err *err) {
    bool ok = sql_query(session, buffer_slice(sql), rows, err);
    buffer_free(sql);
    return ok;
}

bool sql_query_int(struct sql_session *session, const char *sql, int64_t *number, struct err *err) {
    struct pg_result *row;
    if (!sql_query(session, slice_of(sql), &row, err)) {
        return false;
    }
    *number = pg_rows_int(row, 0, 0);
    pg_rows_free(row);
    return true;
}

bool sql_run(struct sql_session *session, struct err *err, const char *format, ...) {
    char *sql = NULL;
    va_list arguments;
    va_start(arguments, format);
    int len = vasprintf(&sql, format, arguments);
    va_end(arguments);
    bool ok = len >= 0 ? sql_query(session, (struct slice){sql, (size_t)len}, NULL, err)
                       : err_set(err, ERR_INTERNAL, "out of memory");
    free(sql);
    return ok;
}
