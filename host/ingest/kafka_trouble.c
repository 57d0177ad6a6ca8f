/* kafka_trouble: partitions with unreadable records, topics without access, clients without login,
 * broker or group membership. The offset stays, others go on, and each is logged once, published
 * and retried. No record is skipped. */
#include <stdlib.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "worker.h"

#define RETRY_FIRST_US 1000000
#define RETRY_LAST_US 30000000
#define METADATA_TIMEOUT_MS 1000

static void kafka_trouble_changed(struct worker *worker) {
    worker->pipeline.waits.changed = true;
}

/* ---- partitions ---------------------------------------------------------------------------- */

static void kafka_trouble_hold(struct worker *worker, struct partition *partition,
                               const struct kafka_message *message) {
    struct partition_trouble *trouble = &partition->trouble;
    const char *reason = message->error.reason;
    if (!trouble->reason) {
        worker->trouble.partitions++;
        *trouble = (struct partition_trouble){.since_wall_us = clock_wall_us()};
    }
    if (trouble->reason != reason || trouble->offset != message->offset) {
        log_error("a partition waits: its records cannot be read",
                  LOG_TEXT("topic", partition->topic), LOG_INT("partition", partition->number),
                  LOG_INT("offset", message->offset),
                  LOG_INT("committed", partition->committed_offset), LOG_TEXT("reason", reason),
                  LOG_TEXT("detail", message->detail));
    }
    trouble->reason = reason;
    trouble->offset = message->offset;
    if (trouble->retry_at_us == 0) { /* else the error is of an earlier fetch */
        trouble->retry_at_us =
            clock_monotonic_us() + backoff_us(trouble->tries++, RETRY_FIRST_US, RETRY_LAST_US);
        worker->pipeline.waits.refetch = true;
        kafka_trouble_changed(worker);
    }
}

void trouble_retry(struct worker *worker, int64_t now_us) {
    struct partitions *partitions = &worker->pipeline.partitions;
    for (size_t i = 0; worker->trouble.partitions > 0 && i < partitions->count; i++) {
        struct partition_trouble *trouble = &partitions->items[i].trouble;
        if (trouble->retry_at_us != 0 && trouble->retry_at_us <= now_us) {
            trouble->retry_at_us = 0;
            worker->pipeline.waits.refetch = true;
            kafka_trouble_changed(worker);
        }
    }
}

void trouble_forget_partitions(struct worker *worker) {
    struct partitions *partitions = &worker->pipeline.partitions;
    for (size_t i = 0; i < partitions->count; i++) {
        partitions->items[i].trouble = (struct partition_trouble){0};
    }
    worker->trouble.partitions = 0;
    kafka_trouble_changed(worker);
}

/* ---- topics -------------------------------------------------------------------------------- */

static struct refused_topic *kafka_trouble_find_topic(const struct worker *worker,
                                                      const char *name) {
    for (size_t i = 0; i < worker->trouble.topic_count; i++) {
        if (strcmp(worker->trouble.topics[i].name, name) == 0) {
            return &worker->trouble.topics[i];
        }
    }
    return NULL;
}

static void kafka_trouble_add_topic(struct worker *worker, const char *name, const char *reason) {
    struct client_trouble *trouble = &worker->trouble;
    if (kafka_trouble_find_topic(worker, name)) {
        return;
    }
    log_error("a topic waits: kafka refuses access", LOG_TEXT("topic", name),
              LOG_TEXT("reason", reason));
    trouble->topics =
        xrealloc(trouble->topics, (trouble->topic_count + 1) * sizeof *trouble->topics);
    trouble->topics[trouble->topic_count++] =
        (struct refused_topic){xstrdup(name), reason, clock_wall_us()};
    kafka_trouble_changed(worker);
}

static void kafka_trouble_drop_topic(struct worker *worker, size_t at) {
    struct client_trouble *trouble = &worker->trouble;
    free(trouble->topics[at].name);
    trouble->topics[at] = trouble->topics[--trouble->topic_count];
    kafka_trouble_changed(worker);
}

void trouble_forget_topics(struct worker *worker) {
    while (worker->trouble.topic_count > 0) {
        kafka_trouble_drop_topic(worker, 0);
    }
    free(worker->trouble.topics);
    worker->trouble.topics = NULL;
}

/* Drops those that may be read now. Ends if no broker replies: each query would block. */
static void kafka_trouble_look_at_topics(struct worker *worker) {
    for (size_t i = worker->trouble.topic_count; i > 0 && worker->kafka; i--) {
        const char *name = worker->trouble.topics[i - 1].name;
        enum kafka_access access =
            kafka_consumer_topic_access(worker->kafka, name, METADATA_TIMEOUT_MS);
        if (access == KAFKA_ACCESS_UNKNOWN) {
            return;
        }
        if (access == KAFKA_ACCESS_GIVEN) {
            log_info("a topic resumed", LOG_TEXT("topic", name));
            kafka_trouble_drop_topic(worker, i - 1);
        }
    }
}

/* ---- the client ---------------------------------------------------------------------------- */

static void kafka_trouble_publish(struct worker *worker) {
    pthread_mutex_lock(&worker->status.lock);
    worker->status.kafka = worker->trouble.error.reason;
    pthread_mutex_unlock(&worker->status.lock);
}

