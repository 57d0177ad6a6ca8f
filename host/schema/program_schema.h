/* program_schema: the schema of the program's own tables. The binary contains its *.sql files;
 * migrate.h applies them. SQL in C qualifies each table and function with it. */
#ifndef AGG_HOST_SCHEMA_PROGRAM_SCHEMA_H
#define AGG_HOST_SCHEMA_PROGRAM_SCHEMA_H

/* Not "aggregator": Postgres searches the schema with the name of the role first. */
#define PROGRAM_SCHEMA "aggregator_state"
/* A connection that writes into another schema replaces this text. */
#define PROGRAM_SCHEMA_QUALIFIER PROGRAM_SCHEMA "."

struct program_schema_file {
    const char *name; /* NNNN_name.sql is applied once, name.sql whenever its text has changed */
    const char *sql;
};

/* In the order of application; the last has name NULL. */
extern const struct program_schema_file program_schema_files[];
/* The text of functions.sql, for a schema that replaces this one. */
extern const char *const program_schema_functions;

#endif
