/* kafka for scripts: routes produce records and get delivery reports. All states share the
 * process's producer; a state acquires it with its first record. All records are checked before one
 * is queued.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "lua_host.h"
#include "kafka_producer.h"
#include "lua_util.h"

#define MAX_RECORDS 10000

struct handle {
    struct kafka_producer *producer;
};

struct sending {
    struct kafka_send *send;
};

static int lua_kafka_close_handle(lua_State *L) {
    struct handle *handle = lua_touserdata(L, 1);
    kafka_producer_release(handle->producer);
    handle->producer = NULL;
    return 0;
}

static int lua_kafka_close_sending(lua_State *L) {
    struct sending *sending = lua_touserdata(L, 1);
    kafka_send_unref(sending->send);
    sending->send = NULL;
    return 0;
}

/* ---- arguments ---------------------------------------------------------------------------- */

static int lua_kafka_compare_headers(const void *a, const void *b) {
    const struct kafka_header *left = a, *right = b;
    return strcmp(left->name, right->name);
}

/* Reads the table of headers at the top of the stack; replaces it by the list. */
static void lua_kafka_read_headers(lua_State *L, const char *call, struct kafka_record *record) {
    int at = lua_gettop(L);
    size_t count = 0;
    lua_check_table(L, at, call, "field \"headers\"");
    for (lua_pushnil(L); lua_next(L, at); lua_settop(L, at + 1)) { /* [headers, name, value] */
        const char *name = lua_check_name(L, at + 1, call, "a header's name");
        lua_check_text(L, at + 2, call, lua_pushfstring(L, "header \"%s\"", name));
        count++;
    }
    struct kafka_header *headers = lua_newuserdata(L, count * sizeof *headers + 1);
    record->headers = headers;
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
        struct kafka_header *header = &headers[record->header_count++];
        header->name = lua_tostring(L, -2);
        header->value.data = lua_tolstring(L, -1, &header->value.len);
    }
    qsort(headers, record->header_count, sizeof *headers,
          lua_kafka_compare_headers); /* Lua tables have no order */
    lua_remove(L, at);                /* the script's record keeps it, and it the strings */
}

/* Raw, as lua_field_text: a metamethod's result would be collected once popped. */
static void lua_kafka_push_field(lua_State *L, int at, const char *name) {
    lua_pushstring(L, name);
    lua_rawget(L, at);
}

/* The record in the table at `at`; borrows its strings. Pushes one value, which must stay. */
static struct kafka_record lua_kafka_read_record(lua_State *L, int at, const char *call,
                                                 bool alone) {
    static const char *const fields[] = {"topic", "key", "value", "headers", "timeout_ms"};
    struct kafka_record record = {0};
    lua_check_table(L, at, call, "the record");
    lua_check_fields(L, at, call, fields, sizeof fields / sizeof *fields - !alone);
    lua_kafka_push_field(L, at, "topic");
    record.topic = lua_check_name(L, lua_gettop(L), call, "field \"topic\"");
    lua_pop(L, 1);
    record.key = lua_field_text(L, at, call, "key", false);
    record.value = lua_field_text(L, at, call, "value", false);
    lua_kafka_push_field(L, at, "headers");
    if (!lua_isnil(L, -1)) {
        lua_kafka_read_headers(L, call, &record);
    }
    return record;
}

/* ---- calls -------------------------------------------------------------------------------- */

static bool lua_kafka_hold_producer(lua_State *L, struct handle *handle, struct err *err) {
    if (handle->producer && kafka_producer_broken(handle->producer)) {
        kafka_producer_release(handle->producer);
        handle->producer = NULL;
    }
    if (!handle->producer) {
        const struct lua_services *services = &lua_host_of(L)->services;
        handle->producer = kafka_producer_acquire(&services->kafka, services->longest_call_ms, err);
    }
    return handle->producer != NULL;
}

static void lua_kafka_note_failure(struct err *err, const struct kafka_record *record,
                                   const struct kafka_delivery *delivery) {
    err_set(err, delivery->kind, "%s: %s", record->topic, delivery->reason);
}

static void lua_kafka_push_delivery(lua_State *L, const struct kafka_delivery *delivery) {
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, delivery->partition);
    lua_setfield(L, -2, "partition");
    lua_push_integer(L, delivery->offset);
    lua_setfield(L, -2, "offset");
}

/* ---- sending ------------------------------------------------------------------------------- */

