/* replay: rewinds partitions in the database. The workers meet it in their next commit (the
 * compare-and-set fails) or, idle, within seconds, and go on from there. The view converges, so
 * that reading twice changes nothing but what a mended script makes of it. */
#include <stdio.h>

#include "command.h"
#include "../ingest/kafka_client.h"
#include "../view/sql_session.h"

static const char list_sql[] =
    "SELECT partition::text FROM consumer_offsets WHERE consumer_group = "
    "$1::text AND topic = $2::text AND next_offset >= 0 AND ($3::int8 < 0 OR partition = $3::int8) "
    "ORDER BY partition";

static const char rewind_sql[] =
    "WITH old AS (SELECT consumer_group, topic, partition, next_offset FROM consumer_offsets WHERE "
    "consumer_group = $1::text AND topic = $2::text AND partition = $3::int8 AND next_offset > "
    "$4::int8 FOR UPDATE) UPDATE consumer_offsets AS new SET fresh_offset = "
    "greatest(fresh_offset, new.next_offset), next_offset = $4::int8 FROM old WHERE "
    "new.consumer_group = old.consumer_group AND new.topic = old.topic AND new.partition = "
    "old.partition RETURNING (old.next_offset - $4::int8)::text";

struct replay {
    const struct command *command;
    struct sql_session session;
};

/* ---- the partitions and where they go back to ---------------------------------------------- */

static void fill(struct replay *replay) {
    pg_params_add_text(replay->session.params, slice_of(replay->command->config->kafka.group));
    pg_params_add_text(replay->session.params, slice_of(replay->command->topic));
}

/* The partitions, each with the offset that was asked for. */
static rd_kafka_topic_partition_list_t *list_partitions(struct replay *replay, struct err *err) {
    PGresult *rows = NULL;
    fill(replay);
    pg_params_add_int8(replay->session.params, replay->command->partition);
    if (!sql_query(&replay->session, slice_of(list_sql), &rows, err)) {
        return NULL;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PQntuples(rows));
    for (int i = 0; i < PQntuples(rows); i++) {
        int32_t number = (int32_t)sql_cell_int(rows, i, 0);
        rd_kafka_topic_partition_list_add(list, replay->command->topic, number)->offset =
            replay->command->from_offset;
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
    bool ok = kafka_client_offsets_at(client, list, replay->command->from_time_us / 1000, err);
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
    if (PQntuples(result) == 1) {
        printf("%s/%d: reads again from offset %lld: %s offsets\n", element->topic,
               element->partition, (long long)element->offset, PQgetvalue(result, 0, 0));
    } else {
        printf("%s/%d: has not come to offset %lld yet\n", element->topic, element->partition,
               (long long)element->offset);
    }
    PQclear(result);
    return true;
}

static bool refuse_replay(const struct command *command, struct err *err) {
    char partition[48] = "";
    if (command->partition >= 0) {
        snprintf(partition, sizeof partition, ", partition %lld", (long long)command->partition);
    }
    return err_set(err, ERR_INPUT, "group %s has consumed nothing of topic %s%s",
                   command->config->kafka.group, command->topic, partition);
}

static bool run(struct replay *replay, struct err *err) {
    rd_kafka_topic_partition_list_t *list = list_partitions(replay, err);
    if (!list) {
        return false;
    }
    bool ok = list->cnt > 0 || refuse_replay(replay->command, err);
    ok = ok && (replay->command->from_offset >= 0 || look_up_times(replay, list, err));
    for (int i = 0; ok && i < list->cnt; i++) {
        ok = rewind_one(replay, &list->elems[i], err);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

int command_replay(const struct command *command) {
    struct replay replay = {.command = command};
    struct err err = {0};
    bool ok = sql_session_open(&replay.session, command->config, "aggregator replay",
                               command->config->postgres.statement_timeout_ms, &err) &&
              run(&replay, &err);
    if (!ok) {
        fprintf(stderr, "replay: %s\n", err.text);
    }
    sql_session_close(&replay.session);
    return ok ? 0 : 1;
}
