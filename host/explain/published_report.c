/* published_report: the published messages of an explanation, as text and as JSON. */
#include "base/json_put.h"
#include "explain.h"

static const struct script_reaction *
published_report_reaction_of(const struct explanation *explanation,
                             const struct explain_reacted *reacted) {
    size_t count;
    return &script_generation_reactions(explanation->generation, &count)[reacted->reaction];
}

/* ---- text ---------------------------------------------------------------------------------- */

void explain_print_part(FILE *out, const char *before, struct slice text) {
    if (text.data) {
        fprintf(out, "%s%.*s", before, (int)text.len, text.data);
    }
}

static void published_report_print_today(FILE *out, const struct explain_published *fact) {
    static const char *const sentences[] = {
        [EXPLAIN_SAME] = "the present scripts make the same message",
        [EXPLAIN_CHANGED] = "the present scripts make other content, which is not published: ",
        [EXPLAIN_UNMADE] = "the present scripts do not make this message",
        [EXPLAIN_UNKNOWN] = "unknown whether the present scripts make it",
        [EXPLAIN_NEW] = "the present scripts make it; the outbox does not have it: ",
    };
    explain_print_part(out, "\n        today: ", slice_of(sentences[fact->today]));
    explain_print_part(out, "", fact->value_today);
    fputc('\n', out);
}

static void published_report_print_fact(FILE *out, const struct explain_published *fact) {
    explain_print_part(out, "    ", fact->id.data ? fact->state : slice_of("not stored"));
    explain_print_part(out, "  message ", fact->id);
    explain_print_part(out, "  ", fact->topic);
    explain_print_part(out, "  key ", fact->key);
    explain_print_part(out, "\n        identity ", fact->identity);
    explain_print_part(out, "\n        by ", fact->source);
    explain_print_part(out, " of ", fact->about);
    explain_print_part(out, ", scripts ", fact->scripts);
    explain_print_part(out, "\n        true since ", fact->fact_at);
    explain_print_part(out, ", stored ", fact->created_at);
    explain_print_part(out, ", done ", fact->done_at);
    explain_print_part(out, "\n        traceparent ", fact->traceparent);
    explain_print_part(out, "\n        ", fact->error);
    published_report_print_today(out, fact);
}

/* The present row of the query; the JSON form has long values whole. */
static void published_report_print_answer(FILE *out, const struct pg_result *rows, int row) {
    enum { VALUE_MAX_BYTES = 200 };
    for (int column = 0; column < pg_rows_column_count(rows); column++) {
        struct slice value = pg_rows_cell(rows, row, column);
        bool cut = value.len > VALUE_MAX_BYTES;
        fprintf(out, "        %-24s %.*s%s\n", pg_rows_column_name(rows, column),
                cut ? VALUE_MAX_BYTES : (int)value.len, value.data ? value.data : "-",
                cut ? " …" : "");
    }
}

static void published_report_print_answers(FILE *out, const struct explanation *explanation,
                                           const struct explain_reacted *reacted) {
    const struct pg_result *rows = explanation->answers[reacted->reaction];
    int key = rows ? pg_rows_find_column(rows, "key") : -1;
    for (int row = 0; key >= 0 && row < pg_rows_count(rows); row++) {
        if (slice_equal(pg_rows_cell(rows, row, key), reacted->key)) {
            published_report_print_answer(out, rows, row);
        }
    }
}

static void published_report_print_reacted(FILE *out, const struct explanation *explanation,
                                           const struct explain_reacted *reacted) {
    const struct script_reaction *reaction = published_report_reaction_of(explanation, reacted);
    fprintf(out, "    %s of %.*s: ", reaction->name, (int)reacted->key.len, reacted->key.data);
    if (reacted->error.data) {
        explain_print_part(out, "", reacted->error);
    } else {
        fprintf(out, "%zu row%s of queries/%s now, %zu message%s", reacted->answers,
                reacted->answers == 1 ? "" : "s", reaction->query, reacted->made,
                reacted->made == 1 ? "" : "s");
    }
    explain_print_part(out, "\n        marked since ", reacted->marked_at);
    explain_print_part(out, ", failed attempts ", reacted->attempts);
    explain_print_part(out, ": ", reacted->mark_error);
    fputc('\n', out);
    if (explanation->asked_for) {
        published_report_print_answers(out, explanation, reacted);
    }
}