/* Queues the records and waits for their reports. Leaves the userdata of the send on the stack. */
static struct kafka_send *lua_kafka_send_records(lua_State *L, const struct kafka_record *records,
                                                 size_t count, int timeout_ms, struct err *err) {
    struct handle *handle = lua_touserdata(L, lua_upvalueindex(1));
    struct sending *sending = lua_new_resource(L, sizeof *sending, lua_kafka_close_sending);
    if (timeout_ms == 0) {
        err_set(err, ERR_TIMEOUT, "no time is left to produce");
        return NULL;
    }
    if (!lua_kafka_hold_producer(L, handle, err)) {
        return NULL;
    }
    sending->send = kafka_send_create(count);
    for (size_t i = 0; i < count; i++) {
        kafka_send_add(sending->send, handle->producer, &records[i]);
    }
    int64_t began_us = clock_monotonic_us();
    kafka_send_wait(sending->send, timeout_ms);
    lua_host_note_wait(lua_host_of(L), began_us);
    return sending->send;
}

/* kafka.produce(record) -> { partition, offset } | nil, failure */
static int lua_kafka_produce(lua_State *L) {
    static const char call[] = "kafka.produce";
    struct err err = {0};
    lua_host_check_may_produce(L, call);
    lua_settop(L, 1);
    struct kafka_record record = lua_kafka_read_record(L, 1, call, true);
    int timeout_ms = lua_field_timeout_ms(L, 1, call);
    struct kafka_send *send = lua_kafka_send_records(L, &record, 1, timeout_ms, &err);
    if (!send) {
        return lua_push_failure(L, &err);
    }
    struct kafka_delivery delivery = kafka_send_delivery(send, 0);
    if (delivery.kind != ERR_NONE) {
        lua_kafka_note_failure(&err, &record, &delivery);
        return lua_push_failure(L, &err);
    }
    lua_kafka_push_delivery(L, &delivery);
    return 1;
}

/* Pushes the list of deliveries; returns the number of failures, the first one in err. */
static size_t lua_kafka_push_deliveries(lua_State *L, struct kafka_send *send,
                                        const struct kafka_record *records, size_t count,
                                        struct err *err) {
    size_t failed = 0;
    lua_createtable(L, (int)count, 0);
    lua_mark_list(L);
    for (size_t i = 0; i < count; i++) {
        struct err one = {0};
        struct kafka_delivery delivery = kafka_send_delivery(send, i);
        if (delivery.kind == ERR_NONE) {
            lua_kafka_push_delivery(L, &delivery);
        } else {
            lua_kafka_note_failure(&one, &records[i], &delivery);
            lua_createtable(L, 0, 1);
            lua_push_failure_table(L, &one);
            lua_setfield(L, -2, "error");
            if (failed++ == 0) {
                *err = one;
            }
        }
        lua_rawseti(L, -2, (int)i + 1);
    }
    return failed;
}

/* kafka.produce_all(records, options) -> deliveries in order
 *   | nil, { kind, message, results }: not all were delivered */
static int lua_kafka_produce_all(lua_State *L) {
    static const char call[] = "kafka.produce_all";
    static const char *const options[] = {"timeout_ms"};
    struct err err = {0};
    lua_host_check_may_produce(L, call);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    lua_check_table(L, 2, call, "the options");
    lua_check_fields(L, 2, call, options, 1);
    int timeout_ms = lua_field_timeout_ms(L, 2, call);
    size_t count = (size_t)lua_check_list(L, 1, call, "the records");
    if (count > MAX_RECORDS) {
        luaL_error(L, "%s: %d records, at most %d can be sent together", call, (int)count,
                   MAX_RECORDS);
    }
    struct kafka_record *records = lua_newuserdata(L, count * sizeof *records + 1);
    lua_createtable(L, (int)count, 0);
    int anchor = lua_gettop(L); /* keeps the headers */
    for (size_t i = 0; i < count; i++) {
        const char *where = lua_pushfstring(L, "%s: record %d", call, (int)i + 1);
        lua_rawgeti(L, 1, (int)i + 1);
        records[i] = lua_kafka_read_record(L, lua_gettop(L), where, false);
        lua_rawseti(L, anchor, (int)i + 1);
        lua_settop(L, anchor);
    }
    struct kafka_send *send = lua_kafka_send_records(L, records, count, timeout_ms, &err);
    if (!send) {
        return lua_push_failure(L, &err);
    }
    size_t failed = lua_kafka_push_deliveries(L, send, records, count, &err);
    if (failed == 0) {
        return 1;
    }
    err_wrap(&err, "%zu of %zu records were not delivered, the first", failed, count);
    lua_pushnil(L);
    lua_push_failure_table(L, &err);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "results");
    return 2;
}

int luaopen_agg_kafka(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"produce", lua_kafka_produce}, {"produce_all", lua_kafka_produce_all}, {NULL, NULL}};
    lua_createtable(L, 0, 2);
    lua_new_resource(L, sizeof(struct handle), lua_kafka_close_handle);
    lua_bind_functions(L, functions);
    return 1;
}
