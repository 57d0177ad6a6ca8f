/* catch_up: fills the shadow up to the offsets of the live view. */
#include "base/clock.h"
#include "rebuild.h"
#include "rebuild/catch_up.sql.h"

/* After a shorter round so few records are left that they can be read under the locks. */
#define SHORT_ROUND_US 1000000

static struct log_partition *catch_up_find(const struct log_reader *reader, const char *topic,
                                           int32_t number) {
    for (size_t i = 0; i < reader->count; i++) {
        if (reader->partitions[i].number == number &&
            strcmp(reader->partitions[i].topic, topic) == 0) {
            return &reader->partitions[i];
        }
    }
    return NULL;
}

static bool catch_up_follow(struct rebuild *rebuild, const char *topic, int32_t number,
                            int64_t offset, struct err *err) {
    struct log_reader *reader = &rebuild->reader;
    struct log_partition *partition = catch_up_find(reader, topic, number);
    if (script_handler_of(rebuild->generation, topic) < 0 || offset <= 0) {
        return true;
    }
    if (!partition) {
        return err_set(err, ERR_INPUT,
                       "the view has events of %s [%d], which Kafka did not list: if the partition "
                       "is new, run the command again; if it was deleted, the view cannot be "
                       "rebuilt",
                       topic, number);
    }
    if (offset > partition->high && !log_reader_ask_bounds(reader, partition, err)) {
        return false;
    }
    if (offset > partition->high) {
        return err_set(err, ERR_INPUT,
                       "the view is at offset %lld of %s [%d], but Kafka's log ends at %lld: the "
                       "topic was recreated or truncated",
                       (long long)offset, topic, number, (long long)partition->high);
    }
    return log_reader_extend(reader, partition, offset, err);
}

bool catch_up_bounds(struct rebuild *rebuild, struct err *err) {
    const char *group = rebuild->options.config->kafka.group;
    struct pg_result *rows;
    pg_params_add_text(rebuild->session.params, slice_of(group));
    if (!sql_query(&rebuild->session, slice_of(offsets_sql), &rows, err)) {
        return false;
    }
    bool ok = true;
    if (pg_rows_count(rows) == 0) {
        ok = err_set(err, ERR_INPUT,
                     "the database has no offsets of the group \"%s\": check kafka.group", group);
    }
    for (int i = 0; ok && i < pg_rows_count(rows); i++) {
        ok = catch_up_follow(rebuild, pg_rows_text(rows, i, 0), (int32_t)pg_rows_int(rows, i, 1),
                             pg_rows_int(rows, i, 2), err);
    }
    pg_rows_free(rows);
    return ok;
}

bool catch_up(struct rebuild *rebuild, struct err *err) {
    int64_t started_us;
    do {
        started_us = clock_monotonic_us();
        if (!catch_up_bounds(rebuild, err) ||
            !shadow_fill_run(&rebuild->fill, 0, &rebuild->progress, err)) {
            return false;
        }
    } while (clock_monotonic_us() - started_us > SHORT_ROUND_US);
    return true;
}
