/* pg_session: sets a connection's parameters, behind a pooler those of each transaction, so that
 * values have one form whatever the defaults of server, database and role. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "pg_connection.h"
#include "pg_params.h"

/* Longer than any pause in a transaction. A frozen process holds its locks for so long, and the
 * next owner of its partitions waits for them. */
#define IDLE_IN_TRANSACTION_MS "10000"

/* A pooler refuses start-up options. Behind a pooler, which reports another backend pid than the
 * server, the settings end with the transaction. */
const char pg_settings_sql[] =
    "SELECT pg_backend_pid() <> $4::int4, "
    "pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, "
    "count(set_config(name, coalesce(value, current_setting(name)), pg_backend_pid() <> $4::int4)) "
    "FROM (VALUES ('statement_timeout', $1::text), ('search_path', $2::text), "
    "('default_transaction_read_only', $3::text), "
    "('idle_in_transaction_session_timeout', '" IDLE_IN_TRANSACTION_MS "'), "
    /* Input. */
    "('client_encoding', 'UTF8'), ('standard_conforming_strings', 'on'), ('array_nulls', 'on'), "
    "('transform_null_equals', 'off'), ('xmloption', 'content'), "
    /* Output, and some input. */
    "('datestyle', 'ISO, MDY'), ('intervalstyle', 'postgres'), ('timezone', 'UTC'), "
    "('bytea_output', 'hex'), ('extra_float_digits', '1'), ('xmlbinary', 'base64'), "
    "('lc_monetary', 'C'), ('lc_numeric', 'C'), ('lc_time', 'C'), "
    "('quote_all_identifiers', 'off'), "
    "('default_transaction_isolation', 'read committed'), "
    /* JIT compiles a query of many expressions at each call, 100 times as long as it runs. */
    "('jit', 'off')) AS settings (name, value)";

static char process_mark[9];

static void pg_session_make_mark(void) {
    uint8_t id[16];
    uuid_generate_v4(id);
    snprintf(process_mark, sizeof process_mark, "%02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
}

const char *pg_process_mark(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, pg_session_make_mark);
    return process_mark;
}

/* ---- too few connections -------------------------------------------------------------------- */

#define SHORTAGE_US 30000000

static _Atomic int64_t refused_us; /* 0: never */

void pg_note_shortage(void) {
    atomic_store(&refused_us, clock_monotonic_us());
}

bool pg_short_of_connections(void) {
    int64_t noted_us = atomic_load(&refused_us);
    return noted_us != 0 && clock_monotonic_us() - noted_us < SHORTAGE_US;
}

/* ---- setting up ------------------------------------------------------------------------------ */

static void pg_session_add_setting(struct pg_params *params, const char *value) {
    if (value) {
        pg_params_add_text(params, slice_of(value));
    } else {
        pg_params_add_null(params);
    }
}

static void pg_session_fill_settings(struct pg *pg) {
    char timeout[16], process[16];
    struct pg_params *params = pg->settings;
    snprintf(timeout, sizeof timeout, "%d", pg->options.statement_timeout_ms);
    snprintf(process, sizeof process, "%d", PQbackendPID(pg->conn));
    pg_params_reset(params);
    pg_params_add_text(params, slice_of(timeout));
    pg_session_add_setting(params, pg->options.search_path);
    pg_session_add_setting(params, pg->options.read_only ? "on" : NULL);
    pg_params_add_text(params, slice_of(process));
}

/* No statement was sent yet: a timeout leaves no unknown outcome. */
static bool pg_session_fail(struct err *err) {
    if (err->kind == ERR_TIMEOUT) {
        pg_note_shortage();
        err_set(err, ERR_UNAVAILABLE,
                "Postgres accepted the login, but the first query timed out: it is overloaded, or "
                "a pooler has no free connection");
    } else if (strstr(err->text, "query_wait_timeout")) {
        pg_note_shortage();
    }
    return false;
}

static bool pg_session_refuse_read_only(struct err *err) {
    err_set(err, ERR_UNAVAILABLE,
            "the database is read-only: it is a standby, or default_transaction_read_only is on; "
            "name the primary in the URL");
    snprintf(err->sqlstate, sizeof err->sqlstate, "25006");
    return false;
}

void pg_note_session(struct pg *pg, const PGresult *row) {
    pg->pooled = strcmp(PQgetvalue(row, 0, 0), "t") == 0;
    pg->reads_only = strcmp(PQgetvalue(row, 0, 1), "t") == 0;
}

bool pg_set_up_session(struct pg *pg, int64_t deadline_us, struct err *err) {
    static _Atomic unsigned connections;
    if (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1) {
        return pg_lose(pg, err);
    }
    pg->connection_number = atomic_fetch_add(&connections, 1);
    pg_session_fill_settings(pg);
    if (!pg_send_settings(pg)) {
        return pg_lose(pg, err);
    }
    if (!pg_finish(pg, clock_remaining_ms(deadline_us), NULL, NULL, err)) {
        return pg_session_fail(err);
    }
    if (pg->options.writes && pg->reads_only) {
        return pg_session_refuse_read_only(err);
    }
    pg->keeps_statements = !pg->pooled;
    return !pg->pooled || pg_pooler_examine(pg, deadline_us, err);
}
