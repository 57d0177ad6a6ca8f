/* fields: the table of settings, with defaults and descriptions. values.c copies, compares and
 * frees their values. Private to config. */
#pragma once

#include "config.h"

enum config_kind {
    TEXT,
    WORD, /* stored in lower case */
    PATH,
    BROKERS,
    POSTGRES_URL,
    REDIS_URL, /* "" and "none": none */
    INTEGER,
    SWITCH,
    STRINGS,
    HEADER, /* the name of a header field */
    PAIRS
};

struct config_field {
    const char *section;
    const char *key;
    enum config_kind kind;
    size_t offset;
    const char *standard; /* the default, as a variable gives it */
    long min, max;        /* INTEGER; TEXT: the most bytes, 0: any number */
    const char *words;    /* WORD: the allowed ones, with a space around each; PAIRS: the rule */
    bool live;            /* a running program can apply a new value */
    bool secret;          /* STRINGS and texts: values are never shown */
    bool urls;            /* STRINGS: Postgres URLs */
    bool dotted;          /* PAIRS: names are lower-case words with dots; each has a variable */
    const char *help;     /* what it is, with its unit */
};

extern const struct config_field config_fields[];
extern const size_t config_field_count;

/* Whether an entry of a map is a secret: a property of librdkafka. config.c */
bool config_is_secret_option(const char *name);

/* values.c */
void config_strings_add(struct config_strings *strings, const char *text);
void config_strings_free(struct config_strings *strings);
/* Adds the pair or replaces its value; keeps the names sorted. */
void config_pairs_put(struct config_pairs *pairs, const char *name, const char *value);
void config_pairs_remove(struct config_pairs *pairs, const char *name);
