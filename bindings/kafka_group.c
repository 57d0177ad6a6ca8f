/* kafka_group: assignment of partitions, rebalances, and offset commits of a consumer group. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "kafka_consumer_private.h"

/* ---- places -------------------------------------------------------------------------------- */

rd_kafka_topic_partition_list_t *kafka_places_list(const struct kafka_place *places, size_t count) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_topic_partition_list_add(list, places[i].topic, places[i].partition)->offset =
            places[i].offset;
    }
    return list;
}

static struct kafka_place kafka_group_place_of(const rd_kafka_topic_partition_t *element) {
    return (struct kafka_place){element->topic, element->partition, element->offset,
                                kafka_error_of(element->err)};
}

/* ---- fetching ------------------------------------------------------------------------------ */

bool kafka_consumer_is_cooperative(const struct kafka_consumer *consumer) {
    const char *protocol = rd_kafka_rebalance_protocol(consumer->client); /* NULL once closed */
    return protocol && strcmp(protocol, "COOPERATIVE") == 0;
}

static bool kafka_group_take_error(rd_kafka_error_t *error, struct err *err) {
    if (!error) {
        return true;
    }
    err_set(err, ERR_UNAVAILABLE, "cannot assign partitions: %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return false;
}

/* Stops fetching all partitions. */
static bool kafka_group_unassign_all(rd_kafka_t *client, struct err *err) {
    rd_kafka_topic_partition_list_t *fetched = NULL;
    rd_kafka_resp_err_t code = rd_kafka_assignment(client, &fetched);
    if (code) {
        return err_set(err, ERR_UNAVAILABLE, "cannot query the assignment: %s",
                       rd_kafka_err2str(code));
    }
    bool ok = kafka_group_take_error(rd_kafka_incremental_unassign(client, fetched), err);
    rd_kafka_topic_partition_list_destroy(fetched);
    return ok;
}

static bool kafka_group_assign_all(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list,
                                   struct err *err) {
    rd_kafka_resp_err_t code = rd_kafka_assign(client, list);
    return !code ||
           err_set(err, ERR_UNAVAILABLE, "cannot assign partitions: %s", rd_kafka_err2str(code));
}

/* Takes the list. */
static void kafka_group_note_fetched(struct kafka_consumer *consumer,
                                     rd_kafka_topic_partition_list_t *list) {
    if (consumer->fetched) {
        rd_kafka_topic_partition_list_destroy(consumer->fetched);
    }
    consumer->fetched = list;
}

bool kafka_consumer_fetch(struct kafka_consumer *consumer, const struct kafka_place *places,
                          size_t count, struct err *err) {
    rd_kafka_t *client = consumer->client;
    rd_kafka_topic_partition_list_t *list = kafka_places_list(places, count);
    bool ok;
    if (kafka_consumer_is_cooperative(consumer)) {
        ok = kafka_group_unassign_all(client, err) &&
             (count == 0 || kafka_group_take_error(rd_kafka_incremental_assign(client, list), err));
    } else {
        ok = kafka_group_assign_all(client, list, err);
    }
    kafka_group_note_fetched(consumer, list);
    return ok;
}

/* Confirms the rebalance; fetches nothing until kafka_consumer_fetch. */
static bool kafka_group_confirm(struct kafka_consumer *consumer,
                                const struct kafka_rebalance *rebalance, struct err *err) {
    rd_kafka_t *client = consumer->client;
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    bool ok = !rebalance->cooperative || kafka_group_unassign_all(client, err);
    if (ok && rebalance->cooperative && rebalance->come) {
        ok = kafka_group_take_error(rd_kafka_incremental_assign(client, none), err);
    } else if (!rebalance->cooperative) {
        ok = kafka_group_assign_all(client, rebalance->come ? none : NULL, err);
    }
    rd_kafka_topic_partition_list_destroy(none);
    kafka_group_note_fetched(consumer, NULL);
    return ok;
}

void kafka_group_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                           rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    struct kafka_consumer *consumer = opaque;
    struct err err = {0};
    struct kafka_place *places = xcalloc((size_t)partitions->cnt + 1, sizeof *places);
    for (int i = 0; i < partitions->cnt; i++) {
        places[i] = kafka_group_place_of(&partitions->elems[i]);
    }
    bool come = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    struct kafka_rebalance rebalance = {
        .come = come,
        .lost = !come && rd_kafka_assignment_lost(client),
        .cooperative = kafka_consumer_is_cooperative(consumer),
        .places = places,
        .count = (size_t)partitions->cnt,
    };
    consumer->calls.on_rebalance(consumer->calls.context, &rebalance);
    if (!kafka_group_confirm(consumer, &rebalance, &err)) {
        log_warning("Kafka consumer could not confirm a rebalance",
                    LOG_INT("member", consumer->number), LOG_TEXT("error", err.text));
    }
    free(places);
}

