#include "in_flight.h"

#include <stdlib.h>

#include "base/json_scan.h"
#include "base/xalloc.h"
#include "rows.h"

#define ARENA_CHUNK_BYTES 16384
#define HEADERS_MAX 65 /* a message's own and its traceparent */

/* ---- one record ----------------------------------------------------------------------------- */

static struct slice in_flight_unescaped(struct arena *arena, const struct json_value *value) {
    char *text = arena_alloc(arena, value->raw.len + 1);
    size_t len = json_unescape(value, text);
    text[len] = '\0';
    return (struct slice){text, len};
}

/* Headers are an object of strings (host/script checks); others are skipped. */
static size_t in_flight_read_headers(struct arena *arena, struct slice json,
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
            headers[count++] = (struct kafka_header){in_flight_unescaped(arena, &name).data,
                                                     in_flight_unescaped(arena, &value)};
        }
    }
    return count;
}

/* The consumer of the message continues the trace, unless the script set a traceparent itself. */
static size_t in_flight_add_traceparent(struct slice traceparent, struct kafka_header *headers,
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
static size_t in_flight_send_row(struct sending *sending, struct kafka_producer *producer,
                                 const struct pg_result *taken, int row) {
    struct kafka_header headers[HEADERS_MAX];
    struct slice value = pg_rows_bytes(taken, row, ROW_VALUE);
    size_t count =
        in_flight_read_headers(sending->arena, pg_rows_cell(taken, row, ROW_HEADERS), headers);
    struct kafka_record record = {
        .topic = pg_rows_text(taken, row, ROW_TOPIC),
        .key = pg_rows_cell(taken, row, ROW_KEY),
        .value = value,
        .headers = headers,
        .header_count =
            in_flight_add_traceparent(pg_rows_cell(taken, row, ROW_TRACEPARENT), headers, count),
    };
    kafka_send_add(sending->send, producer, &record);
    pg_rows_free_bytes((void *)value.data);
    return value.len;
}

/* ---- sendings ------------------------------------------------------------------------------- */

static struct sending *in_flight_create_sending(size_t capacity) {
    struct sending *sending = xcalloc(1, sizeof *sending);
    sending->arena = arena_create(ARENA_CHUNK_BYTES);
    sending->send = kafka_send_create(capacity);
    sending->messages = xcalloc(capacity + 1, sizeof *sending->messages);
    return sending;
}

static void in_flight_free_sending(struct sending *sending) {
    kafka_send_unref(sending->send);
    arena_destroy(sending->arena);
    free(sending->messages);
    free(sending);
}

void in_flight_send(struct in_flight *in_flight, struct kafka_producer *producer,
                    const struct pg_result *taken, void (*done)(void *context), void *context) {
    struct sending *sending = in_flight_create_sending((size_t)pg_rows_count(taken));
    struct sending **last = &in_flight->first;
    kafka_send_on_done(sending->send, done, context);
    for (int row = 0; row < pg_rows_count(taken); row++) {
        if (rows_is_old(taken, row)) {
            continue;
        }
        struct sending_message *message = &sending->messages[sending->count++];
        message->id = strtoll(pg_rows_text(taken, row, ROW_ID), NULL, 10);
        message->created_us = strtoll(pg_rows_text(taken, row, ROW_CREATED), NULL, 10);
        struct slice topic = pg_rows_cell(taken, row, ROW_TOPIC);
        topic.len++; /* its NUL */
        message->topic = arena_copy(sending->arena, topic).data;
        message->bytes = in_flight_send_row(sending, producer, taken, row);
        in_flight->bytes += message->bytes;
        in_flight->messages++;
    }
    if (sending->count == 0) {
        in_flight_free_sending(sending);
        return;
    }
    while (*last) {
        last = &(*last)->next;
    }
    *last = sending;
}

const int64_t *in_flight_ids(struct in_flight *in_flight, size_t *count) {
    *count = 0;
    if (in_flight->messages > in_flight->ids_capacity) {
        in_flight->ids_capacity = in_flight->messages;
        in_flight->ids = xrealloc(in_flight->ids, in_flight->ids_capacity * sizeof *in_flight->ids);
    }
    for (const struct sending *sending = in_flight->first; sending; sending = sending->next) {
        for (size_t i = 0; i < sending->count; i++) {
            if (sending->messages[i].state != DONE) {
                in_flight->ids[(*count)++] = sending->messages[i].id;
            }
        }
    }
    return in_flight->ids;
}

void in_flight_read_reports(const struct in_flight *in_flight, in_flight_report report,
                            void *context) {
    for (struct sending *sending = in_flight->first; sending; sending = sending->next) {
        for (size_t i = 0; i < sending->count; i++) {
            if (sending->messages[i].state != DONE && kafka_send_reported(sending->send, i)) {
                struct kafka_delivery delivery = kafka_send_delivery(sending->send, i);
                sending->messages[i].state = REPORTED;
                report(context, &sending->messages[i], &delivery);
            }
        }
    }
}

/* True if all messages of the flight are done. */
static bool in_flight_finish_sending(struct in_flight *in_flight, struct sending *sending) {
    size_t done = 0;
    for (size_t i = 0; i < sending->count; i++) {
        if (sending->messages[i].state == REPORTED) {
            sending->messages[i].state = DONE;
            in_flight->messages--;
            in_flight->bytes -= sending->messages[i].bytes;
        }
        done += sending->messages[i].state == DONE;
    }
    return done == sending->count;
}

void in_flight_finish(struct in_flight *in_flight) {
    for (struct sending **at = &in_flight->first; *at;) {
        struct sending *sending = *at;
        if (in_flight_finish_sending(in_flight, sending)) {
            *at = sending->next;
            in_flight_free_sending(sending);
        } else {
            at = &sending->next;
        }
    }
}

void in_flight_drop(struct in_flight *in_flight) {
    while (in_flight->first) {
        struct sending *sending = in_flight->first;
        in_flight->first = sending->next;
        in_flight_free_sending(sending);
    }
    free(in_flight->ids);
    *in_flight = (struct in_flight){0};
}
