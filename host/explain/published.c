/* published: the messages in the outbox, which of them the present scripts would make again, and
 * the marks that reactions have not processed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/uuid.h"
#include "explain.h"

#define PUBLISHED_MAX "1000"
#define TIME_OF(column)                                                                            \
    "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
#define PUBLISHED_COLUMNS                                                                          \
    "o.id::text, o.state, o.topic, o.key, o.identity, o.source, o.about, o.scripts, "              \
    "o.traceparent, o.attempts::text, o.error, " TIME_OF("o.fact_at") ", " TIME_OF(                \
        "o.created_at") ", " TIME_OF("o.done_at")
#define PUBLISHED_TEXTS 14 /* of PUBLISHED_COLUMNS */

static const char message_sql[] =
    "SELECT " PUBLISHED_COLUMNS
    " FROM aggregator_state.outbox o WHERE o.id::text = $1::text OR o.identity = $1::text "
    "ORDER BY o.identity = $1::text DESC LIMIT 1";

/* $1, $2: pairs of maker and what it was made of; $3 … $7: what the present scripts make; $8: an
 * id; $9: what it was made of, by any maker. */
static const char published_sql[] =
    "WITH made AS (SELECT * FROM unnest($3::text[], $4::text[], $5::text[], $6::bytea[], "
    "$7::text[]) WITH ORDINALITY AS m (identity, topic, key, value, headers, n)) "
    "SELECT " PUBLISHED_COLUMNS ", m.n, (o.topic, o.key, o.value, o.headers) IS NOT DISTINCT FROM "
    "(m.topic COLLATE \"C\", m.key COLLATE \"C\", m.value, coalesce(m.headers, '{}')::jsonb) "
    "FROM aggregator_state.outbox o LEFT JOIN made m ON m.identity COLLATE \"C\" = o.identity "
    "WHERE m.n IS NOT NULL OR o.id::text = $8::text OR o.about = $9::text OR (o.source, o.about) "
    "IN "
    "(SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY o.id DESC LIMIT " PUBLISHED_MAX;

static const char marks_sql[] = "SELECT w.n, " TIME_OF(
    "min(m.marked_at)") ", max(m.attempts)::text, "
                        "(array_agg(m.error ORDER BY m.id DESC) FILTER "
                        "(WHERE m.error IS NOT NULL))[1] "
                        "FROM unnest($1::text[], $2::text[]) WITH "
                        "ORDINALITY AS w (reaction, key, n) "
                        "JOIN aggregator_state.reaction_marks m ON m.reaction = w.reaction "
                        "AND m.key = w.key GROUP BY w.n";

static const char *published_reaction_name(const struct explanation *explanation, size_t reaction) {
    size_t count;
    return script_generation_reactions(explanation->generation, &count)[reaction].name;
}

static struct slice published_copy(struct explanation *explanation, const struct pg_result *rows,
                                   int row, int column) {
    struct slice cell = pg_rows_cell(rows, row, column);
    return cell.data ? arena_copy(explanation->arena, cell) : cell;
}

static void published_read(struct explanation *explanation, const struct pg_result *rows, int row,
                           struct explain_published *fact) {
    struct slice *const texts[PUBLISHED_TEXTS] = {
        &fact->id,     &fact->state,   &fact->topic,      &fact->key,         &fact->identity,
        &fact->source, &fact->about,   &fact->scripts,    &fact->traceparent, &fact->attempts,
        &fact->error,  &fact->fact_at, &fact->created_at, &fact->done_at};
    for (int i = 0; i < PUBLISHED_TEXTS; i++) {
        *texts[i] = published_copy(explanation, rows, row, i);
    }
}

bool explain_find_message(struct explanation *explanation, struct err *err) {
    const char *id = explanation->options.id;
    struct pg_result *rows;
    pg_params_add_text(explanation->session.params, slice_of(id));
    if (!sql_query(&explanation->session, slice_of(message_sql), &rows, err)) {
        return false;
    }
    bool found = pg_rows_count(rows) == 1;
    if (found) {
        struct explain_published *fact = arena_alloc(explanation->arena, sizeof *fact);
        *fact = (struct explain_published){.today = EXPLAIN_UNKNOWN};
        published_read(explanation, rows, 0, fact);
        explanation->asked_for = fact;
    }
    pg_rows_free(rows);
    return found || err_set(err, ERR_INPUT,
                            "no message of the outbox has the id or identity %s: pruned, or "
                            "misspelt; `outbox list` prints ids",
                            id);
}

