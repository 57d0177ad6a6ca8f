/* replay: rewinds partitions in the database. The workers meet it in their next commit (the
 * compare-and-set fails) or, idle, within seconds, and go on from there. The view converges, so
 * that reading twice changes nothing but what a mended script makes of it. */
#include <stdio.h>

#include "command.h"
#include "../ingest/kafka_client.h"
#include "../view/sql_session.h"
#include "../base/timestamp.h"

static const char list_sql[] =
    "SELECT partition::text FROM consumer_offsets WHERE consumer_group = "
    "$1::text AND topic = $2::text AND next_offset >= 0 AND ($3::int8 < 0 OR partition = $3::int8) "
    "ORDER BY partition";

static const char rewind_sql[] =
    "UPDATE consumer_offsets SET fresh_offset = greatest(fresh_offset, next_offset), "
    "next_offset = $4::int8 WHERE consumer_group = $1::text AND topic = $2::text AND partition = "
    "$3::int8 AND next_offset > $4::int8";

struct replay {
    const struct command *command;
    struct sql_session session;
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

static void fill(struct replay *replay) {
    pg_params_add_text(replay->session.params, slice_of(replay->command->config->kafka.group));
    pg_params_add_text(replay->session.params, slice_of(replay->command->topic));
}

/* The partitions, each with the offset that was asked for. */
static rd_kafka_topic_partition_list_t *list_partitions(struct replay *replay, struct err *err) {
    PGresult *rows = NULL;
    fill(replay);
    pg_params_add_int8(replay->session.params, replay->partition);
    if (!sql_query(&replay->session, slice_of(list_sql), &rows, err)) {
        return NULL;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PQntuples(rows));
    for (int i = 0; i < PQntuples(rows); i++) {
        int32_t number = (int32_t)sql_cell_int(rows, i, 0);
        rd_kafka_topic_partition_list_add(list, replay->command->topic, number)->offset =
            replay->from_offset;
    }
    PQclear(rows);
    return list;
}

/* Kafka says which offset each partition had at the time. */
static bool look_up_times(struct replay *replay, rd_kafka_topic_partition_list_t *list,
                          struct err *err) {
    rd_kafka_conf_t *conf = kafka_client_conf(replay->command->config, KAFKA_CLIENT_NO_MEMBER, err);
    rd_kafka_t *client = conf ? kafka_client_consumer(conf, err) : NULL;
    if (!client) {
        return false;
    }
    bool ok = kafka_client_offsets_at(client, list, replay->from_time_ms, err);
    rd_kafka_destroy(client);
    return ok;
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
    pg_params_add_int8(replay->session.params, element->partition);
    pg_params_add_int8(replay->session.params, element->offset);
    if (!sql_query(&replay->session, slice_of(rewind_sql), &result, err)) {
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
    bool ok = sql_session_open(&replay.session, command->config, "aggregator replay",
                               command->config->postgres.statement_timeout_ms, &err) &&
              run(&replay, &err);
    if (!ok) {
        fprintf(stderr, "replay: %s\n", err.text);
    }
    sql_session_close(&replay.session);
    return ok ? 0 : 1;
}
