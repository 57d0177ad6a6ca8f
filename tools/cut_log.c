/* cut_log: deletes the records before an offset, as retention does.
 *
 *     cut_log BROKERS TOPIC PARTITION OFFSET [TOPIC PARTITION OFFSET]…
 *
 * Ends when the broker has confirmed it. The embedded broker does not support it. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 30000

static int check(rd_kafka_event_t *event) {
    const rd_kafka_DeleteRecords_result_t *result = rd_kafka_event_DeleteRecords_result(event);
    if (rd_kafka_event_error(event) || !result) {
        fprintf(stderr, "cut_log: %s\n", rd_kafka_event_error_string(event));
        return 1;
    }
    const rd_kafka_topic_partition_list_t *list = rd_kafka_DeleteRecords_result_offsets(result);
    int failures = 0;
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *partition = &list->elems[i];
        if (partition->err) {
            fprintf(stderr, "cut_log: %s [%d]: %s\n", partition->topic, partition->partition,
                    rd_kafka_err2str(partition->err));
            failures++;
        }
    }
    return failures;
}

static int cut(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list) {
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteRecords_t *wanted = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(client, &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    int failures = event ? check(event) : 1;
    if (event) {
        rd_kafka_event_destroy(event);
    } else {
        fputs("cut_log: the broker did not reply\n", stderr);
    }
    rd_kafka_DeleteRecords_destroy(wanted);
    rd_kafka_queue_destroy(queue);
    return failures;
}

int main(int argc, char **argv) {
    char text[512];
    if (argc < 5 || (argc - 2) % 3 != 0) {
        fputs("usage: cut_log BROKERS TOPIC PARTITION OFFSET...\n", stderr);
        return 2;
    }
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *client = NULL;
    if (rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], text, sizeof text) ==
        RD_KAFKA_CONF_OK) {
        client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    }
    if (!client) {
        fprintf(stderr, "cut_log: cannot start: %s\n", text);
        return 1;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(argc / 3);
    for (int i = 2; i < argc; i += 3) {
        rd_kafka_topic_partition_list_add(list, argv[i], atoi(argv[i + 1]))->offset =
            strtoll(argv[i + 2], NULL, 10);
    }
    int failures = cut(client, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(client);
    return failures ? 1 : 0;
}
