/* database: in place of bindings/pg.c and libpq, for what host/pipeline/announcement_audit.c asks:
 * the counts of the partitions, all at one moment. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "bindings/pg.h"
#include "base/xalloc.h"
#include "world.h"

const char *const partition_names[PROCESSES] = {"p0", "p1"};

enum { NAME, COUNTED };

struct pg_result {
    int rows;
    char counted[PROCESSES][24];
};

struct pg *pg_create(const struct pg_options *options) {
    (void)options;
    return NULL;
}

void pg_destroy(struct pg *pg) {
    (void)pg;
}

void pg_disconnect(struct pg *pg) {
    (void)pg;
}

bool pg_wake(struct pg *pg, int timeout_ms, struct err *err) {
    (void)pg, (void)timeout_ms;
    return world->database_up || err_set(err, ERR_UNAVAILABLE, "no database");
}

bool pg_query(struct pg *pg, const char *name, const char *sql, const struct pg_params *params,
              int timeout_ms, PGresult **result, struct err *err) {
    (void)pg, (void)name, (void)sql, (void)params, (void)timeout_ms, (void)err;
    struct pg_result *rows = xcalloc(1, sizeof *rows);
    rows->rows = mutation_is(NO_AUDIT) ? 0 : PROCESSES;
    for (int i = 0; i < PROCESSES; i++) {
        snprintf(rows->counted[i], sizeof rows->counted[i], "%lld", (long long)world->counts[i]);
    }
    world->processes[process_of(actor_running)].audited = world->database;
    *result = (PGresult *)rows;
    return true;
}

int PQntuples(const PGresult *result) {
    return ((const struct pg_result *)result)->rows;
}

char *PQgetvalue(const PGresult *result, int row, int column) {
    struct pg_result *rows = (struct pg_result *)result;
    return column == NAME      ? (char *)partition_names[row]
           : column == COUNTED ? rows->counted[row]
                               : (char *)"f";
}

int PQgetisnull(const PGresult *result, int row, int column) {
    (void)row, (void)column;
    return ((const struct pg_result *)result)->rows == 0;
}

void PQclear(PGresult *result) {
    free(result);
}

uint64_t offsets_epoch(const PGresult *rows, int row, int column) {
    (void)rows, (void)row, (void)column;
    return VIEW;
}