void explain_print_published(const struct explanation *explanation, size_t limit, FILE *out) {
    if (explanation->asked_for) {
        fputs("the message\n", out);
        published_report_print_fact(out, explanation->asked_for);
    }
    fputs(explanation->reacted_count ? "reactions that follow the rows\n" : "", out);
    for (size_t i = 0; i < explanation->reacted_count && i < limit; i++) {
        published_report_print_reacted(out, explanation, &explanation->reacted[i]);
    }
    size_t shown = explanation->reacted_count < limit ? explanation->reacted_count : limit;
    size_t more = explanation->reacted_count - shown + explanation->reacted_left_out;
    if (more > 0) {
        fprintf(out, "    … and %zu more\n", more);
    }
    fputs(explanation->published_count ? "published messages\n" : "", out);
    for (size_t i = 0; i < explanation->published_count && i < limit; i++) {
        published_report_print_fact(out, &explanation->published[i]);
    }
    if (explanation->published_count > limit) {
        fprintf(out, "    … and %zu more\n", explanation->published_count - limit);
    }
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void published_report_put_fact(struct buffer *json, const struct explain_published *fact) {
    json_put_text(json, "id", fact->id);
    json_put_text(json, "state", fact->state);
    json_put_text(json, "topic", fact->topic);
    json_put_text(json, "key", fact->key);
    json_put_text(json, "identity", fact->identity);
    json_put_text(json, "source", fact->source);
    json_put_text(json, "about", fact->about);
    json_put_text(json, "scripts", fact->scripts);
    json_put_text(json, "fact_at", fact->fact_at);
    json_put_text(json, "created_at", fact->created_at);
    json_put_text(json, "done_at", fact->done_at);
    json_put_text(json, "traceparent", fact->traceparent);
    json_put_text(json, "error", fact->error);
    json_put_text(json, "today", slice_of(explain_today_name(fact->today)));
    json_put_text(json, "value_today", fact->value_today);
}

static void published_report_put_facts(struct buffer *json, const struct explanation *explanation) {
    json_open(json, "published", "[");
    for (size_t i = 0; i < explanation->published_count; i++) {
        json_open(json, NULL, "{");
        published_report_put_fact(json, &explanation->published[i]);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

static void published_report_put_answers(struct buffer *json, const struct explanation *explanation,
                                         const struct explain_reacted *reacted) {
    const struct pg_result *rows = explanation->answers[reacted->reaction];
    int key = rows ? pg_rows_find_column(rows, "key") : -1;
    json_open(json, "rows", "[");
    for (int row = 0; key >= 0 && row < pg_rows_count(rows); row++) {
        if (!slice_equal(pg_rows_cell(rows, row, key), reacted->key)) {
            continue;
        }
        json_open(json, NULL, "{");
        for (int column = 0; column < pg_rows_column_count(rows); column++) {
            json_put_text(json, pg_rows_column_name(rows, column), pg_rows_cell(rows, row, column));
        }
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

static void published_report_put_reacted(struct buffer *json, const struct explanation *explanation,
                                         const struct explain_reacted *reacted) {
    const struct script_reaction *reaction = published_report_reaction_of(explanation, reacted);
    json_open(json, NULL, "{");
    json_put_text(json, "reaction", slice_of(reaction->name));
    json_put_text(json, "query", slice_of(reaction->query));
    json_put_text(json, "key", reacted->key);
    published_report_put_answers(json, explanation, reacted);
    json_put_int(json, "messages", (int64_t)reacted->made);
    json_put_text(json, "error", reacted->error);
    json_put_text(json, "marked_at", reacted->marked_at);
    json_put_text(json, "mark_attempts", reacted->attempts);
    json_put_text(json, "mark_error", reacted->mark_error);
    buffer_append_text(json, "}");
}

void explain_put_published(const struct explanation *explanation, struct buffer *json) {
    json_put_name(json, "message");
    buffer_append_text(json, explanation->asked_for ? "{" : "null");
    if (explanation->asked_for) {
        published_report_put_fact(json, explanation->asked_for);
        buffer_append_text(json, "}");
    }
    json_open(json, "reactions", "[");
    for (size_t i = 0; i < explanation->reacted_count; i++) {
        published_report_put_reacted(json, explanation, &explanation->reacted[i]);
    }
    buffer_append_text(json, "]");
    json_put_int(json, "reactions_left_out", (int64_t)explanation->reacted_left_out);
    published_report_put_facts(json, explanation);
}
