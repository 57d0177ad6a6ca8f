/* pg_pooler: what a pooler before Postgres keeps from one transaction to the next. In session mode
 * it keeps all. In transaction mode PgBouncer from 1.21 on (max_prepared_statements) keeps prepared
 * statements: it gives each a name of its own on the server, by its text, and prepares it again on
 * the server's other connections (its config.md, max_prepared_statements). */
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "pg_connection.h"

static _Atomic int policy;    /* enum pg_prepare */
static _Atomic bool has_lost; /* with PG_PREPARE_ALWAYS: the pooler keeps none */
/* A pooler that names statements by their texts never prepares a text again: an outdated plan ends
 * with another text. Each edition has its own. */
static _Atomic unsigned newest_edition;

void pg_set_prepare(enum pg_prepare prepare) {
    atomic_store(&policy, prepare);
}

/* ---- which statements it keeps --------------------------------------------------------------- */

static bool pg_pooler_run(struct pg *pg, const char *sql, int64_t deadline_us, struct err *err) {
    return pg_query(pg, "pg pooler", sql, NULL, clock_remaining_ms(deadline_us), NULL, err);
}

/* A pooler in statement mode has no transactions. */
static bool pg_pooler_has_transactions(struct pg *pg, int64_t deadline_us, struct err *err) {
    bool ok = pg_pooler_run(pg, "BEGIN", deadline_us, err) &&
              pg_pooler_run(pg, "COMMIT", deadline_us, err);
    return ok || err_wrap(err, "the pooler before Postgres must pool by session or transaction");
}

/* Prepares a statement that looks for its own name on the server. The pooler keeps it if the server
 * knows it by another name. name[0] == 0: kept. */
static bool pg_pooler_find_own_name(struct pg *pg, int64_t deadline_us,
                                    char name[PG_SERVER_NAME_CAP], struct err *err) {
    static const char own_name_sql[] =
        "SELECT coalesce(max(name), '') FROM pg_prepared_statements WHERE starts_with(name, $1)";
    char prefix[PG_PREFIX_CAP];
    PGresult *row = NULL;
    struct pg_params *params = pg_params_create();
    pg_put_statement_prefix(pg, prefix);
    pg_params_add_text(params, slice_of(prefix));
    pg->keeps_statements = true;
    bool ok =
        pg_query(pg, "pg pooler", own_name_sql, params, clock_remaining_ms(deadline_us), &row, err);
    pg->keeps_statements = false;
    snprintf(name, PG_SERVER_NAME_CAP, "%s", ok ? PQgetvalue(row, 0, 0) : "");
    PQclear(row);
    pg_params_destroy(params);
    return ok;
}

/* In one transaction, and so on one connection to the server, which keeps nothing of it. */
static bool pg_pooler_probe(struct pg *pg, int64_t deadline_us, bool *keeps, struct err *err) {
    char name[PG_SERVER_NAME_CAP] = "", forget[PG_SERVER_NAME_CAP + 16];
    bool ok = pg_pooler_run(pg, "BEGIN", deadline_us, err) &&
              pg_pooler_find_own_name(pg, deadline_us, name, err);
    *keeps = ok && !name[0];
    if (ok && name[0]) {
        snprintf(forget, sizeof forget, "DEALLOCATE %s", name);
        ok = pg_pooler_run(pg, forget, deadline_us, err);
        pg_forget_statements(pg);
    }
    return (ok && pg_pooler_run(pg, "COMMIT", deadline_us, err)) ||
           err_wrap(err, "asking whether the pooler before Postgres keeps prepared statements");
}

static bool pg_pooler_find_keeps(struct pg *pg, int64_t deadline_us, bool *keeps, struct err *err) {
    switch ((enum pg_prepare)atomic_load(&policy)) {
    case PG_PREPARE_NEVER:
        *keeps = false;
        return true;
    case PG_PREPARE_ALWAYS:
        if (!atomic_load(&has_lost)) {
            *keeps = true;
            return true;
        }
        break;
    case PG_PREPARE_AUTO:
        break;
    }
    return pg_pooler_probe(pg, deadline_us, keeps, err);
}

static void pg_pooler_log_once(const struct pg *pg) {
    static atomic_flag is_logged = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&is_logged)) {
        return;
    }
    if (pg->keeps_statements) {
        log_info("a pooler stands before Postgres: statements are kept prepared, and settings go "
                 "with each transaction");
    } else {
        log_info("a pooler stands before Postgres: statements are not kept prepared, and settings "
                 "go with each transaction",
                 LOG_TEXT("advice", "PgBouncer 1.21 and later keep them with "
                                    "max_prepared_statements; in session mode set "
                                    "postgres.prepare to always"));
    }
}

bool pg_pooler_examine(struct pg *pg, int64_t deadline_us, struct err *err) {
    bool keeps = false;
    pg->edition = atomic_load(&newest_edition);
    if (!pg_pooler_has_transactions(pg, deadline_us, err) ||
        !pg_pooler_find_keeps(pg, deadline_us, &keeps, err)) {
        return false;
    }
    pg->keeps_statements = keeps;
    pg_pooler_log_once(pg);
    return true;
}

/* ---- statements that are void there ---------------------------------------------------------- */

void pg_pooler_begin_edition(const struct pg *pg) {
    unsigned seen = pg->edition;
    atomic_compare_exchange_strong(&newest_edition, &seen, seen + 1);
}

static void pg_pooler_note_lost(void) {
    if (atomic_load(&policy) == PG_PREPARE_ALWAYS && !atomic_exchange(&has_lost, true)) {
        log_warning("the pooler before Postgres lost a prepared statement: it pools by transaction "
                    "and keeps none, so that statements are no longer prepared",
                    LOG_TEXT("advice", "set postgres.prepare to auto, or pool_mode to session"));
    }
}

void pg_pooler_note_stale(struct pg *pg, bool lost) {
    if (lost) {
        pg_pooler_note_lost();
    } else {
        pg_pooler_begin_edition(pg);
    }
    pg->void_at_pooler = true;
}
