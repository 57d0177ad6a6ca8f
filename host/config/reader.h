/* reader: what the units that read a configuration share. Private to config. One thread. */
#pragma once

#include <lua.h>

#include "base/buffer.h"
#include "base/problems.h"
#include "fields.h"

#define CONFIG_LAYERS_MAX 8
#define CONFIG_TEXT_MAX_BYTES (1024UL * 1024)

/* A file and its table. */
struct config_layer {
    char *path; /* owned */
    struct buffer text;
    int table;  /* index on the stack */
    int *lines; /* owned; of each field that the table has; else 0 */
};

/* A variable that a file has read, and that is set. */
struct config_read {
    char *variable; /* owned; NAME, or NAME_FILE */
    char *value;    /* owned */
    size_t layer;
    int line; /* of the file's main chunk, while it read the variable */
};

/* Owns all but `path` and `config`: Lua errors leave its units in the middle. */
struct config_reader {
    const char *path;
    lua_State *L;
    struct config *config;
    struct config_layer layers[CONFIG_LAYERS_MAX]; /* the file; then what it extends */
    size_t layer_count;
    struct config_read *reads;
    size_t read_count;
    struct problems problems;
};

/* config.c. With one reference, and no values. */
struct config *config_new(void);
void config_redact_secrets(const struct config *config);

void config_reader_free(struct config_reader *reader);

/* The source of a value: a layer; with layer < 0 a variable, or, with variable NULL, the default.
 */
struct config_source {
    int layer;
    const char *variable;
};

/* Notes a problem of section.key (key "": the section), with the place in the layer. */
void config_complain(struct config_reader *reader, struct config_source source, const char *section,
                     const char *key, const char *what);

/* layers.c. Reads and runs the file `path` and those that it extends; leaves their tables on the
 * stack. False: a problem is noted. May raise. */
bool config_layers_run(struct config_reader *reader);
/* Whether the value at the top of the stack is a table without a metatable. False: what it must
 * "be" or "return". */
#define CONFIG_TABLE_MISTAKE_CAP 64
bool config_table_check(lua_State *L, const char *must, char mistake[CONFIG_TABLE_MISTAKE_CAP]);
/* A relative path, from the folder of the file; "" stays. malloc'ed. */
char *config_resolve(const char *file, const char *name);

/* read_value.c. Reads the value at the top of the stack into its field. May raise. */
void config_read_value(struct config_reader *reader, const struct config_field *field,
                       struct config_source source);

/* variables.c. The name of the variable that overrides each file: AGGREGATOR_SECTION_KEY. */
#define CONFIG_VARIABLE_CAP 128
void config_variable_name(const struct config_field *field, char name[CONFIG_VARIABLE_CAP]);
/* Pushes the variable's name and its value, and returns the name; NULL: pushes nothing. */
const char *config_variable_push(struct config_reader *reader, const struct config_field *field);
/* Those of the entries of a map: AGGREGATOR_KAFKA_OPTIONS_SASL_PASSWORD. */
void config_variables_read_entries(struct config_reader *reader, const struct config_field *field,
                                   struct config_pairs *pairs);
/* Warns of variables that are nearly the name of one. */
void config_variables_check(struct config_reader *reader);

/* origins.c. Notes that the field has a value from the source; `value` is at the top of the stack.
 */
void config_origin_note(struct config_reader *reader, const struct config_field *field,
                        struct config_source source);
