/* kafka_settings: how Kafka clients reach the cluster. Borrowed for the call. */
#pragma once

#include <stddef.h>

struct kafka_settings {
    const char *brokers; /* host:port,host:port */
    const char *client_id;
    const char *group;      /* consumers only */
    int session_timeout_ms; /* consumers only */
    /* librdkafka's properties; those that the program sets itself take precedence. */
    char *const *option_names;
    char *const *option_values;
    size_t option_count;
};
