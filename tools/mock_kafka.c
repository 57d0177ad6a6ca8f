/* mock_kafka: librdkafka's mock cluster as a process: a real broker on the wire, no Java.
 *
 *     mock_kafka FILE TOPIC…    writes the bootstrap servers to FILE, runs until SIGTERM or SIGINT
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <stdio.h>

#define PARTITIONS 3

int main(int argc, char **argv) {
    char text[512];
    sigset_t signals;
    int number;
    if (argc < 2) {
        fputs("usage: mock_kafka FILE TOPIC...\n", stderr);
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    rd_kafka_mock_cluster_t *cluster = client ? rd_kafka_mock_cluster_new(client, 1) : NULL;
    FILE *file = cluster ? fopen(argv[1], "we") : NULL;
    if (!file) {
        fprintf(stderr, "mock_kafka: cannot start, or cannot write %s\n", argv[1]);
        return 1;
    }
    for (int i = 2; i < argc; i++) {
        rd_kafka_mock_topic_create(cluster, argv[i], PARTITIONS, 1);
    }
    fprintf(file, "%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fclose(file);
    sigwait(&signals, &number);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(client);
    return 0;
}
