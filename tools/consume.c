/* consume: reads topics to their end and discards the records: the upper limit for ingestion with
 * this Kafka and its client.
 *
 *     consume BROKERS RECORDS TOPIC…
 *
 * Ends after RECORDS records. Prints the seconds from the first to the last, and the microseconds
 * of its own CPU for each. */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "lib/own_cpu.h"
#include "lib/kafka_conf.h"

#define PATIENCE_MS 30000 /* for the next record */

/* More than a second of records: the client re-checks a full queue only after a second. */
static const char *const properties[][2] = {
    {"group.id", "bench-consume"},     {"enable.auto.commit", "false"},
    {"auto.offset.reset", "earliest"}, {"queued.max.messages.kbytes", "65536"},
    {"queued.min.messages", "100000"},
};

static rd_kafka_t *connect_to(const char *brokers) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *client = kafka_conf_client(RD_KAFKA_CONSUMER, conf, "consume", brokers, properties,
                                           sizeof properties / sizeof *properties);
    if (client) {
        rd_kafka_poll_set_consumer(client);
    }
    return client;
}

static bool subscribe(rd_kafka_t *client, char **topics, int count) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++) {
        rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t code = rd_kafka_subscribe(client, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code) {
        fprintf(stderr, "consume: %s\n", rd_kafka_err2str(code));
    }
    return !code;
}

/* Returns false if the records do not arrive. */
static bool read_records(rd_kafka_t *client, long wanted, int64_t *started_us) {
    for (long count = 0; count < wanted;) {
        rd_kafka_message_t *record = rd_kafka_consumer_poll(client, PATIENCE_MS);
        if (!record) {
            fprintf(stderr, "consume: no record arrived after %ld records\n", count);
            return false;
        }
        if (!record->err && count++ == 0) {
            *started_us = clock_monotonic_us();
        } else if (record->err) {
            fprintf(stderr, "consume: %s\n", rd_kafka_message_errstr(record));
        }
        rd_kafka_message_destroy(record);
    }
    return true;
}

int main(int argc, char **argv) {
    long wanted = argc > 3 ? strtol(argv[2], NULL, 10) : 0;
    if (wanted <= 0) {
        fputs("usage: consume BROKERS RECORDS TOPIC…\n", stderr);
        return 2;
    }
    rd_kafka_t *client = connect_to(argv[1]);
    if (!client) {
        return 1;
    }
    int64_t started_us = 0;
    bool ok = subscribe(client, argv + 3, argc - 3) && read_records(client, wanted, &started_us);
    if (ok) {
        printf("%.3f s, %.2f us of CPU a row\n", (double)(clock_monotonic_us() - started_us) / 1e6,
               own_cpu_us() / (double)wanted);
    }
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    return ok ? 0 : 1;
}
