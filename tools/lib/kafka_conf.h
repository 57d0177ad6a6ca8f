/* kafka_conf: a librdkafka configuration from a table, for the tools. */
#ifndef AGG_TOOLS_KAFKA_CONF_H
#define AGG_TOOLS_KAFKA_CONF_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

/* Sets the brokers and `count` properties, {name, value} each. False: `text` says why. */
static inline bool kafka_conf_set_all(rd_kafka_conf_t *conf, const char *brokers,
                                      const char *const (*properties)[2], size_t count, char *text,
                                      size_t cap) {
    bool good =
        rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, cap) == RD_KAFKA_CONF_OK;
    for (size_t i = 0; good && i < count; i++) {
        good = rd_kafka_conf_set(conf, properties[i][0], properties[i][1], text, cap) ==
               RD_KAFKA_CONF_OK;
    }
    return good;
}

#endif