bool kafka_consumer_set_paused(struct kafka_consumer *consumer, const char *topic,
                               int32_t partition, bool paused, struct err *err) {
    struct kafka_place place = {.topic = topic, .partition = partition};
    rd_kafka_topic_partition_list_t *list = kafka_places_list(&place, 1);
    rd_kafka_resp_err_t code = paused ? rd_kafka_pause_partitions(consumer->client, list)
                                      : rd_kafka_resume_partitions(consumer->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return !code || err_set(err, ERR_UNAVAILABLE, "cannot pause or resume %s [%d]: %s", topic,
                            partition, rd_kafka_err2str(code));
}

/* ---- the group ----------------------------------------------------------------------------- */

bool kafka_consumer_subscribe(struct kafka_consumer *consumer, const char *const *topics,
                              size_t count, struct err *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t code = rd_kafka_subscribe(consumer->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return !code || err_set(err, ERR_INTERNAL, "cannot subscribe: %s", rd_kafka_err2str(code));
}

void kafka_consumer_beat(struct kafka_consumer *consumer) {
    rd_kafka_topic_partition_list_t *subscribed = NULL;
    /* The main thread answers it. */
    if (rd_kafka_subscription(consumer->client, &subscribed) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_topic_partition_list_destroy(subscribed);
    }
}

int64_t kafka_consumer_rebalance_limit_us(const struct kafka_consumer *consumer) {
    char text[32] = "";
    size_t size = sizeof text;
    if (rd_kafka_conf_get(rd_kafka_conf(consumer->client), "max.poll.interval.ms", text, &size) !=
        RD_KAFKA_CONF_OK) {
        return INT64_MAX;
    }
    return strtoll(text, NULL, 10) * 1000;
}

bool kafka_consumer_report(struct kafka_consumer *consumer, const struct kafka_place *places,
                           size_t count) {
    rd_kafka_topic_partition_list_t *list = kafka_places_list(places, count);
    rd_kafka_resp_err_t code =
        rd_kafka_commit_queue(consumer->client, list, consumer->replies, NULL, NULL);
    rd_kafka_topic_partition_list_destroy(list);
    return !code;
}

bool kafka_consumer_report_reply(struct kafka_consumer *consumer, int timeout_ms,
                                 void (*on_place)(void *context, const struct kafka_place *place),
                                 void *context, struct kafka_error *refusal) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(consumer->replies, timeout_ms);
    bool replied = event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT;
    if (replied) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
        *refusal = kafka_error_of(rd_kafka_event_error(event));
        for (int i = 0; list && i < list->cnt; i++) {
            struct kafka_place place = kafka_group_place_of(&list->elems[i]);
            *refusal = refusal->kind == KAFKA_ERROR_NONE ? place.error : *refusal;
            on_place(context, &place);
        }
    }
    if (event) {
        rd_kafka_event_destroy(event);
    }
    return replied;
}
