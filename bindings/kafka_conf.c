#include "kafka_conf.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "host_lookup.h"

#define LOOKUP_US 30000000
#define LOOKUP_TURN_US 250000 /* between two looks for a stop of the process */

static void kafka_conf_log(const rd_kafka_t *kafka, int level, const char *facility,
                           const char *text) {
    bool producer = rd_kafka_type(kafka) == RD_KAFKA_PRODUCER;
    /* A producer warns about each consumer property in the options: only errors are logged. */
    int last_warning = producer ? 3 : 4;
    LOG_AT(level <= last_warning ? LOG_WARNING : LOG_DEBUG,
           producer ? "kafka producer" : "kafka client", LOG_TEXT("facility", facility),
           LOG_TEXT("detail", text));
}

/* ---- the names of brokers ------------------------------------------------------------------- */

/* A stop ends it: rd_kafka_destroy joins the broker's thread, which waits here. */
static bool kafka_conf_look_up(const char *name, struct host_addresses *found, struct err *err) {
    int64_t until_us = clock_monotonic_us() + LOOKUP_US, now_us;
    do {
        now_us = clock_monotonic_us();
        if (host_lookup(name, now_us + LOOKUP_TURN_US, found, err)) {
            return true;
        }
    } while (err->kind == ERR_TIMEOUT && now_us < until_us && !stop_requested());
    return false;
}

/* getaddrinfo for librdkafka. Without a name it frees the list. */
static int kafka_conf_resolve(const char *name, const char *service, const struct addrinfo *hints,
                              struct addrinfo **list, void *opaque) {
    struct host_addresses found;
    struct err err = {0};
    (void)opaque;
    if (!name) {
        freeaddrinfo(*list);
        return 0;
    }
    *list = NULL;
    if (!kafka_conf_look_up(name, &found, &err)) {
        return err.kind == ERR_TIMEOUT ? EAI_AGAIN : EAI_NONAME;
    }
    struct addrinfo numeric = *hints, **end = list;
    int failure = 0; /* an address of another family than the hints ask for */
    numeric.ai_flags |= AI_NUMERICHOST;
    for (size_t i = 0; i < found.count; i++) {
        struct addrinfo *one = NULL;
        failure = getaddrinfo(found.items[i], service, &numeric, &one);
        for (*end = failure == 0 ? one : NULL; *end; end = &(*end)->ai_next) {
        }
    }
    host_addresses_free(&found);
    return *list ? 0 : failure;
}

/* ---- properties ----------------------------------------------------------------------------- */

static bool kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                           struct err *err) {
    char text[512];
    return rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK ||
           err_set(err, ERR_INPUT, "kafka property %s: %s", name, text);
}

static bool kafka_conf_set_all(rd_kafka_conf_t *conf, const struct kafka_properties *properties,
                               struct err *err) {
    for (size_t i = 0; i < properties->count; i++) {
        if (!kafka_conf_set(conf, properties->items[i].name, properties->items[i].value, err)) {
            return false;
        }
    }
    return true;
}

/* Each worker is its own member: with one group.instance.id they would fence each other. */
static bool kafka_conf_set_instance(rd_kafka_conf_t *conf, const char *value, int member,
                                    struct err *err) {
    char instance[256];
    if (member < 0) {
        return true;
    }
    int len = snprintf(instance, sizeof instance, "%s-%d", value, member);
    if (len >= (int)sizeof instance) {
        return err_set(err, ERR_INPUT,
                       "kafka property " KAFKA_CONF_INSTANCE
                       ": %d bytes with the worker's number, at most %zu: shorten it",
                       len, sizeof instance - 1);
    }
    return kafka_conf_set(conf, KAFKA_CONF_INSTANCE, instance, err);
}

static bool kafka_conf_set_options(rd_kafka_conf_t *conf, const struct kafka_settings *settings,
                                   int member, struct err *err) {
    bool ok = true;
    for (size_t i = 0; ok && i < settings->option_count; i++) {
        const char *name = settings->option_names[i], *value = settings->option_values[i];
        ok = strcmp(name, KAFKA_CONF_INSTANCE) == 0
                 ? kafka_conf_set_instance(conf, value, member, err)
                 : kafka_conf_set(conf, name, value, err);
    }
    return ok;
}

rd_kafka_conf_t *kafka_conf_create(const struct kafka_conf_options *options, struct err *err) {
    const struct kafka_settings *settings = options->settings;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, kafka_conf_log);
    rd_kafka_conf_set_resolve_cb(conf, kafka_conf_resolve);
    if (!kafka_conf_set(conf, "bootstrap.servers", settings->brokers, err) ||
        !kafka_conf_set(conf, "client.id", settings->client_id, err) ||
        !kafka_conf_set_all(conf, &options->defaults, err) ||
        !kafka_conf_set_options(conf, settings, options->member, err) ||
        !kafka_conf_set_all(conf, &options->invariants, err)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    return conf;
}

/* librdkafka 2.0.2 frees the interceptors of a client that cannot be created, and crashes when it
 * frees them again with the configuration. Such a configuration is kept: the program ends. */
static rd_kafka_conf_t *volatile kafka_conf_kept;

rd_kafka_t *kafka_conf_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, bool intercepted,
                              struct err *err) {
    char text[512];
    rd_kafka_t *kafka = rd_kafka_new(type, conf, text, sizeof text);
    if (!kafka && intercepted) {
        kafka_conf_kept = conf;
    } else if (!kafka) {
        rd_kafka_conf_destroy(conf); /* rd_kafka_new takes it on success only */
    }
    if (!kafka) {
        err_set(err, ERR_INPUT, "cannot create a Kafka %s: %s",
                type == RD_KAFKA_PRODUCER ? "producer" : "consumer", text);
    }
    return kafka;
}
