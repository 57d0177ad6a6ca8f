#include "log_reader.h"

#include <stdlib.h>

#include "base/clock.h"
#include "config/config.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/xalloc.h"

/* ---- which partitions ---------------------------------------------------------------------- */

static int log_reader_compare_partitions(const void *a, const void *b) {
    const struct log_partition *left = a, *right = b;
    int order = strcmp(left->topic, right->topic);
    return order ? order : (left->number > right->number) - (left->number < right->number);
}

struct log_reader_search {
    struct log_reader *reader;
    const struct script_generation *generation;
    const char *const *topics; /* count 0: all that handlers declare */
    size_t count;
};

static bool log_reader_is_wanted(const struct log_reader_search *search, const char *topic,
                                 int handler) {
    for (size_t i = 0; i < search->count; i++) {
        if (strcmp(search->topics[i], topic) == 0) {
            return true;
        }
    }
    return search->count == 0 && handler >= 0;
}

static void log_reader_add(void *context, const char *topic, int32_t number) {
    const struct log_reader_search *search = context;
    struct log_reader *reader = search->reader;
    int handler = script_handler_of(search->generation, topic);
    if (!log_reader_is_wanted(search, topic, handler)) {
        return;
    }
    reader->partitions =
        xrealloc(reader->partitions, (reader->count + 1) * sizeof *reader->partitions);
    reader->partitions[reader->count++] =
        (struct log_partition){.topic = xstrdup(topic), .number = number, .handler = handler};
}

static bool log_reader_find_partitions(struct log_reader_search *search, struct err *err) {
    struct log_reader *reader = search->reader;
    if (!kafka_consumer_list(reader->kafka, log_reader_add, search, err)) {
        return false;
    }
    if (reader->count == 0) { /* of named topics the caller says so */
        return search->count > 0 ||
               err_set(err, ERR_UNAVAILABLE, "kafka has no topic that a handler declares");
    }
    qsort(reader->partitions, reader->count, sizeof *reader->partitions,
          log_reader_compare_partitions);
    return true;
}

bool log_reader_ask_bounds(struct log_reader *reader, struct log_partition *partition,
                           struct err *err) {
    int64_t bounds[2] = {partition->low, partition->high};
    bool ok =
        kafka_consumer_bounds(reader->kafka, partition->topic, partition->number, bounds, err);
    partition->low = bounds[0];
    partition->high = bounds[1];
    return ok;
}

bool log_reader_open(struct log_reader *reader, const struct config *config,
                     const struct script_generation *generation, struct err *err) {
    return log_reader_open_topics(reader, config, generation, NULL, 0, err);
}

bool log_reader_open_topics(struct log_reader *reader, const struct config *config,
                            const struct script_generation *generation, const char *const *topics,
                            size_t count, struct err *err) {
    struct log_reader_search search = {reader, generation, topics, count};
    *reader = (struct log_reader){0};
    struct kafka_consumer_options options = {
        .settings = config_kafka_settings(config),
        .skips_gaps = true, /* Kafka may delete records during the read */
    };
    reader->kafka = kafka_consumer_open(&options, err);
    bool ok = reader->kafka && log_reader_find_partitions(&search, err);
    for (size_t i = 0; ok && i < reader->count; i++) {
        ok = log_reader_ask_bounds(reader, &reader->partitions[i], err);
        reader->partitions[i].until = reader->partitions[i].high;
    }
    return ok;
}

void log_reader_close(struct log_reader *reader) {
    for (size_t i = 0; i < reader->count; i++) {
        if (reader->partitions[i].held.owner) {
            kafka_message_release(reader->partitions[i].held.owner);
        }
    }
    kafka_consumer_destroy(reader->kafka);
    for (size_t i = 0; i < reader->count; i++) {
        free(reader->partitions[i].topic);
    }
    free(reader->partitions);
    *reader = (struct log_reader){0};
}

