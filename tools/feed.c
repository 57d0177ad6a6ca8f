/* feed: publishes a stream of sample events.
 *
 *     feed BROKERS FILE [EVENTS_PER_SECOND]
 *
 * One JSON object a line: topic, key, and value (published as its very bytes) or raw_b64 (the
 * bytes in base64; null: a record without value). Ends when every delivery is reported. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../host/json_scan.h"

static int failures;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    (void)client;
    (void)opaque;
    if (message->err) {
        fprintf(stderr, "feed: %s\n", rd_kafka_err2str(message->err));
        failures++;
    }
}

struct record {
    struct json_value topic, key, value, raw;
    bool has_value;
};

static bool read_record(const char *line, struct record *record) {
    struct json_cursor cursor;
    struct json_value name, value;
    bool more;
    *record = (struct record){0};
    json_begin(&cursor, slice_of(line));
    if (!json_enter(&cursor)) {
        return false;
    }
    while (json_next_member(&cursor, &name, &more) && more && json_read(&cursor, &value)) {
        if (slice_equal(name.raw, slice_of("topic"))) {
            record->topic = value;
        } else if (slice_equal(name.raw, slice_of("key"))) {
            record->key = value;
        } else if (slice_equal(name.raw, slice_of("value"))) {
            record->value = value;
            record->has_value = true;
        } else if (slice_equal(name.raw, slice_of("raw_b64"))) {
            record->raw = value;
        }
    }
    return json_finish(&cursor);
}

static size_t decode_base64(struct slice text, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, held = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = memchr(digits, text.data[i], 64);
        if (!digit) {
            continue;
        }
        bits = bits << 6 | (unsigned)(digit - digits);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[len++] = (char)(bits >> held);
        }
    }
    return len;
}

static void publish(rd_kafka_t *client, const struct record *record, char *scratch) {
    char topic[256];
    struct slice value = {0};
    snprintf(topic, sizeof topic, "%.*s", (int)record->topic.raw.len, record->topic.raw.data);
    if (record->has_value) {
        value = record->value.type == JSON_STRING
                    ? (struct slice){record->value.raw.data - 1, record->value.raw.len + 2}
                    : record->value.raw;
    } else if (record->raw.type == JSON_STRING) {
        value = (struct slice){scratch, decode_base64(record->raw.raw, scratch)};
    }
    bool keyed = record->key.type == JSON_STRING;
    rd_kafka_resp_err_t code = rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(keyed ? record->key.raw.data : NULL, keyed ? record->key.raw.len : 0),
        RD_KAFKA_V_VALUE((void *)value.data, value.len), RD_KAFKA_V_END);
    if (code) {
        fprintf(stderr, "feed: %s\n", rd_kafka_err2str(code));
        failures++;
    }
}

static int feed(rd_kafka_t *client, FILE *file, double events_per_second) {
    char *line = NULL, *scratch = NULL;
    size_t cap = 0;
    ssize_t len;
    int count = 0;
    while ((len = getline(&line, &cap, file)) > 0) {
        struct record record;
        scratch = realloc(scratch, cap);
        if (!scratch || !read_record(line, &record)) {
            fprintf(stderr, "feed: line %d is not a JSON object\n", count + 1);
            failures++;
            continue;
        }
        publish(client, &record, scratch);
        int wait_ms = events_per_second > 0 ? (int)(1000 / events_per_second) : 0;
        rd_kafka_poll(client, wait_ms);
        count++;
    }
    free(line);
    free(scratch);
    return count;
}

int main(int argc, char **argv) {
    char text[512];
    if (argc < 3) {
        fputs("usage: feed BROKERS FILE [EVENTS_PER_SECOND]\n", stderr);
        return 2;
    }
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *client = NULL;
    if (rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], text, sizeof text) ==
        RD_KAFKA_CONF_OK) {
        client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    }
    FILE *file = client ? fopen(argv[2], "re") : NULL;
    if (!file) {
        fprintf(stderr, "feed: cannot start: %s\n", client ? argv[2] : text);
        return 1;
    }
    int count = feed(client, file, argc > 3 ? strtod(argv[3], NULL) : 0);
    rd_kafka_resp_err_t code = rd_kafka_flush(client, 30000);
    printf("%d events published, %d failures\n", count, failures + (code != 0));
    fclose(file);
    rd_kafka_destroy(client);
    return failures || code ? 1 : 0;
}
