/* kafka_errors: what a Kafka consumer meets instead of records, by what follows from it. */
#ifndef AGG_BINDINGS_KAFKA_ERRORS_H
#define AGG_BINDINGS_KAFKA_ERRORS_H

#include <stdbool.h>

enum kafka_error_kind {
    KAFKA_ERROR_NONE,
    KAFKA_ERROR_END,           /* no error: reading came to the end of the partition */
    KAFKA_ERROR_NO_OFFSET,     /* the log does not have the offset */
    KAFKA_ERROR_NO_TOPIC,      /* or no such partition */
    KAFKA_ERROR_TOPIC_REFUSED, /* the login may not read the topic */
    KAFKA_ERROR_LOGIN_REFUSED,
    KAFKA_ERROR_BROKERS_DOWN, /* none can be reached */
    KAFKA_ERROR_CONNECTION,   /* one connection failed; the client opens another by itself */
    KAFKA_ERROR_FENCED,       /* fatal: another member has the same group.instance.id */
    KAFKA_ERROR_FATAL,        /* the client will never work again */
    KAFKA_ERROR_OTHER,
};

struct kafka_error {
    enum kafka_error_kind kind;
    const char *name;   /* static: librdkafka's, for the log */
    const char *reason; /* static: for a reader without a key, so without host or user */
};

/* Whether both are the same error of librdkafka. */
bool kafka_error_same(const struct kafka_error *a, const struct kafka_error *b);
/* code: a rd_kafka_resp_err_t; 0 gives KAFKA_ERROR_NONE, name and reason NULL. */
struct kafka_error kafka_error_of(int code);

#endif
