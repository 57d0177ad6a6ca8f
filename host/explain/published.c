/* published: the messages in the outbox, which of them the present scripts would make again, and
 * the marks that reactions have not processed. */
#include "explain.h"

#include "base/uuid.h"
#include "explain/published.sql.h"

/* Of messages: a reaction and its key, or a handler and its event. */
struct published_maker {
    struct slice source, about;
    struct slice unmade; /* what is true today of a message that it does not make now; or absent */
    struct slice listed; /* present: its messages are listed */
};

static const struct pg_column maker_columns[] = {
    {PG_ARRAY_TEXT, offsetof(struct published_maker, source)},
    {PG_ARRAY_TEXT, offsetof(struct published_maker, about)},
    {PG_ARRAY_TEXT, offsetof(struct published_maker, unmade)},
    {PG_ARRAY_TEXT, offsetof(struct published_maker, listed)},
};

static const struct pg_column made_columns[] = {
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, identity)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, topic)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, key)},
    {PG_ARRAY_BYTEA, offsetof(struct outbox_message, value)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, headers)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, source)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, about)},
    {PG_ARRAY_TEXT, offsetof(struct outbox_message, scripts)},
};

bool explain_find_message(struct explanation *explanation, struct err *err) {
    const char *id = explanation->options.id;
    struct explain_message *message = &explanation->question.message;
    struct slice *const cells[] = {&message->id, &message->source, &message->about, &message->key};
    struct pg_result *rows;
    pg_params_add_text(explanation->session.params, slice_of(id));
    if (!sql_query(&explanation->session, slice_of(message_sql), &rows, err)) {
        return false;
    }
    bool found = pg_rows_count(rows) == 1;
    for (int i = 0; found && i < 4; i++) {
        *cells[i] = arena_copy(explanation->arena, pg_rows_cell(rows, 0, i));
    }
    pg_rows_free(rows);
    return found || err_set(err, ERR_INPUT,
                            "no message of the outbox has the id or identity %s: pruned, or "
                            "misspelt; `outbox list` prints ids",
                            id);
}

/* ---- messages ------------------------------------------------------------------------------ */

static struct published_maker published_handler_of(struct explanation *explanation,
                                                   size_t partition, const uint8_t *event_id) {
    char text[UUID_TEXT_LEN + 1];
    uuid_format(event_id, text);
    return (struct published_maker){
        .source = slice_of(explain_handler_of(explanation, partition)),
        .about = arena_copy(explanation->arena, (struct slice){text, UUID_TEXT_LEN}),
    };
}

/* Lists the reactions and keys, the handlers and events, and the maker of the message of the
 * question. Whether a message is made today is unknown only if its reaction did not run for its
 * key, or failed, or if its handler did not process its event. */
static struct published_maker *published_list_makers(struct explanation *explanation,
                                                     size_t *count) {
    const struct explain_message *message = &explanation->question.message;
    struct slice unmade = slice_of("not made"), unknown = slice_of("unknown"), yes = slice_of("t");
    size_t room =
        explanation->reacted_count + explanation->event_count + explanation->handled_count + 1;
    struct published_maker *makers = arena_alloc(explanation->arena, room * sizeof *makers);
    struct published_maker *at = makers;
    for (size_t i = 0; i < explanation->reacted_count; i++) {
        const struct explain_reacted *reacted = &explanation->reacted[i];
        *at++ = (struct published_maker){reacted->name, reacted->key,
                                         reacted->error.data ? unknown : unmade, yes};
    }
    for (size_t i = 0; i < explanation->event_count; i++) {
        const struct explain_event *event = &explanation->events[i];
        *at = published_handler_of(explanation, event->place.partition, event->version.event_id);
        at++->listed = yes;
    }
    for (size_t i = 0; i < explanation->handled_count; i++) {
        const struct explain_handled *handled = &explanation->handled[i];
        *at = published_handler_of(explanation, handled->partition, handled->event_id);
        at++->unmade = unmade;
    }
    *at++ = (struct published_maker){.source = message->source, message->about, .listed = yes};
    *count = (size_t)(at - makers);
    return makers;
}

/* Adds the message of the question; for other questions the id, which may be in messages of earlier
 * releases. */
static void published_add_question(struct explanation *explanation) {
    const struct explain_question *question = &explanation->question;
    struct pg_params *params = explanation->session.params;
    char event_id[UUID_TEXT_LEN + 1];
    pg_params_add_text(params, question->message.id);
    if (question->message.id.data) {
        pg_params_add_null(params);
        return;
    }
    uuid_format(question->event_id, event_id);
    pg_params_add_text(params, slice_of(question->by_event ? event_id : question->id));
}

static bool published_find_messages(struct explanation *explanation, struct err *err) {
    struct pg_params *params = explanation->session.params;
    struct pg_result *row;
    size_t count;
    const struct published_maker *makers = published_list_makers(explanation, &count);
    pg_params_add_rows(params, maker_columns, sizeof maker_columns / sizeof *maker_columns, makers,
                       count, sizeof *makers);
    pg_params_add_rows(params, made_columns, sizeof made_columns / sizeof *made_columns,
                       explanation->made, explanation->made_count, sizeof *explanation->made);
    published_add_question(explanation);
    if (!sql_query(&explanation->session, slice_of((const char *)published_sql), &row, err)) {
        return false;
    }
    explanation->published = arena_copy(explanation->arena, pg_rows_cell(row, 0, 0));
    explanation->asked_for = arena_copy(explanation->arena, pg_rows_cell(row, 0, 1));
    pg_rows_free(row);
    return true;
}

/* ---- marks --------------------------------------------------------------------------------- */

static const struct pg_column key_columns[] = {
    {PG_ARRAY_TEXT, offsetof(struct explain_reacted, name)},
    {PG_ARRAY_TEXT, offsetof(struct explain_reacted, key)},
};

static bool published_find_marks(struct explanation *explanation, struct err *err) {
    struct pg_result *rows;
    pg_params_add_rows(explanation->session.params, key_columns, 2, explanation->reacted,
                       explanation->reacted_count, sizeof *explanation->reacted);
    if (!sql_query(&explanation->session, slice_of(marks_sql), &rows, err)) {
        return false;
    }
    for (int row = 0; row < pg_rows_count(rows); row++) {
        struct explain_reacted *reacted = &explanation->reacted[pg_rows_int(rows, row, 0) - 1];
        reacted->marked_at = arena_copy(explanation->arena, pg_rows_cell(rows, row, 1));
        reacted->attempts = arena_copy(explanation->arena, pg_rows_cell(rows, row, 2));
        reacted->mark_error = arena_copy(explanation->arena, pg_rows_cell(rows, row, 3));
    }
    pg_rows_free(rows);
    return true;
}

bool explain_find_published(struct explanation *explanation, struct err *err) {
    return published_find_messages(explanation, err) && published_find_marks(explanation, err);
}
