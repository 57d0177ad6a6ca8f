#include "log_reader.h"

#include <stdlib.h>

#include "../base/clock.h"
#include "../ingest/kafka_client.h"
#include "../base/log.h"
#include "../base/stop.h"
#include "../base/xalloc.h"

/* ---- which partitions ---------------------------------------------------------------------- */

static int compare_partitions(const void *a, const void *b) {
    const struct log_partition *left = a, *right = b;
    int order = strcmp(left->topic, right->topic);
    return order ? order : (left->number > right->number) - (left->number < right->number);
}

static void add_topic(struct log_reader *reader, const rd_kafka_metadata_topic_t *topic,
                      int handler) {
    size_t count = reader->count + (size_t)topic->partition_cnt;
    reader->partitions = xrealloc(reader->partitions, (count + 1) * sizeof *reader->partitions);
    for (int i = 0; i < topic->partition_cnt; i++) {
        reader->partitions[reader->count++] = (struct log_partition){
            .topic = xstrdup(topic->topic),
            .number = topic->partitions[i].id,
            .handler = handler,
        };
    }
}

static bool find_partitions(struct log_reader *reader, const struct script_generation *generation,
                            struct err *err) {
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(reader->kafka, 1, NULL, &metadata, KAFKA_CLIENT_ASK_TIMEOUT_MS);
    if (code) {
        return err_set(err, ERR_UNAVAILABLE, "kafka does not say which topics it has: %s",
                       rd_kafka_err2str(code));
    }
    for (int i = 0; i < metadata->topic_cnt; i++) {
        int handler = script_handler_of(generation, metadata->topics[i].topic);
        if (handler >= 0 && !metadata->topics[i].err) {
            add_topic(reader, &metadata->topics[i], handler);
        }
    }
    rd_kafka_metadata_destroy(metadata);
    if (reader->count == 0) {
        return err_set(err, ERR_UNAVAILABLE, "kafka has none of the topics that handlers declare");
    }
    qsort(reader->partitions, reader->count, sizeof *reader->partitions, compare_partitions);
    return true;
}

bool log_reader_ask_bounds(struct log_reader *reader, struct log_partition *partition,
                           struct err *err) {
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        reader->kafka, partition->topic, partition->number, &partition->low, &partition->high,
        KAFKA_CLIENT_ASK_TIMEOUT_MS);
    return !code || err_set(err, ERR_UNAVAILABLE, "kafka does not say where %s [%d] ends: %s",
                            partition->topic, partition->number, rd_kafka_err2str(code));
}

bool log_reader_open(struct log_reader *reader, const struct config *config,
                     const struct script_generation *generation, struct err *err) {
    *reader = (struct log_reader){0};
    rd_kafka_conf_t *conf = kafka_client_conf(config, KAFKA_CLIENT_NO_MEMBER, err);
    if (!conf) {
        return false;
    }
    /* What Kafka deletes meanwhile is a gap like another. */
    if (!kafka_client_set(conf, "auto.offset.reset", "earliest", err)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    reader->kafka = kafka_client_consumer(conf, err);
    bool ok = reader->kafka && find_partitions(reader, generation, err);
    for (size_t i = 0; ok && i < reader->count; i++) {
        ok = log_reader_ask_bounds(reader, &reader->partitions[i], err);
        reader->partitions[i].until = reader->partitions[i].high;
    }
    return ok;
}

void log_reader_close(struct log_reader *reader) {
    for (size_t i = 0; i < reader->count; i++) {
        if (reader->partitions[i].held) {
            rd_kafka_message_destroy(reader->partitions[i].held);
        }
    }
    if (reader->kafka) {
        rd_kafka_resp_err_t code = rd_kafka_consumer_close(reader->kafka);
        if (code) {
            log_warning("kafka client did not close", LOG_TEXT("error", rd_kafka_err2str(code)));
        }
        rd_kafka_destroy(reader->kafka);
    }
    for (size_t i = 0; i < reader->count; i++) {
        free(reader->partitions[i].topic);
    }
    free(reader->partitions);
    *reader = (struct log_reader){0};
}

void log_reader_keep(struct log_reader *reader, const char *const *topics, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < reader->count; i++) {
        struct log_partition *partition = &reader->partitions[i];
        size_t t = 0;
        while (t < count && strcmp(topics[t], partition->topic) != 0) {
            t++;
        }
        if (t < count) {
            reader->partitions[kept++] = *partition;
        } else {
            free(partition->topic);
        }
    }
    reader->count = kept;
}