/* ---- messages ------------------------------------------------------------------------------ */

/* Adds the name of the event's handler. */
static void published_add_handler(struct explanation *explanation, size_t event) {
    size_t count;
    int handler =
        explanation->reader.partitions[explanation->events[event].place.partition].handler;
    pg_array_bytes(
        explanation->session.params,
        slice_of(script_generation_handlers(explanation->generation, &count)[handler].name));
}

/* Adds two lists: the makers, and what each used: reactions and keys, handlers and event ids, and
 * those of the message of the question. */
static void published_add_makers(struct explanation *explanation) {
    struct pg_params *params = explanation->session.params;
    const struct explain_published *asked_for = explanation->asked_for;
    bool has_maker = asked_for && asked_for->source.data && asked_for->about.data;
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < explanation->reacted_count; i++) {
        pg_array_bytes(params, slice_of(published_reaction_name(explanation,
                                                                explanation->reacted[i].reaction)));
    }
    for (size_t i = 0; i < explanation->event_count; i++) {
        published_add_handler(explanation, i);
    }
    if (has_maker) {
        pg_array_bytes(params, asked_for->source);
    }
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < explanation->reacted_count; i++) {
        pg_array_bytes(params, explanation->reacted[i].key);
    }
    for (size_t i = 0; i < explanation->event_count; i++) {
        char event_id[UUID_TEXT_LEN + 1];
        uuid_format(explanation->events[i].version.event_id, event_id);
        pg_array_bytes(params, slice_of(event_id));
    }
    if (has_maker) {
        pg_array_bytes(params, asked_for->about);
    }
    pg_array_end(params);
}

static void published_add_made(struct explanation *explanation) {
    struct pg_params *params = explanation->session.params;
    for (int column = 0; column < 5; column++) {
        pg_array_begin(params, column == 3 ? PG_ARRAY_BYTEA : PG_ARRAY_TEXT);
        for (size_t i = 0; i < explanation->made_count; i++) {
            const struct outbox_message *message = &explanation->made[i].message;
            const struct slice texts[] = {message->identity, message->topic, message->key,
                                          message->value, message->headers};
            texts[column].data ? pg_array_bytes(params, texts[column]) : pg_array_null(params);
        }
        pg_array_end(params);
    }
}

/* Whether its handler processed its event. */
static bool published_is_handled(const struct explanation *explanation,
                                 const struct explain_published *fact) {
    uint8_t event_id[16];
    size_t count;
    const struct script_handler *handlers =
        script_generation_handlers(explanation->generation, &count);
    if (!fact->about.data || !fact->source.data || !uuid_read(fact->about, event_id)) {
        return false;
    }
    for (size_t i = 0; i < explanation->handled_count; i++) {
        const struct explain_handled *handled = &explanation->handled[i];
        int handler = explanation->reader.partitions[handled->partition].handler;
        if (memcmp(handled->event_id, event_id, sizeof event_id) == 0 &&
            slice_equal(slice_of(handlers[handler].name), fact->source)) {
            return true;
        }
    }
    return false;
}

/* Unknown only if its reaction did not run for its key, or failed, or if its handler did not
 * process its event. */
static enum explain_today published_unmade(const struct explanation *explanation,
                                           const struct explain_published *fact) {
    for (size_t i = 0; i < explanation->reacted_count; i++) {
        const struct explain_reacted *reacted = &explanation->reacted[i];
        const char *name = published_reaction_name(explanation, reacted->reaction);
        if (fact->about.data && slice_equal(reacted->key, fact->about) &&
            slice_equal(slice_of(name), fact->source)) {
            return reacted->error.data ? EXPLAIN_UNKNOWN : EXPLAIN_UNMADE;
        }
    }
    return published_is_handled(explanation, fact) ? EXPLAIN_UNMADE : EXPLAIN_UNKNOWN;
}

