#include "message_differences.h"

#include "base/json_put.h"
#include "side_pipeline.h"

#define OLD SIDE_OLD_SCHEMA
#define NEW SIDE_NEW_SCHEMA
#define EXAMPLES "3"              /* of each field of a source, and of each kind of message */
#define FAILURES "10"             /* that are shown */
#define COMPARED_BY_FIELD "10000" /* messages at most */
#define SHOWN_CHARACTERS "500"    /* of a value */

/* Every identity once. `kind` is NULL where both say the same. */
static const char pair_sql[] =
    "CREATE UNLOGGED TABLE " NEW ".message_pairs AS SELECT coalesce(n.source, o.source) AS source, "
    "coalesce(n.topic, o.topic) AS topic, coalesce(n.key, o.key) AS key, o.id AS old_id, "
    "n.id AS new_id, CASE WHEN n.id IS NULL THEN 'old' WHEN o.id IS NULL THEN 'new' "
    "WHEN (o.topic, o.key, o.value, o.headers, o.fact_at) IS DISTINCT FROM "
    "(n.topic, n.key, n.value, n.headers, n.fact_at) THEN 'both' END AS kind "
    "FROM " OLD ".outbox o FULL JOIN " NEW ".outbox n USING (identity)";

/* An identity often names all that its message says, so that a change gives another one: a message
 * of one side alone stands beside that of the other with its source, topic and key. */
#define BESIDE                                                                                     \
    "alone AS (SELECT *, row_number() OVER (PARTITION BY source, topic, key, kind "                \
    "ORDER BY coalesce(old_id, new_id)) AS nth FROM " NEW ".message_pairs "                        \
    "WHERE kind IN ('old', 'new')), "                                                              \
    "beside AS (SELECT source, old_id, new_id FROM " NEW ".message_pairs WHERE kind = 'both' "     \
    "UNION ALL SELECT o.source, o.old_id, n.new_id FROM alone o JOIN alone n "                     \
    "ON o.kind = 'old' AND n.kind = 'new' AND (o.source, o.topic, o.nth) = "                       \
    "(n.source, n.topic, n.nth) AND o.key IS NOT DISTINCT FROM n.key LIMIT " COMPARED_BY_FIELD ")"

/* A NUL, which JSON may escape, is nothing that Postgres can read. */
#define VALUE(side)                                                                                \
    "CASE WHEN strpos(convert_from(" side ".value, 'UTF8'), '\\u0000') > 0 "                       \
    "THEN to_json(convert_from(" side ".value, 'UTF8')) "                                          \
    "ELSE convert_from(" side ".value, 'UTF8')::json END"

#define PARTS(side)                                                                                \
    "('" side "', 'topic', to_json(" side ".topic)), ('" side "', 'key', to_json(" side ".key)), " \
    "('" side "', 'identity', to_json(" side ".identity)), "                                       \
    "('" side "', 'at', to_json(" side ".fact_at)), "                                              \
    "('" side "', 'headers', " side ".headers::json), ('" side "', 'value', " VALUE(side) ")"

/* What is no object, with the names of the objects around it: value.data.status. */
#define LEAVES                                                                                     \
    "leaves AS (SELECT b.source, b.old_id, b.new_id, new.topic, new.key, p.side, p.path, p.value " \
    "FROM beside b JOIN " OLD ".outbox old ON old.id = b.old_id "                                  \
    "JOIN " NEW ".outbox new ON new.id = b.new_id "                                                \
    "CROSS JOIN LATERAL (VALUES " PARTS("old") ", " PARTS(                                         \
        "new") ") AS p (side, path, value) "                                                       \
               "UNION ALL SELECT l.source, l.old_id, l.new_id, l.topic, l.key, l.side, "           \
               "l.path || '.' || m.key, m.value FROM leaves l CROSS JOIN LATERAL json_each("       \
               "CASE WHEN json_typeof(l.value) = 'object' THEN l.value ELSE '{}'::json END) m)"

#define FIELDS                                                                                     \
    "differing AS (SELECT source, old_id, topic, key, path, "                                      \
    "max(value::text) FILTER (WHERE side = 'old') AS old, "                                        \
    "max(value::text) FILTER (WHERE side = 'new') AS new FROM leaves "                             \
    "WHERE json_typeof(value) <> 'object' OR NOT EXISTS (SELECT FROM json_object_keys("            \
    "CASE WHEN json_typeof(value) = 'object' THEN value ELSE '{}'::json END)) "                    \
    "GROUP BY source, old_id, new_id, topic, key, path), "                                         \
    "placed AS (SELECT *, row_number() OVER (PARTITION BY source, path ORDER BY old_id) AS nth "   \
    "FROM differing WHERE old IS DISTINCT FROM new), "                                             \
    "fields AS (SELECT source, json_build_object('field', path, 'messages', count(*), "            \
    "'examples', "                                                                                 \
    "json_agg(json_build_object('topic', topic, 'key', key, "                                      \
    "'old', left(old, " SHOWN_CHARACTERS "), 'new', left(new, " SHOWN_CHARACTERS                   \
    ")) ORDER BY nth) "                                                                            \
    "FILTER (WHERE nth <= " EXAMPLES ")) AS field, count(*) AS messages, path "                    \
    "FROM placed GROUP BY source, path)"

