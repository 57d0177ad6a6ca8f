/* record: one line of a stream of events, as the tools read them. */
#ifndef AGG_TOOLS_LIB_RECORD_H
#define AGG_TOOLS_LIB_RECORD_H

#include <stdint.h>

#include "../../host/slice.h"

/* Members of one JSON object: topic, and value (its very bytes are the payload) or raw_b64 (the
 * payload in base64; null: a record without value); key, partition and offset where given. */
struct record {
    const char *topic;
    struct slice key;     /* data NULL: none */
    struct slice payload; /* data NULL: the record has no value */
    int64_t partition;    /* 0 where not given */
    int64_t offset;
};

/* Reads one line. What the record points to lies in the line, which is written over: the topic is
 * terminated and base64 decoded in place. False: not such an object. */
bool record_read(char *line, struct record *record);

#endif
