/* flights: messages in flight: given to the Kafka client, outcome not yet written to their rows. A
 * flight is one batch of them. One thread; Kafka's delivery reports come on another. */
#pragma once

#include "bindings/kafka_producer.h"
#include "bindings/pg_rows.h"
#include "base/arena.h"

struct flight_message {
    int64_t id;
    int64_t created_us; /* since 1970, by the database's clock */
    const char *topic;
    size_t bytes;
    enum { FLYING, REPORTED, DONE } state; /* DONE: its row has the outcome */
};

struct flight {
    struct flight *next;
    struct arena *arena; /* memory of the messages */
    struct kafka_send *send;
    struct flight_message *messages;
    size_t count;
};

struct flights {
    struct flight *first;   /* the oldest */
    size_t messages, bytes; /* that are not DONE */
    int64_t *ids;           /* scratch of flights_ids */
    size_t ids_capacity;
};

/* Called with the delivery report of one message. */
typedef void (*flight_report)(void *context, const struct flight_message *message,
                              const struct kafka_delivery *delivery);

/* Produces the rows within the horizon, in order; `done` as in kafka_send_on_done. */
void flights_launch(struct flights *flights, struct kafka_producer *producer,
                    const struct pg_result *taken, void (*done)(void *context), void *context);
/* The ids of the messages in flight; valid until the next call. */
const int64_t *flights_ids(struct flights *flights, size_t *count);
/* Calls `report` for each message in flight that has a delivery report. */
void flights_read_reports(const struct flights *flights, flight_report report, void *context);
/* The rows have the outcomes of all reports read: frees those messages and complete flights. */
void flights_finish(struct flights *flights);
/* Drops all, whatever their outcome. */
void flights_drop(struct flights *flights);
