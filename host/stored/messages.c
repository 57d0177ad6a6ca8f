#include "messages.h"

#include <stddef.h>

#define SELECTED                                                                                   \
    "($1::text IS NULL OR topic = $1::text) AND ($2::text IS NULL OR key = $2::text) AND "         \
    "($3::text[] IS NULL OR id = ANY (ARRAY(SELECT one::int8 FROM unnest($3::text[]) AS one "      \
    "WHERE "                                                                                       \
    "one ~ '^[0-9]{1,18}$')) OR identity = ANY (ARRAY(SELECT unnest(ARRAY[one, lower(one)]) FROM " \
    "unnest($3::text[]) AS one)))"

const char *const messages_states[] = {"pending", "sent", "settled", "failed", NULL};

const char messages_list_sql[] =
    "SELECT id, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS created_at, "
    "state, topic, key, identity, left(error, 500) AS error, attempts, left(source, 500) AS source "
    "FROM aggregator_state.outbox "
    "WHERE " SELECTED " AND ($4::text IS NULL OR state = $4::text) "
    "AND ($6::int8 IS NULL OR id < $6::int8) AND ($7::text IS NULL OR "
    "position($7::text IN concat_ws(' ', key, identity, source, error)) > 0) "
    "ORDER BY id DESC LIMIT $5::int8";

const char messages_count_sql[] =
    "SELECT topic, state, count(*)::text FROM aggregator_state.outbox WHERE " SELECTED
    " AND state = ANY (string_to_array($4::text, ' or ')) GROUP BY topic, state "
    "ORDER BY topic, state";

const char messages_missing_sql[] =
    "SELECT wanted.id FROM unnest($3::text[]) AS wanted (id) WHERE $1::text IS NULL "
    "AND $2::text IS NULL AND NOT EXISTS (SELECT FROM aggregator_state.outbox o WHERE o.id::text = "
    "wanted.id OR o.identity IN (wanted.id, lower(wanted.id)))";

#define FACTS                                                                                      \
    "id, identity, topic, key, state, attempts, error, created_at, fact_at, done_at, source, "     \
    "scripts, traceparent, headers"

const char messages_show_sql[] = "SELECT " FACTS ", encode(value, 'escape') AS value FROM "
                                 "aggregator_state.outbox WHERE " SELECTED " ORDER BY id";

const char messages_read_sql[] =
    "SELECT " FACTS ", about, octet_length(value) AS bytes, encode(substr(value, 1, 262144), "
    "'base64') AS value_base64 FROM aggregator_state.outbox WHERE " SELECTED;

const char messages_topics_sql[] =
    "SELECT coalesce(string_agg(DISTINCT topic, ', ' ORDER BY topic), '') FROM "
    "(SELECT topic FROM aggregator_state.outbox ORDER BY id DESC LIMIT 10000) AS newest";

/* Locks the rows in order of their ids, as the relay does (outbox/rows.sql). */
#define LOCKED(states)                                                                             \
    "id = ANY (ARRAY(SELECT id FROM aggregator_state.outbox WHERE " SELECTED                       \
    " AND state IN (" states ") ORDER BY id FOR UPDATE))"

const char messages_retry_sql[] =
    "UPDATE aggregator_state.outbox SET state = 'pending', done_at = NULL, error = NULL "
    "WHERE " LOCKED("'failed'");

const char messages_drop_sql[] =
    "UPDATE aggregator_state.outbox SET state = 'settled', done_at = now(), error = 'dropped by "
    "an operator' WHERE " LOCKED("'pending', 'failed'");
