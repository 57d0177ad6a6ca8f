/* record: reads an event from a line of a file, for the tools and `aggregator try`. */
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"

struct script_generation;

/* Members of one JSON object: topic, and value (its very bytes are the payload) or raw_b64 (the
 * payload in base64; null: a record without value); key, partition and offset where given. */
struct record {
    const char *topic;    /* NULL: a bare envelope */
    struct slice key;     /* data NULL: none */
    struct slice payload; /* data NULL: the record has no value */
    int64_t partition;    /* 0 where not given */
    int64_t offset;
};

/* Reads one object. The record points into the text, which is changed: the topic gets a NUL, and
 * base64 is decoded in place. False: not such an object. */
bool record_read(char *text, struct record *record);

/* Appends the record as such a line, with its line feed: `value` where the payload is JSON on one
 * line, else raw_b64, so that record_read gives the same bytes. A key that is not UTF-8 is damaged.
 */
void record_append(struct buffer *line, const struct record *record);

/* The same as record_read, or a bare envelope: an object that is no record but has a member of the
 * scripts' envelope; it is its own payload. False: err says what is wrong, at byte *at. */
bool record_read_event(const struct script_generation *generation, char *text,
                       struct record *record, size_t *at, struct err *err);
