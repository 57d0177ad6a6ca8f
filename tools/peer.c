/* peer: a plain consumer for spell checks only, without scripts and view: tools/bench compares
 * ingestion with it.
 *
 *     peer BROKERS GROUP TOPIC DATABASE_URL
 *
 * Uses librdkafka with its defaults, jsmn, one Postgres connection, and one upsert for some
 * thousand events. Kafka's offsets are committed after the transaction: at least once. Prints the
 * number of committed events after each transaction, and runs until SIGTERM or SIGINT. */
#include <librdkafka/rdkafka.h>
#include <libpq-fe.h>
#include <endian.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>
#include <xxhash.h>

#include "base/buffer.h"
#include "lib/kafka_conf.h"
#include "lib/spellcheck_upsert.h"

#define BATCH_EVENTS 4000
#define SLOTS 16384 /* a power of two, some times the events */
#define FILL_MS 100 /* that a batch is waited for to be full */
#define TOKENS 512  /* of an event; it has some 110 */
#define TEXT_OID 25

enum field { EVENT, ESSAY, AT, STATUS, BATCH, CORRECTIONS, CORRECTED, METRICS, FIELD_COUNT };

static const struct {
    struct slice key;
    bool in_data; /* of the event; else of its envelope */
    bool needed;
} fields[FIELD_COUNT] = {
    [EVENT] = {{"event_id", 8}, .needed = true},
    [ESSAY] = {{"entity_id", 9}, .in_data = true, .needed = true},
    [AT] = {{"timestamp", 9}, .in_data = true, .needed = true},
    [STATUS] = {{"status", 6}, .in_data = true, .needed = true},
    [BATCH] = {{"batch_id", 8}, .in_data = true, .needed = true},
    [CORRECTIONS] = {{"corrections_made", 16}, .in_data = true},
    [CORRECTED] = {{"corrected_text_storage_id", 25}, .in_data = true},
    [METRICS] = {{"correction_metrics", 18}, .in_data = true},
};

static const char upsert_sql[] = SPELLCHECK_INSERT
    "SELECT essay_id, at::timestamptz, event_id::uuid, status::essay_phase_status, "
    "corrections::integer, corrected_id, metrics::json, at::timestamptz, event_id::uuid, batch_id, "
    "at::timestamptz FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], "
    "$6::text[], $7::text[], $8::text[]) AS row (event_id, essay_id, at, status, batch_id, "
    "corrections, corrected_id, metrics)" SPELLCHECK_UPDATE;

struct row {
    struct slice values[FIELD_COUNT]; /* into the record */
};

struct batch {
    struct row rows[BATCH_EVENTS];
    size_t count;
    uint16_t slots[SLOTS]; /* a row's number from 1, by its essay's hash */
    struct buffer arrays[FIELD_COUNT];
};

static volatile sig_atomic_t stopping;

static void on_signal(int number) {
    (void)number;
    stopping = 1;
}

/* ---- an event ------------------------------------------------------------------------------ */

static struct slice text_of(struct slice json, const jsmntok_t *token) {
    if (token->type == JSMN_PRIMITIVE && json.data[token->start] == 'n') {
        return (struct slice){0};
    }
    return (struct slice){json.data + token->start, (size_t)(token->end - token->start)};
}

/* Finds the values among the members of the envelope (token 0) and of its data. */
static void find_values(struct slice json, const jsmntok_t *tokens, int count, struct row *row) {
    int data = -1;
    for (int i = 1; i + 1 < count; i++) {
        int parent = tokens[i].parent;
        if (parent != 0 && parent != data) {
            continue;
        }
        struct slice key = text_of(json, &tokens[i]);
        for (enum field field = 0; field < FIELD_COUNT; field++) {
            if (fields[field].in_data == (parent != 0) && slice_equal(key, fields[field].key)) {
                row->values[field] = text_of(json, &tokens[i + 1]);
            }
        }
        if (parent == 0 && slice_equal(key, slice_of("data"))) {
            data = i + 1;
        }
    }
}

