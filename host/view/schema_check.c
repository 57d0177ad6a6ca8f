#include "schema_check.h"

#include "../../bindings/pg_named.h"
#include "view_sql.h"

/* In one transaction: behind a pooler two statements may run on two connections, and the statement
 * would stay on one of them. */
static bool prepare_and_forget(struct sql_session *session, const char *sql, struct err *err) {
    struct err ignored = {0};
    bool ok = sql_run(session, err, "BEGIN") &&
              sql_run(session, err, "PREPARE checked AS %s", sql) &&
              sql_run(session, err, "DEALLOCATE checked") && sql_run(session, err, "COMMIT");
    if (!ok && pg_connected(session->pg) && !sql_run(session, &ignored, "ROLLBACK")) {
        pg_disconnect(session->pg);
    }
    return ok;
}

static bool prepare(struct sql_session *session, const struct script_query *query,
                    struct err *err) {
    struct pg_named named;
    if (!pg_named_parse(&named, query->text, err)) {
        return err_wrap(err, "%s", query->path);
    }
    bool ok = prepare_and_forget(session, named.sql, err);
    pg_named_free(&named);
    /* What Postgres refuses here is the script's fault, whatever it is of a statement of ours. */
    if (!ok && err->sqlstate[0] == '4' && err->sqlstate[1] == '2') {
        err->kind = ERR_INPUT;
    }
    return ok || err_wrap(err, "%s", query->path);
}

bool schema_check(struct sql_session *session, const struct script_generation *generation,
                  struct err *err) {
    struct script_query query;
    if (!view_sql_check(session->pg, script_generation_view(generation), session->timeout_ms,
                        err)) {
        return false;
    }
    for (size_t i = 0; script_generation_query(generation, i, &query); i++) {
        if (!prepare(session, &query, err)) {
            return false;
        }
    }
    return true;
}