/* ---- where to start ------------------------------------------------------------------------ */

static bool log_reader_is_finished(const struct log_partition *partition) {
    return partition->position >= partition->until;
}

/* The caller frees it. */
static struct kafka_place *log_reader_list_places(const struct log_reader *reader) {
    struct kafka_place *places = xcalloc(reader->count + 1, sizeof *places);
    for (size_t i = 0; i < reader->count; i++) {
        const struct log_partition *partition = &reader->partitions[i];
        places[i] = (struct kafka_place){
            .topic = partition->topic, .partition = partition->number, .offset = partition->start};
    }
    return places;
}

bool log_reader_start_at(struct log_reader *reader, struct err *err) {
    struct kafka_place *places = log_reader_list_places(reader);
    reader->unfinished = 0;
    for (size_t i = 0; i < reader->count; i++) {
        struct log_partition *partition = &reader->partitions[i];
        partition->position = partition->start;
        reader->unfinished += !log_reader_is_finished(partition);
    }
    bool ok = kafka_consumer_fetch(reader->kafka, places, reader->count, err);
    free(places);
    return ok;
}

bool log_reader_start(struct log_reader *reader, int64_t since_us, struct err *err) {
    struct kafka_place *places = log_reader_list_places(reader);
    bool ok = since_us < 0 ||
              kafka_consumer_offsets_at(reader->kafka, places, reader->count, since_us / 1000, err);
    for (size_t i = 0; ok && i < reader->count; i++) {
        struct log_partition *partition = &reader->partitions[i];
        int64_t found = since_us < 0 ? partition->low : places[i].offset;
        /* -1: no record is that new. */
        partition->start = found >= 0 ? found : partition->high;
        partition->gap = since_us < 0 && partition->low > 0;
    }
    free(places);
    return ok && log_reader_start_at(reader, err);
}

/* ---- bounds -------------------------------------------------------------------------------- */

static bool log_reader_set_paused(struct log_reader *reader, struct log_partition *partition,
                                  bool paused, struct err *err) {
    if (partition->paused == paused) {
        return true;
    }
    partition->paused = paused;
    return kafka_consumer_set_paused(reader->kafka, partition->topic, partition->number, paused,
                                     err);
}

bool log_reader_extend(struct log_reader *reader, struct log_partition *partition, int64_t until,
                       struct err *err) {
    bool was_finished = log_reader_is_finished(partition);
    if (until > partition->until) {
        partition->until = until;
    }
    if (was_finished && !log_reader_is_finished(partition)) {
        reader->unfinished++;
    }
    bool beyond = partition->held.owner && partition->held.offset >= partition->until;
    return log_reader_is_finished(partition) || beyond ||
           log_reader_set_paused(reader, partition, false, err);
}

static void log_reader_move_to(struct log_reader *reader, struct log_partition *partition,
                               int64_t position) {
    bool was_finished = log_reader_is_finished(partition);
    partition->position = position;
    reader->unfinished -= !was_finished && log_reader_is_finished(partition);
}

/* ---- reading ------------------------------------------------------------------------------- */

static void log_reader_note_gap(struct log_partition *partition,
                                const struct kafka_message *record) {
    if (!partition->gap && record->offset <= partition->position) {
        return;
    }
    int64_t time_us = record->time_us > 0 ? record->time_us : INT64_MAX;
    if (time_us > partition->missing_before_us) {
        partition->missing_before_us = time_us;
    }
    partition->gap = false;
}

static struct log_partition *log_reader_find(const struct log_reader *reader,
                                             const struct kafka_message *record) {
    struct log_partition wanted = {.topic = (char *)record->topic, .number = record->partition};
    return record->topic ? bsearch(&wanted, reader->partitions, reader->count, sizeof wanted,
                                   log_reader_compare_partitions)
                         : NULL;
}

