#include "try.h"

#include <stdio.h>

#include "base/json_put.h"
#include "outside.h"
#include "samples.h"
#include "show.h"
#include "which.h"

#define ANY_HANDLER (-1)

struct attempt {
    const struct try_options *options;
    struct script_generation *generation;
    const struct script_handler *handlers;
    size_t handler_count;
    int handler; /* ANY_HANDLER: that of each record's topic */
    struct samples samples;
    struct outside outside; /* with stubs alone */
    struct dry_run dry_run;
    struct buffer out; /* of one event at a time */
    struct try_totals *totals;
};

/* ---- the handler --------------------------------------------------------------------------- */

static bool try_find_handler(struct attempt *attempt, struct err *err) {
    const char *word = attempt->options->handler;
    attempt->handler = word ? which_script("handler", word, attempt->handlers,
                                           attempt->handler_count, sizeof *attempt->handlers, err)
                            : ANY_HANDLER;
    return !word || attempt->handler >= 0;
}

/* Bare envelopes have no topic. */
static bool try_check_topics(const struct attempt *attempt, struct err *err) {
    for (size_t i = 0; attempt->handler == ANY_HANDLER && i < attempt->samples.count; i++) {
        const struct sample *sample = &attempt->samples.items[i];
        if (!sample->record.topic) {
            return err_set(err, ERR_INPUT,
                           "%s:%zu: the event has no topic: name the handler, as in "
                           "`aggregator try HANDLER FILE`",
                           attempt->samples.path, sample->line);
        }
    }
    return true;
}

/* ---- one event ----------------------------------------------------------------------------- */

/* The partition of the record's topic; PARTITION_NONE: its events are not read. */
static size_t try_partition_of(struct attempt *attempt, const struct record *record) {
    const char *topic =
        record->topic ? record->topic : attempt->handlers[attempt->handler].topics[0];
    size_t at = partitions_find(&attempt->dry_run.pipeline.partitions, topic, 0);
    bool other = at != PARTITION_NONE && attempt->handler != ANY_HANDLER &&
                 attempt->dry_run.pipeline.partitions.items[at].handler != attempt->handler;
    return other ? PARTITION_NONE : at;
}

static void try_show_unread(struct attempt *attempt, const struct sample *sample) {
    struct buffer *out = &attempt->out;
    const char *reason = attempt->handler == ANY_HANDLER ? "no handler declares its topic"
                                                         : "the handler does not declare its topic";
    if (attempt->options->json) {
        json_put_text(out, "handler", (struct slice){0});
        json_put_text(out, "outcome", slice_of("unread"));
        json_put_text(out, "reason", slice_of(reason));
    } else {
        buffer_append_format(out, "%s:%zu  unread\n  %s: %s\n", attempt->samples.path, sample->line,
                             reason, sample->record.topic);
    }
    attempt->totals->unread++;
}

static void try_count_outcome(struct try_totals *totals, enum event_state state) {
    totals->applied += state == EVENT_APPLIED;
    totals->ignored += state == EVENT_IGNORED;
    totals->expired += state == EVENT_EXPIRED;
    totals->rejected += state == EVENT_REJECTED;
}

/* What the event's handler asked of the doubles. */
static void try_show_calls(struct attempt *attempt) {
    struct buffer calls = {0}, unavailable = {0};
    bool json = attempt->options->json;
    if (attempt->options->stubs && attempt->dry_run.pipeline.scripts) {
        calls_report(attempt->dry_run.pipeline.scripts, json, &calls, &unavailable);
        if (json) {
            json_put_list(&attempt->out, "calls", &calls);
        } else if (calls.len > 0) {
            buffer_append_format(&attempt->out, "  asked\n%s", calls.data);
        }
    }
    buffer_free(&calls);
    buffer_free(&unavailable);
}

static bool try_handle(struct attempt *attempt, size_t index, size_t partition, struct err *err) {
    const struct sample *sample = &attempt->samples.items[index];
    struct log_record message = {
        .partition = partition, .offset = (int64_t)index, .payload = sample->record.payload};
    struct dry_run_outcome outcome;
    if (!dry_run_handle(&attempt->dry_run, &message, &outcome, err)) {
        return false;
    }
    try_count_outcome(attempt->totals, outcome.event->state);
    if (attempt->options->json) {
        show_event_json(&attempt->out, &outcome);
        try_show_calls(attempt);
        return true;
    }
    buffer_append_format(&attempt->out, "%s:%zu  %s  %s\n", attempt->samples.path, sample->line,
                         show_outcome_name(&outcome), outcome.handler->name);
    show_event(&attempt->out, &outcome);
    try_show_calls(attempt);
    return true;
}

