#include "program_schema.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "citus.sql.h"
#include "functions.sql.h"
#include "0001_tables.sql.h"
#include "0002_outbox_about.sql.h"
#include "0003_rejected_traceparent.sql.h"
#include "0004_retention.sql.h"
#include "0005_commits.sql.h"
#include "0006_outbox_access.sql.h"

const struct program_schema_file program_schema_files[] = {
    {"0001_tables.sql", (const char *)file_0001_tables_sql},
    {"0002_outbox_about.sql", (const char *)file_0002_outbox_about_sql},
    {"0003_rejected_traceparent.sql", (const char *)file_0003_rejected_traceparent_sql},
    {"0004_retention.sql", (const char *)file_0004_retention_sql},
    {"0005_commits.sql", (const char *)file_0005_commits_sql},
    {"0006_outbox_access.sql", (const char *)file_0006_outbox_access_sql},
    {"functions.sql", (const char *)functions_sql},
    {NULL, NULL},
};

const char *const program_schema_functions = (const char *)functions_sql;
const char *const program_schema_citus = (const char *)citus_sql;

static void program_schema_append(struct err *err, const char *remedy) {
    size_t len = strlen(err->text);
    snprintf(err->text + len, sizeof err->text - len, ": %s", remedy);
}

void program_schema_advise(struct err *err) {
    if (strcmp(err->sqlstate, "42P01") == 0 || strcmp(err->sqlstate, "42703") == 0) {
        program_schema_append(err, "run `aggregator migrate`");
    }
}

void program_schema_advise_right(struct err *err, const char *remedy) {
    if (strcmp(err->sqlstate, "42501") == 0) {
        program_schema_append(err, remedy);
    }
}