/* ---- where to start ------------------------------------------------------------------------ */

static bool is_finished(const struct log_partition *partition) {
    return partition->position >= partition->until;
}

static rd_kafka_topic_partition_list_t *list_partitions(const struct log_reader *reader) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)reader->count);
    for (size_t i = 0; i < reader->count; i++) {
        rd_kafka_topic_partition_list_add(list, reader->partitions[i].topic,
                                          reader->partitions[i].number);
    }
    return list;
}

bool log_reader_start_there(struct log_reader *reader, struct err *err) {
    rd_kafka_topic_partition_list_t *list = list_partitions(reader);
    reader->unfinished = 0;
    for (size_t i = 0; i < reader->count; i++) {
        struct log_partition *partition = &reader->partitions[i];
        partition->position = list->elems[i].offset = partition->start;
        reader->unfinished += !is_finished(partition);
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(reader->kafka, list);
    rd_kafka_topic_partition_list_destroy(list);
    return !code ||
           err_set(err, ERR_UNAVAILABLE, "cannot read the log: %s", rd_kafka_err2str(code));
}

bool log_reader_start(struct log_reader *reader, int64_t since_us, struct err *err) {
    rd_kafka_topic_partition_list_t *list = list_partitions(reader);
    bool ok = since_us < 0 || kafka_client_offsets_at(reader->kafka, list, since_us / 1000, err);
    for (size_t i = 0; ok && i < reader->count; i++) {
        struct log_partition *partition = &reader->partitions[i];
        int64_t found = since_us < 0 ? partition->low : list->elems[i].offset;
        /* No record is as young as that. */
        partition->start = found >= 0 ? found : partition->high;
        partition->gap = since_us < 0 && partition->low > 0;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return ok && log_reader_start_there(reader, err);
}

bool log_reader_follow(struct log_reader *reader, bool from_beginning, struct err *err) {
    for (size_t i = 0; i < reader->count; i++) {
        struct log_partition *partition = &reader->partitions[i];
        partition->start = from_beginning ? partition->low : partition->high;
        partition->until = INT64_MAX;
    }
    return log_reader_start_there(reader, err);
}

/* ---- bounds -------------------------------------------------------------------------------- */

static bool set_paused(struct log_reader *reader, struct log_partition *partition, bool paused,
                       struct err *err) {
    if (partition->paused == paused) {
        return true;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, partition->topic, partition->number);
    rd_kafka_resp_err_t code = paused ? rd_kafka_pause_partitions(reader->kafka, list)
                                      : rd_kafka_resume_partitions(reader->kafka, list);
    rd_kafka_topic_partition_list_destroy(list);
    partition->paused = paused;
    return !code || err_set(err, ERR_UNAVAILABLE, "cannot pause or resume %s [%d]: %s",
                            partition->topic, partition->number, rd_kafka_err2str(code));
}

bool log_reader_extend(struct log_reader *reader, struct log_partition *partition, int64_t until,
                       struct err *err) {
    bool was_finished = is_finished(partition);
    if (until > partition->until) {
        partition->until = until;
    }
    if (was_finished && !is_finished(partition)) {
        reader->unfinished++;
    }
    bool beyond = partition->held && partition->held->offset >= partition->until;
    return is_finished(partition) || beyond || set_paused(reader, partition, false, err);
}

static void move_to(struct log_reader *reader, struct log_partition *partition, int64_t position) {
    bool was_finished = is_finished(partition);
    partition->position = position;
    reader->unfinished -= !was_finished && is_finished(partition);
}

/* ---- reading ------------------------------------------------------------------------------- */

static void note_gap(struct log_partition *partition, const rd_kafka_message_t *record) {
    if (!partition->gap && record->offset <= partition->position) {
        return;
    }
    int64_t known_us = kafka_client_time_us(record);
    int64_t time_us = known_us > 0 ? known_us : INT64_MAX;
    if (time_us > partition->missing_before_us) {
        partition->missing_before_us = time_us;
    }
    partition->gap = false;
}

static size_t find(const struct log_reader *reader, const rd_kafka_message_t *record) {
    struct log_partition wanted = {.topic = (char *)rd_kafka_topic_name(record->rkt),
                                   .number = record->partition};
    struct log_partition *found =
        bsearch(&wanted, reader->partitions, reader->count, sizeof wanted, compare_partitions);
    return found ? (size_t)(found - reader->partitions) : SIZE_MAX;
}

/* Gives the record out, or keeps or drops it: then NULL. */
static rd_kafka_message_t *take(struct log_reader *reader, struct log_partition *partition,
                                rd_kafka_message_t *record, struct err *err) {
    if (record->offset < partition->position || partition->held) {
        rd_kafka_message_destroy(record); /* fetched before a pause, and fetched again */
        return NULL;
    }
    if (record->offset >= partition->until) {
        if (partition->gap || partition->position < partition->until) {
            note_gap(partition, record);
        }
        partition->held = record;
        if (!is_finished(partition)) {
            move_to(reader, partition, partition->until); /* nothing is left in front of it */
        }
        (void)set_paused(reader, partition, true, err);
        return NULL;
    }
    note_gap(partition, record);
    move_to(reader, partition, record->offset + 1);
    return record;
}

static rd_kafka_message_t *take_held(struct log_reader *reader, size_t *at) {
    for (size_t i = 0; i < reader->count; i++) {
        struct log_partition *partition = &reader->partitions[i];
        rd_kafka_message_t *record = partition->held;
        if (record && record->offset < partition->until) {
            partition->held = NULL;
            note_gap(partition, record);
            move_to(reader, partition, record->offset + 1);
            *at = i;
            return record;
        }
    }
    return NULL;
}

static void refill(struct log_reader *reader, const rd_kafka_message_t *record) {
    if (kafka_client_refill_is_due(&reader->taken_bytes, record)) {
        rd_kafka_topic_partition_list_t *list = list_partitions(reader);
        kafka_client_refill(reader->kafka, list);
        rd_kafka_topic_partition_list_destroy(list);
    }
}

static rd_kafka_message_t *judge(struct log_reader *reader, rd_kafka_message_t *record, size_t *at,
                                 struct err *err) {
    size_t i = record->rkt ? find(reader, record) : SIZE_MAX;
    if (record->err && record->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        err_set(err, ERR_UNAVAILABLE, "cannot read the log of %s [%d] at offset %lld: %s",
                record->rkt ? rd_kafka_topic_name(record->rkt) : "the group", record->partition,
                (long long)record->offset, rd_kafka_message_errstr(record));
    } else if (i != SIZE_MAX && record->err) {
        if (record->offset > reader->partitions[i].position && !reader->partitions[i].held) {
            move_to(reader, &reader->partitions[i], record->offset); /* control records only */
        }
    } else if (i != SIZE_MAX) {
        *at = i;
        return take(reader, &reader->partitions[i], record, err);
    }
    rd_kafka_message_destroy(record);
    return NULL;
}

rd_kafka_message_t *log_reader_next(struct log_reader *reader, int timeout_ms, size_t *at,
                                    struct err *err) {
    rd_kafka_message_t *record = take_held(reader, at);
    int64_t deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    while (!record && reader->unfinished > 0 && err->kind == ERR_NONE) {
        if (stop_requested()) {
            err_set(err, ERR_UNAVAILABLE, "the program is stopping");
            break;
        }
        rd_kafka_message_t *polled =
            rd_kafka_consumer_poll(reader->kafka, clock_remaining_ms(deadline_us));
        if (!polled) {
            break;
        }
        refill(reader, polled);
        record = judge(reader, polled, at, err);
    }
    return record;
}

/* ---- what is known ------------------------------------------------------------------------- */

void log_reader_add_partitions(const struct log_reader *reader, struct partitions *partitions) {
    for (size_t i = 0; i < reader->count; i++) {
        const struct log_partition *partition = &reader->partitions[i];
        size_t at = partitions_add(partitions, partition->topic, partition->number);
        partitions->items[at].handler = partition->handler;
    }
}

void log_reader_count(const struct log_reader *reader, int64_t *done, int64_t *total) {
    *done = *total = 0;
    for (size_t i = 0; i < reader->count; i++) {
        const struct log_partition *partition = &reader->partitions[i];
        int64_t until = partition->until > partition->start ? partition->until : partition->start;
        int64_t position = partition->position < until ? partition->position : until;
        *done += position - partition->start;
        *total += until - partition->start;
    }
}

int64_t log_reader_missing_before_us(const struct log_reader *reader) {
    int64_t latest_us = 0;
    for (size_t i = 0; i < reader->count; i++) {
        const struct log_partition *partition = &reader->partitions[i];
        int64_t us = partition->gap ? INT64_MAX : partition->missing_before_us;
        latest_us = us > latest_us ? us : latest_us;
    }
    return latest_us;
}