static bool log_reader_give(struct log_reader *reader, struct log_partition *partition,
                            const struct kafka_message *record, struct log_record *message) {
    log_reader_note_gap(partition, record);
    log_reader_move_to(reader, partition, record->offset + 1);
    *message = log_record_of_kafka(record, (size_t)(partition - reader->partitions));
    return true;
}

/* False: the record is held or dropped. */
static bool log_reader_take(struct log_reader *reader, struct log_partition *partition,
                            const struct kafka_message *record, struct log_record *message,
                            struct err *err) {
    if (record->offset < partition->position || partition->held.owner) {
        kafka_message_release(record->owner); /* fetched before a pause, and will come again */
        return false;
    }
    if (record->offset < partition->until) {
        return log_reader_give(reader, partition, record, message);
    }
    if (partition->gap || partition->position < partition->until) {
        log_reader_note_gap(partition, record);
    }
    partition->held = *record;
    if (!log_reader_is_finished(partition)) {
        log_reader_move_to(reader, partition, partition->until); /* nothing is before it */
    }
    (void)log_reader_set_paused(reader, partition, true, err);
    return false;
}

static bool log_reader_take_held(struct log_reader *reader, struct log_record *message) {
    for (size_t i = 0; i < reader->count; i++) {
        struct log_partition *partition = &reader->partitions[i];
        struct kafka_message record = partition->held;
        if (record.owner && record.offset < partition->until) {
            partition->held.owner = NULL;
            return log_reader_give(reader, partition, &record, message);
        }
    }
    return false;
}

static bool log_reader_judge(struct log_reader *reader, const struct kafka_message *record,
                             struct log_record *message, struct err *err) {
    struct log_partition *partition = log_reader_find(reader, record);
    enum kafka_error_kind error = record->error.kind;
    if (partition && error == KAFKA_ERROR_NONE) {
        return log_reader_take(reader, partition, record, message, err);
    }
    if (error != KAFKA_ERROR_NONE && error != KAFKA_ERROR_END) {
        err_set(err, ERR_UNAVAILABLE, "cannot read the log of %s [%d] at offset %lld: %s",
                record->topic ? record->topic : "the group", record->partition,
                (long long)record->offset, record->detail);
    } else if (partition && record->offset > partition->position && !partition->held.owner) {
        log_reader_move_to(reader, partition, record->offset); /* control records only */
    }
    kafka_message_release(record->owner);
    return false;
}

bool log_reader_next(struct log_reader *reader, int timeout_ms, struct log_record *message,
                     struct err *err) {
    bool found = log_reader_take_held(reader, message);
    int64_t deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    while (!found && reader->unfinished > 0 && err->kind == ERR_NONE) {
        struct kafka_message record;
        if (stop_requested()) {
            err_set(err, ERR_UNAVAILABLE, "the program is stopping");
            break;
        }
        if (!kafka_consumer_next(reader->kafka, clock_remaining_ms(deadline_us), &record)) {
            break;
        }
        found = log_reader_judge(reader, &record, message, err);
    }
    return found;
}

/* ---- facts --------------------------------------------------------------------------------- */

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

const struct log_partition *log_reader_waits_for(const struct log_reader *reader) {
    for (size_t i = 0; i < reader->count; i++) {
        if (!log_reader_is_finished(&reader->partitions[i])) {
            return &reader->partitions[i];
        }
    }
    return NULL;
}

bool log_reader_fail_silent(const struct log_reader *reader, int silent_s, struct err *err) {
    const struct log_partition *partition = log_reader_waits_for(reader);
    return partition ? err_set(err, ERR_UNAVAILABLE,
                               "Kafka has sent nothing for %d s: reading waits at offset %lld of "
                               "%s [%d], which ends at %lld; check that its leader is available",
                               silent_s, (long long)partition->position, partition->topic,
                               partition->number, (long long)partition->until)
                     : err_set(err, ERR_UNAVAILABLE, "Kafka has sent nothing for %d s", silent_s);
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
