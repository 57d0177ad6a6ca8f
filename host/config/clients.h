/* clients: what bindings take to reach other systems, as the configuration has it. */
#ifndef AGG_HOST_CONFIG_CLIENTS_H
#define AGG_HOST_CONFIG_CLIENTS_H

#include "bindings/kafka_settings.h"
#include "config.h"

/* Borrowed from the configuration. */
struct kafka_settings config_kafka_settings(const struct config *config);

#endif
