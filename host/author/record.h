/* record: an event as a line of a file has it, for the tools and for `aggregator try`. */
#ifndef AGG_HOST_AUTHOR_RECORD_H
#define AGG_HOST_AUTHOR_RECORD_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct script_generation;

/* Members of one JSON object: topic, and value (its very bytes are the payload) or raw_b64 (the
 * payload in base64; null: a record without value); key, partition and offset where given. */
struct record {
    const char *topic;    /* NULL: a bare envelope does not say */
    struct slice key;     /* data NULL: none */
    struct slice payload; /* data NULL: the record has no value */
    int64_t partition;    /* 0 where not given */
    int64_t offset;
};

/* Reads one object. What the record points to lies in the text, which is written over: the topic is
 * terminated and base64 decoded in place. False: not such an object. */
bool record_read(char *text, struct record *record);

/* Likewise, or a bare envelope: an object that is no record but has a member that a field of the
 * scripts' envelope is in; it is its own payload. False: err says what the text is instead; *at is
 * where, in bytes. */
bool record_read_event(const struct script_generation *generation, char *text,
                       struct record *record, size_t *at, struct err *err);

#endif
