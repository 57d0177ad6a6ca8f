#include "schema_check.h"

#include "../../bindings/pg_named.h"
#include "view_sql.h"

static bool prepare(struct sql_session *session, const struct script_query *query,
                    struct err *err) {
    struct pg_named named;
    if (!pg_named_parse(&named, query->text, err)) {
        return err_wrap(err, "%s", query->path);
    }
    bool ok = sql_run(session, err, "PREPARE checked AS %s", named.sql) &&
              sql_run(session, err, "DEALLOCATE checked");
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
