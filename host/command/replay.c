/* replay: rewinds partitions in the database. Workers notice in their next commit (the
 * compare-and-set fails) or, idle, within seconds. Reading twice changes only what other scripts
 * make of it. */
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "report.h"
#include "bindings/kafka_consumer.h"
#include "base/plural.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "view/sql_session.h"

static const char list_sql[] =
    "SELECT partition::text FROM aggregator_state.consumer_offsets WHERE consumer_group = "
    "$1::text AND topic = $2::text AND next_offset >= 0 AND ($3::int8 < 0 OR partition = $3::int8) "
    "ORDER BY partition";

static const char rewind_sql[] =
    "WITH old AS (SELECT consumer_group, topic, partition, next_offset FROM "
    "aggregator_state.consumer_offsets WHERE "
    "consumer_group = $1::text AND topic = $2::text AND partition = $3::int8 AND next_offset > "
    "$4::int8 FOR UPDATE) UPDATE aggregator_state.consumer_offsets AS new SET fresh_offset = "
    "greatest(fresh_offset, new.next_offset), next_offset = $4::int8 FROM old WHERE "
    "new.consumer_group = old.consumer_group AND new.topic = old.topic AND new.partition = "
    "old.partition RETURNING (old.next_offset - $4::int8)::text";

struct replay {
    const struct command *command;
    struct sql_session session;
};

/* ---- partitions and target offsets ---------------------------------------------------------- */

static void command_replay_fill(struct replay *replay) {
    pg_params_add_text(replay->session.params, slice_of(replay->command->config->kafka.group));
    pg_params_add_text(replay->session.params, slice_of(replay->command->topic));
}

/* The partitions, each with the requested offset; the caller frees it. NULL: err says why. */
static struct kafka_place *command_replay_list_partitions(struct replay *replay, size_t *count,
                                                          struct err *err) {
    struct pg_result *rows = NULL;
    command_replay_fill(replay);
    pg_params_add_int8(replay->session.params, replay->command->partition);
    if (!sql_query(&replay->session, slice_of(list_sql), &rows, err)) {
        return NULL;
    }
    *count = (size_t)pg_rows_count(rows);
    struct kafka_place *places = xcalloc(*count + 1, sizeof *places);
    for (size_t i = 0; i < *count; i++) {
        places[i].topic = replay->command->topic;
        places[i].partition = (int32_t)pg_rows_int(rows, (int)i, 0);
        places[i].offset = replay->command->from_offset;
    }
    pg_rows_free(rows);
    return places;
}

/* Queries the offset of each partition at the time. */
static bool command_replay_look_up_times(struct replay *replay, struct kafka_place *places,
                                         size_t count, struct err *err) {
    struct kafka_consumer_options options = {.settings =
                                                 config_kafka_settings(replay->command->config)};
    struct kafka_consumer *consumer = kafka_consumer_open(&options, err);
    bool ok = consumer && kafka_consumer_offsets_at(consumer, places, count,
                                                    replay->command->from_time_us / 1000, err);
    kafka_consumer_destroy(consumer);
    return ok;
}

/* ---- the rewind ---------------------------------------------------------------------------- */

static bool command_replay_rewind_one(struct replay *replay, const struct kafka_place *place,
                                      struct err *err) {
    struct pg_result *result = NULL;
    if (place->offset < 0) { /* no record since then */
        printf("%s/%d: no record since then\n", place->topic, place->partition);
        return true;
    }
    command_replay_fill(replay);
    pg_params_add_int8(replay->session.params, place->partition);
    pg_params_add_int8(replay->session.params, place->offset);
    if (!sql_query(&replay->session, slice_of(rewind_sql), &result, err)) {
        return false;
    }
    if (pg_rows_count(result) == 1) {
        int64_t count = pg_rows_int(result, 0, 0);
        printf("%s/%d: reads again from offset %lld: %lld offset%s\n", place->topic,
               place->partition, (long long)place->offset, (long long)count, plural_of(count));
    } else {
        printf("%s/%d: has not come to offset %lld yet\n", place->topic, place->partition,
               (long long)place->offset);
    }
    pg_rows_free(result);
    return true;
}

static bool command_replay_refuse(const struct command *command, struct err *err) {
    char partition[48] = "";
    if (command->partition >= 0) {
        snprintf(partition, sizeof partition, ", partition %lld", (long long)command->partition);
    }
    return err_set(err, ERR_INPUT, "group %s has consumed nothing of topic %s%s",
                   command->config->kafka.group, command->topic, partition);
}

static bool command_replay_run(struct replay *replay, struct err *err) {
    size_t count = 0;
    struct kafka_place *places = command_replay_list_partitions(replay, &count, err);
    if (!places) {
        return false;
    }
    bool ok = count > 0 || command_replay_refuse(replay->command, err);
    ok = ok && (replay->command->from_offset >= 0 ||
                command_replay_look_up_times(replay, places, count, err));
    for (size_t i = 0; ok && i < count; i++) {
        ok = command_replay_rewind_one(replay, &places[i], err);
    }
    free(places);
    return ok;
}

int command_replay(const struct command *command) {
    struct replay replay = {.command = command};
    struct err err = {0};
    bool ok = sql_session_open(&replay.session, command->config, "aggregator replay",
                               command->config->postgres.statement_timeout_ms, &err) &&
              command_replay_run(&replay, &err);
    if (!ok) {
        command_report(command, "replay", &err);
    }
    sql_session_close(&replay.session);
    return ok ? 0 : 1;
}
