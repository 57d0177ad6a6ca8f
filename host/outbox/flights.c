#include "flights.h"

#include <stdlib.h>

#include "base/json_scan.h"
#include "base/xalloc.h"
#include "rows.h"

#define ARENA_CHUNK_BYTES 16384
#define HEADERS_MAX 65 /* a message's own and its traceparent */

/* ---- one record ----------------------------------------------------------------------------- */

static struct slice flights_unescaped(struct arena *arena, const struct json_value *value) {
    char *text = arena_alloc(arena, value->raw.len + 1);
    size_t len = json_unescape(value, text);
    text[len] = '\0';
    return (struct slice){text, len};
}

/* Headers are an object of strings (host/script checks); others are skipped. */
static size_t flights_read_headers(struct arena *arena, struct slice json,
                                   struct kafka_header *headers) {
    struct json_cursor cursor;
    struct json_value name, value;
    size_t count = 0;
    bool more;
    json_begin(&cursor, json);
    if (!json.data || !json_enter(&cursor)) {
        return 0;
    }
    while (count < HEADERS_MAX - 1 && json_next_member(&cursor, &name, &more) && more &&
           json_read(&cursor, &value)) {
        if (value.type == JSON_STRING) {
            headers[count++] = (struct kafka_header){flights_unescaped(arena, &name).data,
                                                     flights_unescaped(arena, &value)};
        }
    }
    return count;
}

/* The consumer of the message continues the trace, unless the script set a traceparent itself. */
static size_t flights_add_traceparent(struct slice traceparent, struct kafka_header *headers,
                                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(headers[i].name, "traceparent") == 0) {
            return count;
        }
    }
    if (traceparent.data) {
        headers[count++] = (struct kafka_header){"traceparent", traceparent};
    }
    return count;
}

/* Returns the length of the value. */
static size_t flights_send(struct flight *flight, struct kafka_producer *producer,
                           const struct pg_result *taken, int row) {
    struct kafka_header headers[HEADERS_MAX];
    struct slice value = pg_rows_bytes(taken, row, ROW_VALUE);
    size_t count =
        flights_read_headers(flight->arena, pg_rows_cell(taken, row, ROW_HEADERS), headers);
    struct kafka_record record = {
        .topic = pg_rows_text(taken, row, ROW_TOPIC),
        .key = pg_rows_cell(taken, row, ROW_KEY),
        .value = value,
        .headers = headers,
        .header_count =
            flights_add_traceparent(pg_rows_cell(taken, row, ROW_TRACEPARENT), headers, count),
    };
    kafka_send_add(flight->send, producer, &record);
    pg_rows_free_bytes((void *)value.data);
    return value.len;
}

/* ---- flights -------------------------------------------------------------------------------- */

static struct flight *flights_create_flight(size_t capacity) {
    struct flight *flight = xcalloc(1, sizeof *flight);
    flight->arena = arena_create(ARENA_CHUNK_BYTES);
    flight->send = kafka_send_create(capacity);
    flight->messages = xcalloc(capacity + 1, sizeof *flight->messages);
    return flight;
}

static void flights_free_flight(struct flight *flight) {
    kafka_send_unref(flight->send);
    arena_destroy(flight->arena);
    free(flight->messages);
    free(flight);
}

void flights_launch(struct flights *flights, struct kafka_producer *producer,
                    const struct pg_result *taken, void (*done)(void *context), void *context) {
    struct flight *flight = flights_create_flight((size_t)pg_rows_count(taken));
    struct flight **last = &flights->first;
    kafka_send_on_done(flight->send, done, context);
    for (int row = 0; row < pg_rows_count(taken); row++) {
        if (rows_is_old(taken, row)) {
            continue;
        }
        struct flight_message *message = &flight->messages[flight->count++];
        message->id = strtoll(pg_rows_text(taken, row, ROW_ID), NULL, 10);
        message->created_us = strtoll(pg_rows_text(taken, row, ROW_CREATED), NULL, 10);
        struct slice topic = pg_rows_cell(taken, row, ROW_TOPIC);
        topic.len++; /* its NUL */
        message->topic = arena_copy(flight->arena, topic).data;
        message->bytes = flights_send(flight, producer, taken, row);
        flights->bytes += message->bytes;
        flights->messages++;
    }
    if (flight->count == 0) {
        flights_free_flight(flight);
        return;
    }
    while (*last) {
        last = &(*last)->next;
    }
    *last = flight;
}

const int64_t *flights_ids(struct flights *flights, size_t *count) {
    *count = 0;
    if (flights->messages > flights->ids_capacity) {
        flights->ids_capacity = flights->messages;
        flights->ids = xrealloc(flights->ids, flights->ids_capacity * sizeof *flights->ids);
    }
    for (const struct flight *flight = flights->first; flight; flight = flight->next) {
        for (size_t i = 0; i < flight->count; i++) {
            if (flight->messages[i].state != DONE) {
                flights->ids[(*count)++] = flight->messages[i].id;
            }
        }
    }
    return flights->ids;
}

void flights_read_reports(const struct flights *flights, flight_report report, void *context) {
    for (struct flight *flight = flights->first; flight; flight = flight->next) {
        for (size_t i = 0; i < flight->count; i++) {
            if (flight->messages[i].state != DONE && kafka_send_reported(flight->send, i)) {
                struct kafka_delivery delivery = kafka_send_delivery(flight->send, i);
                flight->messages[i].state = REPORTED;
                report(context, &flight->messages[i], &delivery);
            }
        }
    }
}

/* True if all messages of the flight are done. */
static bool flights_finish_flight(struct flights *flights, struct flight *flight) {
    size_t done = 0;
    for (size_t i = 0; i < flight->count; i++) {
        if (flight->messages[i].state == REPORTED) {
            flight->messages[i].state = DONE;
            flights->messages--;
            flights->bytes -= flight->messages[i].bytes;
        }
        done += flight->messages[i].state == DONE;
    }
    return done == flight->count;
}

void flights_finish(struct flights *flights) {
    for (struct flight **at = &flights->first; *at;) {
        struct flight *flight = *at;
        if (flights_finish_flight(flights, flight)) {
            *at = flight->next;
            flights_free_flight(flight);
        } else {
            at = &flight->next;
        }
    }
}

void flights_drop(struct flights *flights) {
    while (flights->first) {
        struct flight *flight = flights->first;
        flights->first = flight->next;
        flights_free_flight(flight);
    }
    free(flights->ids);
    *flights = (struct flights){0};
}
