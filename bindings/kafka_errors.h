/* kafka_errors: librdkafka's errors of a consumer, classified by what the program does next. */
#pragma once

#include <stdbool.h>

#include "tls.h"

enum kafka_error_kind {
    KAFKA_ERROR_NONE,
    KAFKA_ERROR_END,           /* no error: the end of the partition */
    KAFKA_ERROR_NO_OFFSET,     /* the offset is not in the log */
    KAFKA_ERROR_NO_TOPIC,      /* topic or partition is missing */
    KAFKA_ERROR_TOPIC_REFUSED, /* the login may not read the topic */
    KAFKA_ERROR_LOGIN_REFUSED,
    KAFKA_ERROR_BROKERS_DOWN, /* no broker is reachable */
    KAFKA_ERROR_TLS,          /* a handshake failed, or its certificates */
    KAFKA_ERROR_CONNECTION,   /* one connection failed; the client reconnects */
    KAFKA_ERROR_FENCED,       /* fatal: another member has the same group.instance.id */
    KAFKA_ERROR_FATAL,        /* the client cannot work any more */
    KAFKA_ERROR_OTHER,
};

struct kafka_error {
    enum kafka_error_kind kind;
    const char *name;   /* static: librdkafka's name, for the log */
    const char *reason; /* static: for readers without a login, so without host or user */
};

/* Whether both are the same librdkafka error with the same reason. */
bool kafka_error_same(const struct kafka_error *a, const struct kafka_error *b);
/* code: a rd_kafka_resp_err_t; 0 gives KAFKA_ERROR_NONE, name and reason NULL. */
struct kafka_error kafka_error_of(int code);
/* Of a client's connections. detail: librdkafka's text. certificate: why the broker's certificate
 * was refused last. A failure of TLS gets its own reason, also if librdkafka reports it as one of
 * the transport. */
struct kafka_error kafka_error_of_client(int code, const char *detail,
                                         enum tls_failure certificate);
