/* mock_kafka: librdkafka's mock cluster as a process: a real broker on the wire, no Java.
 *
 *     mock_kafka FILE PARTITIONS TOPIC…
 *
 * Writes the bootstrap servers to FILE and runs until SIGTERM or SIGINT. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Whole or not at all: a reader that sees the file sees the servers. */
static bool announce(const char *path, const char *servers) {
    char draft[4096];
    snprintf(draft, sizeof draft, "%s.new", path);
    FILE *file = fopen(draft, "we");
    if (!file) {
        return false;
    }
    bool written = fprintf(file, "%s\n", servers) > 0;
    return fclose(file) == 0 && written && rename(draft, path) == 0;
}

static bool create_topics(rd_kafka_mock_cluster_t *cluster, char **names, int partitions) {
    for (; *names; names++) {
        rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(cluster, *names, partitions, 1);
        if (code) {
            fprintf(stderr, "mock_kafka: topic %s: %s\n", *names, rd_kafka_err2str(code));
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    char text[512] = "the cluster could not be made";
    sigset_t signals;
    int number;
    int partitions = argc > 3 ? atoi(argv[2]) : 0;
    if (partitions < 1) {
        fputs("usage: mock_kafka FILE PARTITIONS TOPIC...\n", stderr);
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    rd_kafka_mock_cluster_t *cluster = client ? rd_kafka_mock_cluster_new(client, 1) : NULL;
    if (!cluster || !create_topics(cluster, argv + 3, partitions) ||
        !announce(argv[1], rd_kafka_mock_cluster_bootstraps(cluster))) {
        fprintf(stderr, "mock_kafka: cannot start, or cannot write %s: %s\n", argv[1], text);
        return 1;
    }
    sigwait(&signals, &number);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(client);
    return 0;
}