static void published_judge(struct explanation *explanation, const struct pg_result *rows, int row,
                            struct explain_published *fact) {
    struct slice number = pg_rows_cell(rows, row, PUBLISHED_TEXTS);
    if (!number.data) {
        fact->today = published_unmade(explanation, fact);
        return;
    }
    struct explain_made *made = &explanation->made[pg_rows_int(rows, row, PUBLISHED_TEXTS) - 1];
    bool same = slice_equal(pg_rows_cell(rows, row, PUBLISHED_TEXTS + 1), slice_of("t"));
    made->stored = true;
    fact->today = same ? EXPLAIN_SAME : EXPLAIN_CHANGED;
    if (!same) {
        fact->value_today = made->message.value;
    }
}

static void published_add_new(struct explanation *explanation,
                              const struct outbox_message *message) {
    explanation->published[explanation->published_count++] = (struct explain_published){
        .topic = message->topic,
        .key = message->key,
        .identity = message->identity,
        .source = message->source,
        .about = message->about,
        .scripts = message->scripts,
        .today = EXPLAIN_NEW,
        .value_today = message->value,
    };
}

static void published_take_all(struct explanation *explanation, const struct pg_result *rows) {
    size_t room = (size_t)pg_rows_count(rows) + explanation->made_count + 1;
    explanation->published = arena_alloc(explanation->arena, room * sizeof *explanation->published);
    for (int row = 0; row < pg_rows_count(rows); row++) {
        struct explain_published *fact = &explanation->published[explanation->published_count++];
        *fact = (struct explain_published){0};
        published_read(explanation, rows, row, fact);
        published_judge(explanation, rows, row, fact);
        if (explanation->asked_for && slice_equal(explanation->asked_for->id, fact->id)) {
            explanation->asked_for = fact;
        }
    }
    for (size_t i = 0; i < explanation->made_count; i++) {
        if (!explanation->made[i].stored) {
            published_add_new(explanation, &explanation->made[i].message);
        }
    }
}

/* ---- marks --------------------------------------------------------------------------------- */

static bool published_find_marks(struct explanation *explanation, struct err *err) {
    struct pg_params *params = explanation->session.params;
    struct pg_result *rows;
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < explanation->reacted_count; i++) {
        pg_array_bytes(params, slice_of(published_reaction_name(explanation,
                                                                explanation->reacted[i].reaction)));
    }
    pg_array_end(params);
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < explanation->reacted_count; i++) {
        pg_array_bytes(params, explanation->reacted[i].key);
    }
    pg_array_end(params);
    if (!sql_query(&explanation->session, slice_of(marks_sql), &rows, err)) {
        return false;
    }
    for (int row = 0; row < pg_rows_count(rows); row++) {
        struct explain_reacted *reacted = &explanation->reacted[pg_rows_int(rows, row, 0) - 1];
        reacted->marked_at = published_copy(explanation, rows, row, 1);
        reacted->attempts = published_copy(explanation, rows, row, 2);
        reacted->mark_error = published_copy(explanation, rows, row, 3);
    }
    pg_rows_free(rows);
    return true;
}

/* Adds the message of the question; for other questions the id, which may be in messages of earlier
 * releases. */
static void published_add_question(struct explanation *explanation) {
    const struct explain_question *question = &explanation->question;
    struct pg_params *params = explanation->session.params;
    char event_id[UUID_TEXT_LEN + 1];
    if (explanation->asked_for) {
        pg_params_add_text(params, explanation->asked_for->id);
        pg_params_add_null(params);
        return;
    }
    pg_params_add_null(params);
    uuid_format(question->event_id, event_id);
    pg_params_add_text(params, slice_of(question->by_event ? event_id : question->id));
}

bool explain_find_published(struct explanation *explanation, struct err *err) {
    struct pg_result *rows;
    published_add_makers(explanation);
    published_add_made(explanation);
    published_add_question(explanation);
    if (!sql_query(&explanation->session, slice_of(published_sql), &rows, err)) {
        return false;
    }
    published_take_all(explanation, rows);
    pg_rows_free(rows);
    return published_find_marks(explanation, err);
}