static bool try_sample(struct attempt *attempt, size_t index, struct err *err) {
    const struct sample *sample = &attempt->samples.items[index];
    size_t partition = try_partition_of(attempt, &sample->record);
    if (attempt->options->json) {
        buffer_append_text(&attempt->out, "{");
        json_put_int(&attempt->out, "line", (int64_t)sample->line);
        json_put_text(&attempt->out, "topic", slice_of(sample->record.topic));
    }
    if (partition == PARTITION_NONE) {
        try_show_unread(attempt, sample);
    } else if (!try_handle(attempt, index, partition, err)) {
        return false;
    }
    buffer_append_text(&attempt->out, attempt->options->json ? "}\n" : "\n");
    return show_write(&attempt->out, err);
}

/* ---- all of them --------------------------------------------------------------------------- */

static void try_show_totals(struct attempt *attempt) {
    const struct try_totals *totals = attempt->totals;
    const struct {
        const char *name;
        size_t count;
    } numbers[] = {{"applied", totals->applied},
                   {"ignored", totals->ignored},
                   {"rejected", totals->rejected},
                   {"unread", totals->unread},
                   {"expired", totals->expired}};
    size_t shown = sizeof numbers / sizeof *numbers;
    if (!attempt->options->json && totals->expired == 0) { /* few views have a retention */
        shown--;
    }
    for (size_t i = 0; i < shown; i++) {
        if (attempt->options->json) {
            json_put_int(&attempt->out, numbers[i].name, (int64_t)numbers[i].count);
        } else {
            buffer_append_format(&attempt->out, "%s%zu %s", i ? ", " : "", numbers[i].count,
                                 numbers[i].name);
        }
    }
}

static bool try_show_end(struct attempt *attempt, struct err *err) {
    const struct view *view = script_generation_view(attempt->generation);
    struct merge *merge = attempt->dry_run.batch.merge;
    struct buffer *out = &attempt->out;
    if (attempt->options->json) {
        buffer_append_text(out, "{");
        try_show_totals(attempt);
        show_rows_json(out, view, merge);
        show_statements_json(out, view, merge);
        show_asked_json(out, attempt->generation, &attempt->dry_run.batch);
        buffer_append_text(out, "}\n");
        return show_write(&attempt->out, err);
    }
    if (merge_op_count(merge) > 0) {
        buffer_append_text(out, "rows that these events would write, merged\n");
        show_rows(out, view, merge);
        buffer_append_text(out, "\n");
        show_statements(out, view, merge);
        buffer_append_text(out, "\n");
        show_asked(out, attempt->generation, &attempt->dry_run.batch);
    }
    try_show_totals(attempt);
    buffer_append_text(out, "\n");
    return show_write(&attempt->out, err);
}

static bool try_all(struct attempt *attempt, struct err *err) {
    for (size_t h = 0; h < attempt->handler_count; h++) {
        for (size_t t = 0; t < attempt->handlers[h].topic_count; t++) {
            dry_run_add_partition(&attempt->dry_run, attempt->handlers[h].topics[t], 0, (int)h);
        }
    }
    dry_run_clear(&attempt->dry_run);
    for (size_t i = 0; i < attempt->samples.count; i++) {
        if (!try_sample(attempt, i, err)) {
            return false;
        }
    }
    return try_show_end(attempt, err);
}

bool try_run(const struct try_options *options, struct try_totals *totals, struct err *err) {
    struct attempt attempt = {.options = options, .totals = totals};
    *totals = (struct try_totals){0};
    attempt.generation = script_generation_load(options->config, 1, err);
    if (!attempt.generation) {
        err->kind = ERR_INTERNAL;
        return false;
    }
    attempt.handlers = script_generation_handlers(attempt.generation, &attempt.handler_count);
    bool ok = try_find_handler(&attempt, err) &&
              samples_read(&attempt.samples, attempt.generation, options->path, err) &&
              try_check_topics(&attempt, err);
    ok = ok && (!options->stubs ||
                outside_open(&attempt.outside, attempt.generation, options->stubs, err));
    if (ok) {
        ok = dry_run_open(&attempt.dry_run, attempt.generation, "try touches no outside system",
                          NULL, err) ||
             (err->kind = ERR_INTERNAL, false);
        if (ok) {
            dry_run_expect_horizon(&attempt.dry_run);
        }
        ok = ok && try_all(&attempt, err);
        dry_run_close(&attempt.dry_run);
    }
    outside_close(&attempt.outside);
    samples_free(&attempt.samples);
    buffer_free(&attempt.out);
    script_generation_unref(attempt.generation);
    return ok;
}
