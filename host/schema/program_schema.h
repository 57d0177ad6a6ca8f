/* program_schema: the schema of the program's own tables. The binary contains its *.sql files;
 * migrate.h applies them. SQL in C qualifies each table and function with it. */
#pragma once

#include "base/err.h"

/* Not "aggregator": Postgres searches the schema with the name of the role first. */
#define PROGRAM_SCHEMA "aggregator_state"
/* A connection that writes into another schema replaces this text. */
#define PROGRAM_SCHEMA_QUALIFIER PROGRAM_SCHEMA "."

/* Advisory locks: migrate.c has 7236014, the functions of lists 7236015, shadows of shadow runs
 * 7236016 and 7236017, that of a rebuild 7236018. While a transaction holds this one shared, no row
 * leaves. */
#define PROGRAM_LOCK_RETENTION "7236019"

/* Waits until what another transaction has committed is visible whole, once a part of it is. */
#define PROGRAM_AWAIT_COMMITS "SELECT " PROGRAM_SCHEMA_QUALIFIER "await_commits()"

/* The tables, each with the number of the file that creates it. */
#define PROGRAM_SCHEMA_TABLES                                                                      \
    "(VALUES ('consumer_offsets', 1), ('offset_scripts', 1), ('rejected_events', 1), "             \
    "('instances', 1), ('script_generations', 1), ('script_files', 1), ('reaction_marks', 1), "    \
    "('outbox', 1), ('outbox_relay', 1), ('retention', 4)) AS expected (name, file)"
/* The FROM of a query for the tables that the database lacks. It needs no right. */
#define PROGRAM_SCHEMA_MISSING                                                                     \
    PROGRAM_SCHEMA_TABLES                                                                          \
    " WHERE NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "     \
    "WHERE n.nspname = '" PROGRAM_SCHEMA "' AND c.relname = expected.name)"

/* Each file has the same effect if it is applied again: migrate.h repeats the files of a missing
 * table. */
struct program_schema_file {
    const char *name; /* NNNN_name.sql is applied once, name.sql whenever its text has changed */
    const char *sql;
};

/* In the order of application; the last has name NULL. */
extern const struct program_schema_file program_schema_files[];
/* The text of functions.sql, for a schema that replaces this one. */
extern const char *const program_schema_functions;
/* What follows on the text of functions.sql where the database has Citus. */
extern const char *const program_schema_citus;

/* Appends the remedy to Postgres' error of a missing table or column. */
void program_schema_advise(struct err *err);
/* Appends `remedy`, one of these, to Postgres' error of a missing right. */
#define REMEDY_OWNER                                                                               \
    "this command needs the owner of the tables: put "                                             \
    "AGGREGATOR_POSTGRES_URL_FILE=/etc/aggregator/migrate_url, or the owner's URL as "             \
    "AGGREGATOR_POSTGRES_URL, before it (the docs, operate/rights.md)"
#define REMEDY_CREATE                                                                              \
    "a shadow run needs the right to create a schema: GRANT CREATE ON DATABASE "                   \
    "(the docs, operate/rights.md)"
void program_schema_advise_right(struct err *err, const char *remedy);
