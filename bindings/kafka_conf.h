/* kafka_conf: the one set-up of a librdkafka client, consumer or producer: brokers, the
 * configuration's own options, the program's properties, and librdkafka's log. For bindings only.
 */
#ifndef AGG_BINDINGS_KAFKA_CONF_H
#define AGG_BINDINGS_KAFKA_CONF_H

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
    int member; /* >= 0: is added to a group.instance.id (ID-0, ID-1); else the client has none */
    struct kafka_properties defaults;   /* the settings' options may change them */
    struct kafka_properties invariants; /* the program relies on them */
};

/* The caller destroys it, unless it gives it to kafka_conf_client. NULL: err names the property. */
rd_kafka_conf_t *kafka_conf_create(const struct kafka_conf_options *options, struct err *err);
/* A client; no network yet. Takes conf in any case. NULL: ERR_INPUT. */
rd_kafka_t *kafka_conf_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct err *err);

#endif
