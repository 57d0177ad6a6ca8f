#include "program_schema.h"

#include <stddef.h>

#include "functions.sql.h"
#include "0001_tables.sql.h"
#include "0002_outbox_about.sql.h"

const struct program_schema_file program_schema_files[] = {
    {"0001_tables.sql", (const char *)file_0001_tables_sql},
    {"0002_outbox_about.sql", (const char *)file_0002_outbox_about_sql},
    {"functions.sql", (const char *)functions_sql},
    {NULL, NULL},
};

const char *const program_schema_functions = (const char *)functions_sql;
