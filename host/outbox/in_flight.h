/* in_flight: messages in flight: given to the Kafka client, outcome not yet written to their rows.
 * A sending is those of the rows that were taken together. One thread; Kafka's delivery reports
 * come on another. */
#pragma once

#include "bindings/kafka_producer.h"
#include "bindings/pg_rows.h"
#include "base/arena.h"

struct sending_message {
    int64_t id;
    int64_t created_us; /* since 1970, by the database's clock */
    const char *topic;
    size_t bytes;
    enum { UNREPORTED, REPORTED, DONE } state; /* DONE: its row has the outcome */
};

struct sending {
    struct sending *next;
    struct arena *arena; /* memory of the messages */
    struct kafka_send *send;
    struct sending_message *messages;
    size_t count;
};

struct in_flight {
    struct sending *first;  /* the oldest */
    size_t messages, bytes; /* that are not DONE */
    int64_t *ids;           /* scratch of in_flight_ids */
    size_t ids_capacity;
};

/* Called with the delivery report of one message. */
typedef void (*in_flight_report)(void *context, const struct sending_message *message,
                                 const struct kafka_delivery *delivery);

/* Produces the rows within the horizon, in order; `done` as in kafka_send_on_done. */
void in_flight_send(struct in_flight *in_flight, struct kafka_producer *producer,
                    const struct pg_result *taken, void (*done)(void *context), void *context);
/* The ids of the messages in flight; valid until the next call. */
const int64_t *in_flight_ids(struct in_flight *in_flight, size_t *count);
/* Calls `report` for each message in flight that has a delivery report. */
void in_flight_read_reports(const struct in_flight *in_flight, in_flight_report report,
                            void *context);
/* The rows have the outcomes of all reports read: frees those messages and complete sendings. */
void in_flight_finish(struct in_flight *in_flight);
/* Drops all, whatever their outcome. */
void in_flight_drop(struct in_flight *in_flight);
