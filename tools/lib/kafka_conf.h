/* kafka_conf: creates a librdkafka client from a table of properties, for the tools. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>

/* Sets the brokers and `count` properties, {name, value} each. Returns false with the reason in
 * `text`. */
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

/* Creates a client with these properties; always takes ownership of conf. NULL: `tool` has printed
 * the error. */
static inline rd_kafka_t *kafka_conf_client(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                                            const char *tool, const char *brokers,
                                            const char *const (*properties)[2], size_t count) {
    char text[512];
    bool good = kafka_conf_set_all(conf, brokers, properties, count, text, sizeof text);
    rd_kafka_t *client = good ? rd_kafka_new(type, conf, text, sizeof text) : NULL;
    if (!client) {
        fprintf(stderr, "%s: cannot make a %s: %s\n", tool,
                type == RD_KAFKA_CONSUMER ? "consumer" : "producer", text);
        rd_kafka_conf_destroy(conf);
    }
    return client;
}
