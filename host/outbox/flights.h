/* flights: messages that the Kafka client has and whose rows do not say yet what became of them. A
 * flight is what was taken at once. One thread; Kafka's reports come on another one. */
#ifndef AGG_HOST_OUTBOX_FLIGHTS_H
#define AGG_HOST_OUTBOX_FLIGHTS_H

#include "bindings/kafka_producer.h"
#include "bindings/pg_rows.h"
#include "base/arena.h"

struct flight_message {
    int64_t id;
    int64_t created_us; /* Unix, by the database's clock */
    const char *topic;
    size_t bytes;
    enum { FLYING, TOLD, OVER } state; /* OVER: its row says what became of it */
};

struct flight {
    struct flight *next;
    struct arena *arena; /* what the messages are in */
    struct kafka_send *send;
    struct flight_message *messages;
    size_t count;
};

struct flights {
    struct flight *first;   /* the oldest */
    size_t messages, bytes; /* that are not over */
    int64_t *ids;           /* scratch of flights_ids */
    size_t ids_capacity;
};

/* What Kafka says of one message. `context` is the caller's. */
typedef void (*flight_report)(void *context, const struct flight_message *message,
                              const struct kafka_delivery *delivery);

/* Produces the taken rows that are not old, in order; `done` as in kafka_send_on_done. */
void flights_launch(struct flights *flights, struct kafka_producer *producer,
                    const struct pg_result *taken, void (*done)(void *context), void *context);
/* The ids of the messages that are not over; valid until the next call. */
const int64_t *flights_ids(struct flights *flights, size_t *count);
/* Calls `report` for every message that has a report and is not over. */
void flights_look(const struct flights *flights, flight_report report, void *context);
/* The messages that were told of are over, and so are flights that have no others. */
void flights_settle(struct flights *flights);
/* Forgets them all, whatever becomes of them. */
void flights_drop(struct flights *flights);

#endif
