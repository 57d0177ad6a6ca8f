/* today: what the present scripts would publish for the keys: runs the queries of their reactions
 * in read-only transactions and calls the reactions for the rows. Stores nothing. */
#include <stdlib.h>

#include "bindings/pg_named.h"
#include "base/xalloc.h"
#include "explain.h"

void explain_add_reacted(struct explanation *explanation, size_t reaction, struct slice key) {
    for (size_t i = 0; i < explanation->reacted_count; i++) {
        const struct explain_reacted *reacted = &explanation->reacted[i];
        if (reacted->reaction == reaction && slice_equal(reacted->key, key)) {
            return;
        }
    }
    if (explanation->reacted_count == EXPLAIN_REACTED_MAX) {
        explanation->reacted_left_out++;
        return;
    }
    size_t count;
    const struct script_reaction *of =
        &script_generation_reactions(explanation->generation, &count)[reaction];
    explanation->reacted =
        xgrow(explanation->reacted, explanation->reacted_count, sizeof *explanation->reacted);
    explanation->reacted[explanation->reacted_count++] =
        (struct explain_reacted){.reaction = reaction,
                                 .name = slice_of(of->name),
                                 .key = arena_copy(explanation->arena, key),
                                 .query = of->query};
}

void explain_add_made(struct explanation *explanation, const struct outbox_message *message) {
    explanation->made = xgrow(explanation->made, explanation->made_count, sizeof *message);
    struct outbox_message *copy = &explanation->made[explanation->made_count++];
    struct slice *const texts[] = {&copy->topic,    &copy->key,    &copy->value, &copy->headers,
                                   &copy->identity, &copy->source, &copy->about, &copy->scripts};
    *copy = *message;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = arena_copy(explanation->arena, *texts[i]);
    }
}

/* ---- one reaction -------------------------------------------------------------------------- */

struct today {
    struct explanation *explanation;
    size_t reaction;
    const struct script_reaction *of;
    struct script_instance *instance;
};

static struct explain_reacted *today_find(const struct today *today, struct slice key) {
    struct explanation *explanation = today->explanation;
    for (size_t i = 0; i < explanation->reacted_count; i++) {
        struct explain_reacted *reacted = &explanation->reacted[i];
        if (reacted->reaction == today->reaction && slice_equal(reacted->key, key)) {
            return reacted;
        }
    }
    return NULL;
}

/* Makes the reaction's keys the parameter of its query; returns their number. */
static size_t today_add_keys(const struct today *today) {
    const struct explanation *explanation = today->explanation;
    struct pg_params *params = explanation->session.params;
    size_t count = 0;
    pg_params_reset(params);
    pg_array_begin(params, PG_ARRAY_TEXT);
    for (size_t i = 0; i < explanation->reacted_count; i++) {
        if (explanation->reacted[i].reaction == today->reaction) {
            pg_array_bytes(params, explanation->reacted[i].key);
            count++;
        }
    }
    pg_array_end(params);
    return count;
}

static void today_fail(const struct today *today, const struct err *err) {
    struct explanation *explanation = today->explanation;
    struct slice text = arena_copy_utf8(explanation->arena, slice_of(err->text));
    for (size_t i = 0; i < explanation->reacted_count; i++) {
        if (explanation->reacted[i].reaction == today->reaction) {
            explanation->reacted[i].error = text;
        }
    }
}

static bool today_ask(const struct today *today, struct err *err) {
    struct sql_session *session = &today->explanation->session;
    struct pg_result **rows = &today->explanation->answers[today->reaction];
    struct script_query file;
    struct pg_named query;
    struct err reason = {0};
    if (!script_find_query(today->explanation->generation, today->of->query, &file) ||
        !pg_named_parse(&query, file.text, err)) { /* checked by the manifest */
        return err_wrap(err, "%s: its query %s", today->of->name, today->of->query);
    }
    bool begun = sql_run(session, err, "BEGIN READ ONLY");
    today_add_keys(today);
    bool asked = begun && sql_query(session, slice_of(query.sql), rows, &reason);
    pg_named_free(&query);
    if (begun && !asked) {
        err_wrap(&reason, "%s", file.path);
        today_fail(today, &reason);
    }
    return begun && sql_run(session, err, "ROLLBACK");
}

static bool today_renew(struct today *today, const struct pg_result *rows, struct err *err) {
    if (today->instance && script_instance_healthy(today->instance)) {
        return true;
    }
    script_instance_destroy(today->instance);
    today->instance = script_instance_create(today->explanation->generation, err);
    return today->instance && script_react_to(today->instance, today->reaction, rows, err);
}

static bool today_call(struct today *today, const struct pg_result *rows, int row,
                       struct explain_reacted *reacted, struct err *err) {
    struct explanation *explanation = today->explanation;
    struct script_published published;
    struct err failure = {0};
    if (!today_renew(today, rows, err)) {
        return false;
    }
    if (script_react(today->instance, today->reaction, row, explanation->arena, &published,
                     &failure) != SCRIPT_OK) {
        reacted->error = arena_copy_utf8(explanation->arena, slice_of(failure.text));
        return true;
    }
    for (size_t i = 0; i < published.count; i++) {
        published.messages[i].about = reacted->key;
        explain_add_made(explanation, &published.messages[i]);
    }
    reacted->made += published.count;
    return true;
}

static bool today_react(struct today *today, struct err *err) {
    const struct pg_result *rows = today->explanation->answers[today->reaction];
    int column = rows ? pg_rows_find_column(rows, "key") : -1;
    bool ok = true;
    if (rows && column < 0) {
        struct err reason = {0};
        err_set(&reason, ERR_INPUT, "%s returns no column \"key\"", today->of->query);
        today_fail(today, &reason);
    }
    for (int row = 0; ok && column >= 0 && row < pg_rows_count(rows); row++) {
        struct explain_reacted *reacted = today_find(today, pg_rows_cell(rows, row, column));
        if (reacted) {
            ok = today_call(today, rows, row, reacted, err);
        }
    }
    script_instance_destroy(today->instance);
    return ok;
}

bool explain_react(struct explanation *explanation, struct err *err) {
    size_t count;
    const struct script_reaction *reactions =
        script_generation_reactions(explanation->generation, &count);
    explanation->answers =
        arena_alloc(explanation->arena, (count + 1) * sizeof *explanation->answers);
    memset(explanation->answers, 0, (count + 1) * sizeof *explanation->answers);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        struct today today = {explanation, i, &reactions[i], NULL};
        bool has_keys = today_add_keys(&today) > 0;
        pg_params_reset(explanation->session.params);
        ok = !has_keys || (today_ask(&today, err) && today_react(&today, err));
    }
    return ok;
}