/* Returns false unless it is a spell check's result. Their ids contain no escapes. */
static bool read_event(struct slice json, struct row *row) {
    jsmn_parser parser;
    jsmntok_t tokens[TOKENS];
    jsmn_init(&parser);
    int count = jsmn_parse(&parser, json.data, json.len, tokens, TOKENS);
    *row = (struct row){0};
    if (count < 1 || tokens[0].type != JSMN_OBJECT) {
        return false;
    }
    find_values(json, tokens, count, row);
    for (enum field field = 0; field < FIELD_COUNT; field++) {
        struct slice value = row->values[field];
        if ((fields[field].needed && value.len == 0) ||
            (field != METRICS && slice_contains(value, slice_of("\\")))) {
            return false;
        }
    }
    bool success = slice_contains(row->values[STATUS], slice_of("success"));
    row->values[STATUS] = slice_of(success ? "COMPLETED" : "FAILED");
    return true;
}

/* ---- a batch ------------------------------------------------------------------------------- */

/* The slot of an essay's row in the batch; a free one if the essay is new. */
static uint16_t *slot_of(struct batch *batch, struct slice essay) {
    for (size_t i = XXH3_64bits(essay.data, essay.len);; i++) {
        uint16_t *slot = &batch->slots[i % SLOTS];
        if (*slot == 0 || slice_equal(batch->rows[*slot - 1].values[ESSAY], essay)) {
            return slot;
        }
    }
}

/* Makes rows of records up to the first repeated essay: a statement cannot update a row that it has
 * inserted. Returns the number of records used. */
static size_t take(struct batch *batch, rd_kafka_message_t **records, size_t count) {
    batch->count = 0;
    memset(batch->slots, 0, sizeof batch->slots);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_message_t *record = records[i];
        struct row *row = &batch->rows[batch->count];
        if (record->err) {
            fprintf(stderr, "peer: %s\n", rd_kafka_message_errstr(record));
            continue;
        }
        if (!read_event((struct slice){record->payload, record->len}, row)) {
            fprintf(stderr, "peer: no result at offset %lld\n", (long long)record->offset);
            continue;
        }
        uint16_t *slot = slot_of(batch, row->values[ESSAY]);
        if (*slot) {
            return i;
        }
        *slot = (uint16_t)++batch->count;
    }
    return count;
}

static void put_int(struct buffer *array, size_t value) {
    uint32_t bytes = htobe32((uint32_t)value);
    buffer_append(array, &bytes, sizeof bytes);
}

/* Binary form of text[]: dimensions, with NULLs, type, items, first index. */
static void encode(struct batch *batch, enum field field) {
    struct buffer *array = &batch->arrays[field];
    const size_t head[] = {1, 1, TEXT_OID, batch->count, 1};
    buffer_clear(array);
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) {
        put_int(array, head[i]);
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct slice value = batch->rows[i].values[field];
        put_int(array, value.data ? value.len : UINT32_MAX);
        buffer_append(array, value.data ? value.data : "", value.len);
    }
}

static bool succeeded(PGconn *connection, PGresult *result) {
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!ok) {
        fprintf(stderr, "peer: %s", PQerrorMessage(connection));
    }
    PQclear(result);
    return ok;
}

static bool write_rows(PGconn *connection, struct batch *batch) {
    const char *values[FIELD_COUNT];
    int lengths[FIELD_COUNT], formats[FIELD_COUNT];
    for (enum field field = 0; field < FIELD_COUNT; field++) {
        encode(batch, field);
        values[field] = batch->arrays[field].data;
        lengths[field] = (int)batch->arrays[field].len;
        formats[field] = 1;
    }
    return batch->count == 0 ||
           succeeded(connection, PQexecPrepared(connection, "upsert", FIELD_COUNT, values, lengths,
                                                formats, 0));
}

/* ---- Kafka --------------------------------------------------------------------------------- */

static void note_offset(rd_kafka_topic_partition_list_t *offsets,
                        const rd_kafka_message_t *record) {
    const char *topic = rd_kafka_topic_name(record->rkt);
    rd_kafka_topic_partition_t *place =
        rd_kafka_topic_partition_list_find(offsets, topic, record->partition);
    if (!place) {
        place = rd_kafka_topic_partition_list_add(offsets, topic, record->partition);
    }
    place->offset = record->offset + 1;
}

