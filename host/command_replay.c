/* command_replay: rewinds partitions in the database. The workers meet it in their next commit (the
 * compare-and-set fails) or, idle, within seconds, and go on from there. The view converges, so
 * that reading twice changes nothing but what a mended script makes of it. */
#include <stdio.h>
#include <stdlib.h>

#include "../bindings/pg.h"
#include "command.h"
#include "ingest/kafka_client.h"
#include "timestamp.h"

#define KAFKA_TIMEOUT_MS 15000
#define MAX_PARTITIONS 10000

static const char list_sql[] =
    "SELECT partition::text, next_offset::text FROM consumer_offsets WHERE consumer_group = "
    "$1::text AND topic = $2::text AND next_offset >= 0 AND ($3::int8 < 0 OR partition = $3::int8) "
    "ORDER BY partition";

static const char rewind_sql[] =
    "UPDATE consumer_offsets SET fresh_offset = greatest(fresh_offset, next_offset), "
    "next_offset = $4::int8 WHERE consumer_group = $1::text AND topic = $2::text AND partition = "
    "$3::int8 AND next_offset > $4::int8";

struct replay {
    const struct command *command;
    struct pg *pg;
    struct pg_params *params;
    int64_t partition;    /* -1: all */
    int64_t from_offset;  /* -1: by time */
    int64_t from_time_ms; /* Unix */
};

static bool parse(struct replay *replay) {
    const struct command *command = replay->command;
    int64_t time_us = 0;
    replay->partition = replay->from_offset = -1;
    if (!command->topic || !command->from_time == !command->from_offset) {
        fputs("aggregator: replay takes --topic TOPIC, and --from-time TIME or --from-offset N\n",
              stderr);
        return false;
    }
    if (command->from_time && !timestamp_parse(slice_of(command->from_time), &time_us)) {
        fprintf(stderr, "aggregator: --from-time is \"%s\": say it as 2026-01-31T08:00:00Z\n",
                command->from_time);
        return false;
    }
    replay->from_time_ms = time_us / 1000;
    return (!command->partition ||
            command_number("partition", command->partition, 0, INT32_MAX, &replay->partition)) &&
           (!command->from_offset || command_number("from-offset", command->from_offset, 0,
                                                    INT64_MAX, &replay->from_offset));
}

/* ---- the partitions and where they go back to ---------------------------------------------- */

static int timeout_ms(const struct replay *replay) {
    return replay->command->config->postgres.statement_timeout_ms + 1000;
}

static void fill(struct replay *replay) {
    pg_params_reset(replay->params);
    pg_params_add_text(replay->params, slice_of(replay->command->config->kafka.group));
    pg_params_add_text(replay->params, slice_of(replay->command->topic));
}

/* Each partition with its present offset in `metadata`, and the target in `offset`. */
static rd_kafka_topic_partition_list_t *list_partitions(struct replay *replay, struct err *err) {
    PGresult *rows = NULL;
    fill(replay);
    pg_params_add_int8(replay->params, replay->partition);
    if (!pg_query(replay->pg, "replay_list", list_sql, replay->params, timeout_ms(replay), &rows,
                  err)) {
        return NULL;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PQntuples(rows));
    for (int i = 0; i < PQntuples(rows); i++) {
        int32_t number = (int32_t)strtol(PQgetvalue(rows, i, 0), NULL, 10);
        rd_kafka_topic_partition_list_add(list, replay->command->topic, number)->offset =
            replay->from_offset;
    }
    PQclear(rows);
    return list;
}

/* Kafka says which offset each partition had at the time. */
static bool look_up_times(struct replay *replay, rd_kafka_topic_partition_list_t *list,
                          struct err *err) {
    rd_kafka_conf_t *conf = kafka_client_conf(replay->command->config, err);
    rd_kafka_t *client = conf ? kafka_client_consumer(conf, err) : NULL;
    if (!client) {
        return false;
    }
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = replay->from_time_ms;
    }
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client, list, KAFKA_TIMEOUT_MS);
    for (int i = 0; !code && i < list->cnt; i++) {
        code = list->elems[i].err;
    }
    rd_kafka_destroy(client);
    return !code || err_set(err, ERR_UNAVAILABLE, "kafka cannot say where that time is: %s",
                            rd_kafka_err2str(code));
}

/* ---- the rewind ---------------------------------------------------------------------------- */

static bool rewind_one(struct replay *replay, const rd_kafka_topic_partition_t *element,
                       struct err *err) {
    PGresult *result = NULL;
    if (element->offset < 0) { /* nothing so young in this partition */
        printf("%s/%d: nothing from then on\n", element->topic, element->partition);
        return true;
    }
    fill(replay);
    pg_params_add_int8(replay->params, element->partition);
    pg_params_add_int8(replay->params, element->offset);
    if (!pg_query(replay->pg, "replay_rewind", rewind_sql, replay->params, timeout_ms(replay),
                  &result, err)) {
        return false;
    }
    bool moved = strcmp(PQcmdTuples(result), "1") == 0;
    printf(moved ? "%s/%d: reads again from offset %lld\n"
                 : "%s/%d: has not come to offset %lld yet\n",
           element->topic, element->partition, (long long)element->offset);
    PQclear(result);
    return true;
}

static bool run(struct replay *replay, struct err *err) {
    if (!pg_connect(replay->pg, err)) {
        return false;
    }
    rd_kafka_topic_partition_list_t *list = list_partitions(replay, err);
    if (!list) {
        return false;
    }
    bool ok =
        list->cnt > 0 || err_set(err, ERR_INPUT, "group %s has consumed nothing of topic %s%s%s",
                                 replay->command->config->kafka.group, replay->command->topic,
                                 replay->partition >= 0 ? ", partition " : "",
                                 replay->partition >= 0 ? replay->command->partition : "");
    ok = ok && (replay->from_offset >= 0 || look_up_times(replay, list, err));
    for (int i = 0; ok && i < list->cnt; i++) {
        ok = rewind_one(replay, &list->elems[i], err);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

int command_replay(const struct command *command) {
    struct replay replay = {.command = command};
    struct err err = {0};
    if (!parse(&replay)) {
        return 2;
    }
    struct pg_options options = {
        .url = command->config->postgres.url,
        .application_name = "aggregator replay",
        .connect_timeout_ms = command->config->postgres.connect_timeout_ms,
        .statement_timeout_ms = command->config->postgres.statement_timeout_ms,
    };
    replay.pg = pg_create(&options);
    replay.params = pg_params_create();
    bool ok = run(&replay, &err);
    if (!ok) {
        fprintf(stderr, "replay: %s\n", err.text);
    }
    pg_params_destroy(replay.params);
    pg_destroy(replay.pg);
    return ok ? 0 : 1;
}
