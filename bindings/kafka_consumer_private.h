/* kafka_consumer_private: shared by the files of kafka_consumer, and for tests. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "kafka_consumer.h"
#include "kafka_files.h"

struct kafka_consumer {
    rd_kafka_t *client;
    int number; /* of the member */
    int nice;   /* added to that of the brokers' threads */
    struct kafka_member_calls calls;
    rd_kafka_queue_t *queue;   /* of messages; NULL: no member */
    rd_kafka_queue_t *replies; /* to offset commits; NULL: no member */
    int event_fd;              /* -1: no member */
    struct kafka_files files;
    _Atomic int refused; /* enum tls_failure: why a broker's certificate was refused last */
    bool stuck;          /* it did not leave the group in time */
    char *brokers;       /* for kafka_login_renew */
    uint64_t login_used; /* for kafka_login_renew */
    size_t taken_bytes;  /* since the brokers' threads last looked at the queue */
    rd_kafka_topic_partition_list_t *fetched; /* NULL: nothing */
};

/* kafka_group.c: librdkafka's rebalance callback. */
void kafka_group_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                           rd_kafka_topic_partition_list_t *partitions, void *consumer);
/* The caller destroys it. */
rd_kafka_topic_partition_list_t *kafka_places_list(const struct kafka_place *places, size_t count);