static bool commit(rd_kafka_t *client, rd_kafka_message_t **records, size_t count) {
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(12);
    for (size_t i = 0; i < count; i++) {
        if (!records[i]->err) {
            note_offset(offsets, records[i]);
        }
    }
    rd_kafka_resp_err_t code = offsets->cnt ? rd_kafka_commit(client, offsets, true) : 0;
    rd_kafka_topic_partition_list_destroy(offsets);
    if (code) {
        fprintf(stderr, "peer: %s\n", rd_kafka_err2str(code));
    }
    return !code;
}

/* Sends a commit while the next batch is read; its result is read with that batch. */
static void on_commit(rd_kafka_t *client, rd_kafka_resp_err_t code,
                      rd_kafka_topic_partition_list_t *offsets, void *opaque) {
    (void)client;
    (void)offsets;
    (void)opaque;
    if (code && code != RD_KAFKA_RESP_ERR__NO_OFFSET) {
        fprintf(stderr, "peer: offsets were not committed: %s\n", rd_kafka_err2str(code));
    }
}

static rd_kafka_t *subscribe(const char *brokers, const char *group, const char *topic) {
    const char *const properties[][2] = {
        {"group.id", group}, {"enable.auto.commit", "false"}, {"auto.offset.reset", "earliest"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
    rd_kafka_t *client = kafka_conf_client(RD_KAFKA_CONSUMER, conf, "peer", brokers, properties,
                                           sizeof properties / sizeof *properties);
    if (!client) {
        return NULL;
    }
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_poll_set_consumer(client);
    code = code ? code : rd_kafka_subscribe(client, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code) {
        fprintf(stderr, "peer: %s\n", rd_kafka_err2str(code));
        rd_kafka_destroy(client);
        return NULL;
    }
    return client;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static bool store(rd_kafka_t *client, PGconn *connection, struct batch *batch,
                  rd_kafka_message_t **records, size_t count) {
    static long committed;
    for (size_t from = 0; from < count;) {
        size_t taken = take(batch, records + from, count - from);
        if (!write_rows(connection, batch) || !commit(client, records + from, taken)) {
            return false;
        }
        from += taken;
        committed += (long)taken;
        printf("%ld\n", committed);
        fflush(stdout);
    }
    return true;
}

static bool run(rd_kafka_t *client, PGconn *connection) {
    rd_kafka_message_t **records = calloc(BATCH_EVENTS, sizeof *records);
    struct batch *batch = calloc(1, sizeof *batch);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
    bool ok = records && batch && queue;
    while (ok && !stopping) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, FILL_MS, records, BATCH_EVENTS);
        if (count < 0) {
            fprintf(stderr, "peer: %s\n", rd_kafka_err2str(rd_kafka_last_error()));
        }
        ok = count >= 0 && store(client, connection, batch, records, (size_t)count);
        for (ssize_t i = 0; i < count; i++) {
            rd_kafka_message_destroy(records[i]);
        }
    }
    if (queue) {
        rd_kafka_queue_destroy(queue);
    }
    for (enum field field = 0; batch && field < FIELD_COUNT; field++) {
        buffer_free(&batch->arrays[field]);
    }
    free(batch);
    free(records);
    return ok;
}

static bool connect_and_run(rd_kafka_t *client, const char *url) {
    PGconn *connection = PQconnectdb(url);
    bool ok = PQstatus(connection) == CONNECTION_OK;
    if (!ok) {
        fprintf(stderr, "peer: %s", PQerrorMessage(connection));
    }
    ok =
        ok && succeeded(connection, PQprepare(connection, "upsert", upsert_sql, FIELD_COUNT, NULL));
    ok = ok && run(client, connection);
    PQfinish(connection);
    return ok;
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = on_signal};
    if (argc != 5) {
        fputs("usage: peer BROKERS GROUP TOPIC DATABASE_URL\n", stderr);
        return 2;
    }
    if (sigaction(SIGTERM, &action, NULL) || sigaction(SIGINT, &action, NULL)) {
        perror("peer");
        return 1;
    }
    rd_kafka_t *client = subscribe(argv[1], argv[2], argv[3]);
    if (!client) {
        return 1;
    }
    bool ok = connect_and_run(client, argv[4]);
    rd_kafka_resp_err_t code = rd_kafka_consumer_close(client);
    if (code) {
        fprintf(stderr, "peer: %s\n", rd_kafka_err2str(code));
    }
    rd_kafka_destroy(client);
    return ok && !code ? 0 : 1;
}
