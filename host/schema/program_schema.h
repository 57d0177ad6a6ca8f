/* program_schema: the schema of the program's own tables. Its files (*.sql beside this) are carried
 * in the binary; migrate.h applies them. SQL in C names it before each table and function. */
#ifndef AGG_HOST_SCHEMA_PROGRAM_SCHEMA_H
#define AGG_HOST_SCHEMA_PROGRAM_SCHEMA_H

/* Not "aggregator": Postgres looks first into the schema that is named like the role. */
#define PROGRAM_SCHEMA "aggregator_state"
/* As it stands before each name: what a connection replaces that writes into another schema. */
#define PROGRAM_SCHEMA_QUALIFIER PROGRAM_SCHEMA "."

struct program_schema_file {
    const char *name; /* NNNN_name.sql is applied once, name.sql whenever its text has changed */
    const char *sql;
};

/* In the order of application; the last one has no name. */
extern const struct program_schema_file program_schema_files[];
/* The file of the functions, which a schema that stands in for this one needs, too. */
extern const char *const program_schema_functions;

#endif
