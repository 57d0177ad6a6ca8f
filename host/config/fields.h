/* fields: the one table of settings, and what can be done with any of them. Private to the
 * configuration. */
#ifndef AGG_HOST_CONFIG_FIELDS_H
#define AGG_HOST_CONFIG_FIELDS_H

#include "config.h"

enum config_kind {
    TEXT,
    WORD, /* kept in lower case */
    PATH,
    BROKERS,
    POSTGRES_URL,
    REDIS_URL, /* or empty: none */
    INTEGER,
    SWITCH,
    STRINGS,
    HEADER, /* the name of a header field; where it is missing, the one in `words` */
    PAIRS   /* librdkafka's properties */
};

struct config_field {
    const char *section;
    const char *key;
    enum config_kind kind;
    size_t offset;
    long min, max;     /* INTEGER */
    const char *words; /* WORD: the ones it takes, with a space around each; HEADER: the default */
    bool live;         /* can change while the program runs */
};

extern const struct config_field config_fields[];
extern const size_t config_field_count;

#endif