void trouble_note_client(struct worker *worker, const struct kafka_error *error,
                         const char *detail) {
    struct kafka_error *present = &worker->trouble.error;
    /* "All brokers are down" may follow from a refused login: the first error is the cause. */
    bool known = kafka_error_same(present, error) ||
                 (present->kind != KAFKA_ERROR_NONE && error->kind == KAFKA_ERROR_BROKERS_DOWN);
    if (known || error->kind == KAFKA_ERROR_CONNECTION || error->kind == KAFKA_ERROR_FATAL) {
        return;
    }
    *present = *error;
    log_error("the kafka client cannot read", LOG_INT("worker", worker->number),
              LOG_TEXT("reason", error->reason), LOG_TEXT("code", error->name),
              LOG_TEXT("detail", detail));
    kafka_trouble_publish(worker);
}

void trouble_end_client(struct worker *worker) {
    if (worker->trouble.error.kind != KAFKA_ERROR_NONE) {
        log_info("the kafka client reads again", LOG_INT("worker", worker->number),
                 LOG_TEXT("after", worker->trouble.error.reason));
        worker->trouble.error = (struct kafka_error){0};
        kafka_trouble_publish(worker);
    }
}

/* ---- errors and signs of life -------------------------------------------------------------- */

void trouble_note_message(struct worker *worker, struct partition *partition,
                          const struct kafka_message *message) {
    if (partition) {
        kafka_trouble_hold(worker, partition, message);
    } else if (!message->topic) {
        trouble_note_client(worker, &message->error, message->detail);
    } else if (message->error.kind == KAFKA_ERROR_TOPIC_REFUSED) {
        kafka_trouble_add_topic(worker, message->topic, message->error.reason);
    } else {
        log_warning("the kafka client reported an error", LOG_TEXT("topic", message->topic),
                    LOG_TEXT("error", message->detail));
    }
}

void trouble_end_partition(struct worker *worker, struct partition *partition) {
    trouble_end_client(worker);
    if (partition->trouble.reason && partition->trouble.retry_at_us == 0) {
        log_info("a partition resumed", LOG_TEXT("topic", partition->topic),
                 LOG_INT("partition", partition->number));
        partition->trouble = (struct partition_trouble){0};
        worker->trouble.partitions--;
        kafka_trouble_changed(worker);
    }
}

void trouble_look(struct worker *worker) {
    kafka_trouble_look_at_topics(worker);
    if (worker->trouble.error.kind != KAFKA_ERROR_NONE && consumer_is_fetching(worker)) {
        /* An idle client gives no sign when its brokers return. */
        int64_t before = worker->ends_received;
        lag_ask_ends(worker);
        if (worker->ends_received > before) {
            trouble_end_client(worker);
        }
    }
}

/* ---- status -------------------------------------------------------------------------------- */

static void kafka_trouble_append_begin(struct buffer *json, const char *topic) {
    buffer_append_text(json, json->len > 0 ? ",{" : "{");
    json_put_text(json, "topic", slice_of(topic));
}

static void kafka_trouble_append_end(struct buffer *json, int64_t since_wall_us,
                                     const char *reason) {
    json_put_text(json, "cause", slice_of("kafka"));
    json_put_time(json, "since", since_wall_us);
    json_put_text(json, "reason", slice_of(reason));
    buffer_append_text(json, "}");
}

static void kafka_trouble_append_partition(struct buffer *json, const struct partition *partition) {
    const struct partition_trouble *trouble = &partition->trouble;
    kafka_trouble_append_begin(json, partition->topic);
    json_put_int(json, "partition", partition->number);
    json_put_int(json, "offset", trouble->offset);
    json_put_int(json, "tries", trouble->tries);
    if (trouble->retry_at_us != 0) {
        int64_t left_us = trouble->retry_at_us - clock_monotonic_us();
        json_put_time(json, "next_try", clock_wall_us() + left_us);
    }
    kafka_trouble_append_end(json, trouble->since_wall_us, trouble->reason);
}

int trouble_append(const struct worker *worker, size_t most, struct buffer *json) {
    const struct partitions *partitions = &worker->pipeline.partitions;
    size_t total = 0;
    for (size_t i = 0; worker->trouble.partitions > 0 && i < partitions->count; i++) {
        if (partitions->items[i].trouble.reason && total++ < most) {
            kafka_trouble_append_partition(json, &partitions->items[i]);
        }
    }
    for (size_t i = 0; i < worker->trouble.topic_count; i++) {
        const struct refused_topic *topic = &worker->trouble.topics[i];
        if (total++ < most) {
            kafka_trouble_append_begin(json, topic->name);
            kafka_trouble_append_end(json, topic->since_wall_us, topic->reason);
        }
    }
    return (int)total;
}

bool trouble_has_topic(const struct worker *worker, const char *topic) {
    const struct partitions *partitions = &worker->pipeline.partitions;
    for (size_t i = 0; worker->trouble.partitions > 0 && i < partitions->count; i++) {
        const struct partition *partition = &partitions->items[i];
        if (partition->trouble.reason && strcmp(partition->topic, topic) == 0) {
            return true;
        }
    }
    return kafka_trouble_find_topic(worker, topic) != NULL;
}