/* The messages of one side alone, as a list of JSON. */
#define ALONE(side)                                                                                \
    "'only_" side "', count(*) FILTER (WHERE p.kind = '" side "'), 'only_" side "_messages', "     \
    "(SELECT coalesce(json_agg(e.message), '[]') FROM (SELECT json_build_object("                  \
    "'topic', m.topic, 'key', m.key, 'identity', m.identity, "                                     \
    "'value', left(convert_from(m.value, 'UTF8'), " SHOWN_CHARACTERS ")) AS message "              \
    "FROM " NEW ".message_pairs q JOIN aggregator_shadow_run_" side ".outbox m "                   \
    "ON m.id = q." side "_id WHERE q.source = p.source AND q.kind = '" side "' "                   \
    "ORDER BY m.id LIMIT " EXAMPLES ") e)"

static const char sources_sql[] =
    "WITH RECURSIVE " BESIDE ", " LEAVES ", " FIELDS ", "
    "sources AS (SELECT p.source, count(*) AS messages, count(p.kind) AS differing, "
    "json_build_object('source', p.source, 'messages', count(*), "
    "'differing', count(*) FILTER (WHERE p.kind = 'both'), " ALONE("old") ", " ALONE(
        "new") ", "
               "'fields', (SELECT coalesce(json_agg(f.field ORDER BY f.messages DESC, f.path "
               "COLLATE \"C\"), "
               "'[]') FROM fields f WHERE f.source = p.source)) AS source_json "
               "FROM " NEW ".message_pairs p GROUP BY p.source) "
               "SELECT coalesce(sum(messages), 0)::int8, coalesce(sum(differing), 0)::int8, "
               "string_agg(source_json::text, ',' ORDER BY source COLLATE \"C\") FROM sources";

#define FAILED(schema)                                                                             \
    "(SELECT reaction, key, max(error) AS error FROM " schema ".reaction_marks "                   \
    "WHERE error IS NOT NULL GROUP BY reaction, key)"

static const char failures_sql[] =
    "WITH failed AS (SELECT reaction, key, o.error AS old, n.error AS new "
    "FROM " FAILED(OLD) " o FULL JOIN " FAILED(
        NEW) " n USING (reaction, key)) "
             "SELECT count(*) FILTER (WHERE old IS NULL), count(*) FILTER (WHERE new IS NULL), "
             "count(*) FILTER (WHERE old = old AND new = new), "
             "(SELECT string_agg(row_to_json(shown)::text, ',') FROM (SELECT * FROM failed "
             "WHERE old IS NULL OR new IS NULL ORDER BY old IS NULL DESC, reaction, key "
             "LIMIT " FAILURES ") shown) FROM failed";

static bool message_differences_ask(struct sql_session *session, const char *sql,
                                    struct pg_result **row, struct err *err) {
    return sql_query(session, slice_of(sql), row, err) ||
           err_wrap(err, "comparing what would be published");
}

static void message_differences_take_list(struct buffer *list, const struct pg_result *row,
                                          int column) {
    struct slice elements = pg_rows_cell(row, 0, column);
    buffer_append(list, elements.data ? elements.data : "", elements.len);
}

bool message_differences_find(struct message_differences *messages, struct sql_session *session,
                              struct err *err) {
    struct pg_result *row;
    *messages = (struct message_differences){0};
    if (!message_differences_ask(session, pair_sql, NULL, err) ||
        !message_differences_ask(session, sources_sql, &row, err)) {
        return false;
    }
    messages->count = pg_rows_int(row, 0, 0);
    messages->differing = pg_rows_int(row, 0, 1);
    message_differences_take_list(&messages->sources, row, 2);
    pg_rows_free(row);
    if (!message_differences_ask(session, failures_sql, &row, err)) {
        return false;
    }
    messages->newly_failing = pg_rows_int(row, 0, 0);
    messages->no_longer_failing = pg_rows_int(row, 0, 1);
    messages->failing = pg_rows_int(row, 0, 2);
    message_differences_take_list(&messages->failures, row, 3);
    pg_rows_free(row);
    return true;
}

void message_differences_append(const struct message_differences *messages, struct buffer *json) {
    json_put_int(json, "messages", messages->count);
    json_put_int(json, "differing_messages", messages->differing);
    json_put_int(json, "newly_failing", messages->newly_failing);
    json_put_int(json, "no_longer_failing", messages->no_longer_failing);
    json_put_int(json, "failing_on_both", messages->failing);
    json_put_list(json, "published", &messages->sources);
    json_put_list(json, "failing", &messages->failures);
}

void message_differences_free(struct message_differences *messages) {
    buffer_free(&messages->sources);
    buffer_free(&messages->failures);
}
