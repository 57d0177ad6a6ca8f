/* fields: the table of settings; copies, compares and frees their values. Private to config. */
#ifndef AGG_HOST_CONFIG_FIELDS_H
#define AGG_HOST_CONFIG_FIELDS_H

#include "config.h"

enum config_kind {
    TEXT,
    WORD, /* stored in lower case */
    PATH,
    BROKERS,
    POSTGRES_URL,
    REDIS_URL, /* "": none */
    INTEGER,
    SWITCH,
    STRINGS,
    HEADER, /* the name of a header field; the default is in `words` */
    PAIRS
};

struct config_field {
    const char *section;
    const char *key;
    enum config_kind kind;
    size_t offset;
    long min, max;     /* INTEGER */
    const char *words; /* WORD: the allowed ones, with a space around each; HEADER: the default */
    bool live;         /* a running program can apply a new value */
};

extern const struct config_field config_fields[];
extern const size_t config_field_count;

#endif
