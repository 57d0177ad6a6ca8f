#include "clients.h"

struct kafka_settings config_kafka_settings(const struct config *config) {
    return (struct kafka_settings){
        .brokers = config->kafka.brokers,
        .client_id = config->kafka.client_id,
        .group = config->kafka.group,
        .session_timeout_ms = config->kafka.session_timeout_ms,
        .option_names = config->kafka.options.names,
        .option_values = config->kafka.options.values,
        .option_count = config->kafka.options.count,
    };
}
