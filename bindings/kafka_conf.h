/* kafka_conf: creates a librdkafka client, consumer or producer, from the settings, the program's
 * properties and the options of config.lua; routes librdkafka's log. For bindings only. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "base/err.h"
#include "kafka_settings.h"

/* The option that makes a consumer a static member of its group. */
#define KAFKA_CONF_INSTANCE "group.instance.id"

struct kafka_property {
    const char *name, *value;
};
struct kafka_properties {
    const struct kafka_property *items;
    size_t count;
};

struct kafka_conf_options {
    const struct kafka_settings *settings;
    int member; /* >= 0: suffix of group.instance.id (ID-0, ID-1); else the client has none */
    struct kafka_properties defaults;   /* the settings' options override them */
    struct kafka_properties invariants; /* they override the options */
};

/* The caller destroys it or passes it to kafka_conf_client. NULL: err names the property. */
rd_kafka_conf_t *kafka_conf_create(const struct kafka_conf_options *options, struct err *err);
/* A client; opens no connection yet. Takes conf, also on failure. intercepted: conf has
 * interceptors. NULL: ERR_INPUT. */
rd_kafka_t *kafka_conf_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, bool intercepted,
                              struct err *err);
