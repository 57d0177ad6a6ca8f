/* kafka_settings: how the program's Kafka clients reach the cluster. Plain values, borrowed for the
 * call that takes them. */
#ifndef AGG_BINDINGS_KAFKA_SETTINGS_H
#define AGG_BINDINGS_KAFKA_SETTINGS_H

#include <stddef.h>

struct kafka_settings {
    const char *brokers; /* host:port, with commas */
    const char *client_id;
    const char *group;      /* consumers only */
    int session_timeout_ms; /* consumers only */
    /* librdkafka's properties by name; what the program relies on they do not change. */
    char *const *option_names;
    char *const *option_values;
    size_t option_count;
};

#endif
