/* feed: publishes a file of events, or creates topics.
 *
 *     feed BROKERS FILE [EVENTS_PER_SECOND]
 *     feed --create PARTITIONS BROKERS TOPIC…
 *
 * FILE has one JSON object a line: topic, key, and value (published byte for byte) or raw_b64 (the
 * bytes in base64; null: a record without value). Ends when every delivery is reported. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "lib/kafka_conf.h"
#include "author/record.h"

#define FLUSH_TIMEOUT_MS 120000 /* a broker that restarts is waited for */
#define CREATE_TIMEOUT_MS 30000

static int failures;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    (void)client;
    (void)opaque;
    if (message->err) {
        fprintf(stderr, "feed: %s\n", rd_kafka_err2str(message->err));
        failures++;
    }
}

static void publish(rd_kafka_t *client, const struct record *record) {
    rd_kafka_resp_err_t code = rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC(record->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(record->key.data, record->key.len),
        RD_KAFKA_V_VALUE((void *)record->payload.data, record->payload.len), RD_KAFKA_V_END);
    if (code) {
        fprintf(stderr, "feed: %s\n", rd_kafka_err2str(code));
        failures++;
    }
}

/* Deliveries are reported meanwhile. */
static void wait_until_due(rd_kafka_t *client, int64_t due_us) {
    int wait_ms;
    while ((wait_ms = clock_remaining_ms(due_us)) > 0) {
        rd_kafka_poll(client, wait_ms);
    }
    rd_kafka_poll(client, 0);
}

static int publish_file(rd_kafka_t *client, FILE *file, double events_per_second) {
    char *line = NULL;
    size_t cap = 0;
    int count = 0;
    int64_t started_us = clock_monotonic_us();
    while (getline(&line, &cap, file) > 0) {
        struct record record;
        if (!record_read(line, &record)) {
            fprintf(stderr, "feed: line %d is not a record\n", count + 1);
            failures++;
            continue;
        }
        publish(client, &record);
        count++;
        if (events_per_second > 0) {
            wait_until_due(client, started_us + (int64_t)(count * 1e6 / events_per_second));
        }
        rd_kafka_poll(client, 0);
    }
    free(line);
    return count;
}

static rd_kafka_t *connect_to(const char *brokers) {
    static const char *const properties[][2] = {
        {"enable.idempotence", "true"}, /* a retry neither doubles an event nor reorders a key */
        {"queue.buffering.max.messages", "10000000"},
        {"linger.ms", "1"},
        {"message.max.bytes", "67108864"}, /* the broker's own limit is the one that counts */
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return kafka_conf_client(RD_KAFKA_PRODUCER, conf, "feed", brokers, properties,
                             sizeof properties / sizeof *properties);
}

static int feed(const char *brokers, const char *path, double events_per_second) {
    FILE *file = fopen(path, "re");
    if (!file) {
        fprintf(stderr, "feed: cannot read %s\n", path);
        return 1;
    }
    rd_kafka_t *client = connect_to(brokers);
    if (!client) {
        fclose(file);
        return 1;
    }
    int count = publish_file(client, file, events_per_second);
    rd_kafka_resp_err_t code = rd_kafka_flush(client, FLUSH_TIMEOUT_MS);
    printf("%d events published, %d failures\n", count, failures + (code != 0));
    fclose(file);
    rd_kafka_destroy(client);
    return failures || code ? 1 : 0;
}

/* ---- topics ------------------------------------------------------------------------------- */

static bool check_created(rd_kafka_event_t *event) {
    size_t count;
    bool good = true;
    if (rd_kafka_event_error(event)) {
        fprintf(stderr, "feed: topics: %s\n", rd_kafka_event_error_string(event));
        return false;
    }
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
        if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            fprintf(stderr, "feed: topic %s: %s\n", rd_kafka_topic_result_name(results[i]),
                    rd_kafka_err2str(code));
            good = false;
        }
    }
    return good;
}

static bool request_topics(rd_kafka_t *client, char **names, size_t count, int partitions) {
    char text[512];
    rd_kafka_NewTopic_t **topics = calloc(count, sizeof *topics);
    bool good = topics != NULL;
    for (size_t i = 0; good && i < count; i++) {
        topics[i] = rd_kafka_NewTopic_new(names[i], partitions, 1, text, sizeof text);
        if (!topics[i]) {
            fprintf(stderr, "feed: topic %s: %s\n", names[i], text);
            good = false;
        }
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    if (good) {
        rd_kafka_CreateTopics(client, topics, count, NULL, queue);
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CREATE_TIMEOUT_MS);
        good = event && check_created(event);
        if (!event) {
            fputs("feed: no reply from the broker\n", stderr);
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    for (size_t i = 0; topics && i < count && topics[i]; i++) {
        rd_kafka_NewTopic_destroy(topics[i]);
    }
    free(topics);
    return good;
}

static int create(const char *brokers, char **names, size_t count, int partitions) {
    rd_kafka_t *client = connect_to(brokers);
    bool good = client && request_topics(client, names, count, partitions);
    if (client) {
        rd_kafka_destroy(client);
    }
    return good ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc > 4 && strcmp(argv[1], "--create") == 0 && atoi(argv[2]) > 0) {
        return create(argv[3], argv + 4, (size_t)argc - 4, atoi(argv[2]));
    }
    if (argc == 3 || argc == 4) {
        return feed(argv[1], argv[2], argc == 4 ? strtod(argv[3], NULL) : 0);
    }
    fputs("usage: feed BROKERS FILE [EVENTS_PER_SECOND]\n"
          "       feed --create PARTITIONS BROKERS TOPIC...\n",
          stderr);
    return 2;
}
