/* dependencies: asks the database, Redis and Kafka once and says how each is, since when, and why.
 * Has connections of its own, and may take as long as a server hangs. The health thread's own. */
#pragma once

#include "base/buffer.h"
#include "config/config.h"
#include "health.h"

struct dependencies;

/* NULL: the URL of Redis is wrong. The options' pointers must outlive it. */
struct dependencies *dependencies_create(const struct health_options *options, struct err *err);
void dependencies_destroy(struct dependencies *dependencies); /* may be NULL */

struct dependencies_check {
    bool reads;        /* Postgres replies, if only to reads */
    bool lacks_tables; /* of the program, without which events or messages stop */
    enum ingest_state ingest;
    bool degraded;
    int64_t checked_us; /* 0: never */
    struct buffer json; /* `"database":{…},…` */
};

/* Fills a zeroed check, whose buffer the caller frees. */
void dependencies_check(struct dependencies *dependencies, struct dependencies_check *check);
