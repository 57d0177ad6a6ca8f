/* mock_kafka: runs librdkafka's mock cluster as a process: Kafka's protocol without Java.
 *
 *     mock_kafka FILE PARTITIONS TOPIC…
 *
 * Writes the bootstrap servers to FILE and runs until SIGTERM or SIGINT. */
#include <arpa/inet.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NUDGE_INTERVAL_US 2000

static atomic_bool ready;

/* librdkafka 2.0.2: the cluster's thread may miss a request and sleep for a second, for each topic.
 * A connection wakes it, so connections are opened until all topics exist. */
static void *nudge(void *servers) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)atoi(strrchr(servers, ':') + 1));
    while (!atomic_load(&ready)) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0) {
            (void)connect(fd, (struct sockaddr *)&address, sizeof address); /* refused: next time */
            close(fd);
        }
        usleep(NUDGE_INTERVAL_US);
    }
    return NULL;
}

/* Writes the file atomically: a reader never sees a part of it. */
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
    pthread_t nudger;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (pthread_create(&nudger, NULL, nudge, (void *)rd_kafka_mock_cluster_bootstraps(cluster))) {
        return false;
    }
    for (; *names && !code; names++) {
        code = rd_kafka_mock_topic_create(cluster, *names, partitions, 1);
        if (code) {
            fprintf(stderr, "mock_kafka: topic %s: %s\n", *names, rd_kafka_err2str(code));
        }
    }
    atomic_store(&ready, true);
    pthread_join(nudger, NULL);
    return !code;
}

int main(int argc, char **argv) {
    char text[512] = "the cluster could not be created";
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
    _exit(0); /* nothing is kept, and taking a cluster down in order takes a second or two */
}
