#include "try.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../json_put.h"
#include "../nearest.h"
#include "../xalloc.h"
#include "samples.h"
#include "show.h"

#define ANY_HANDLER (-1)

struct trial {
    const struct try_options *options;
    struct script_generation *generation;
    const struct script_handler *handlers;
    size_t handler_count;
    int handler; /* ANY_HANDLER: that of each record's topic */
    struct samples samples;
    struct bench bench;
    struct buffer out; /* of one event at a time */
    struct try_totals *totals;
};

/* ---- the handler --------------------------------------------------------------------------- */

/* "x", "handlers/x", and as a shell completes it: "scripts/handlers/x.lua". */
static bool names_handler(const char *word, const char *name) {
    static const char folder[] = "handlers/", ending[] = ".lua";
    size_t len = strlen(word), name_len = strlen(name);
    size_t end = sizeof ending - 1;
    len -= len > end && strcmp(word + len - end, ending) == 0 ? end : 0;
    const char *bare = name + sizeof folder - 1;
    if (len == strlen(bare) && strncmp(word, bare, len) == 0) {
        return true;
    }
    return len >= name_len && strncmp(word + len - name_len, name, name_len) == 0 &&
           (len == name_len || word[len - name_len - 1] == '/');
}

static bool refuse_handler(const struct trial *trial, const char *word, struct err *err) {
    struct buffer all = {0};
    const char **names = xcalloc(trial->handler_count + 1, sizeof *names);
    for (size_t i = 0; i < trial->handler_count; i++) {
        names[i] = strchr(trial->handlers[i].name, '/') + 1;
        buffer_append_format(&all, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = nearest_name(word, names, trial->handler_count);
    if (nearest) {
        err_set(err, ERR_INPUT, "no handler \"%s\": did you mean \"%s\"? There are: %s", word,
                nearest, all.data);
    } else {
        err_set(err, ERR_INPUT, "no handler \"%s\". There are: %s", word,
                all.len ? all.data : "none");
    }
    free(names);
    buffer_free(&all);
    return false;
}

static bool find_handler(struct trial *trial, struct err *err) {
    const char *word = trial->options->handler;
    trial->handler = ANY_HANDLER;
    if (!word) {
        return true;
    }
    for (size_t i = 0; i < trial->handler_count; i++) {
        if (names_handler(word, trial->handlers[i].name)) {
            trial->handler = (int)i;
            return true;
        }
    }
    return refuse_handler(trial, word, err);
}

/* Bare envelopes do not say their topic. */
static bool check_topics(const struct trial *trial, struct err *err) {
    for (size_t i = 0; trial->handler == ANY_HANDLER && i < trial->samples.count; i++) {
        const struct sample *sample = &trial->samples.items[i];
        if (!sample->record.topic) {
            return err_set(err, ERR_INPUT,
                           "%s:%zu: the event does not say its topic: name the handler, as in "
                           "`aggregator try HANDLER FILE`",
                           trial->samples.path, sample->line);
        }
    }
    return true;
}

/* ---- one event ----------------------------------------------------------------------------- */

static bool write_out(struct trial *trial, struct err *err) {
    bool ok = fwrite(trial->out.data, 1, trial->out.len, stdout) == trial->out.len;
    buffer_clear(&trial->out);
    return ok || err_set(err, ERR_INTERNAL, "cannot write: %s", strerror(errno));
}

/* The partition that stands for the record's topic; PARTITION_NONE: its events are not read. */
static size_t partition_of(struct trial *trial, const struct record *record) {
    const char *topic = record->topic ? record->topic : trial->handlers[trial->handler].topics[0];
    size_t at = partitions_find(&trial->bench.pipeline.partitions, topic, 0);
    bool other = at != PARTITION_NONE && trial->handler != ANY_HANDLER &&
                 trial->bench.pipeline.partitions.items[at].handler != trial->handler;
    return other ? PARTITION_NONE : at;
}

static void show_unread(struct trial *trial, const struct sample *sample) {
    struct buffer *out = &trial->out;
    const char *reason = trial->handler == ANY_HANDLER ? "no handler declares its topic"
                                                       : "the handler does not declare its topic";
    if (trial->options->json) {
        json_put_text(out, "handler", (struct slice){0});
        json_put_text(out, "outcome", slice_of("unread"));
        json_put_text(out, "reason", slice_of(reason));
    } else {
        buffer_append_format(out, "%s:%zu  unread\n  %s: %s\n", trial->samples.path, sample->line,
                             reason, sample->record.topic);
    }
    trial->totals->unread++;
}

static void count_outcome(struct try_totals *totals, enum event_state state) {
    totals->applied += state == EVENT_APPLIED;
    totals->ignored += state == EVENT_IGNORED;
    totals->rejected += state == EVENT_REJECTED;
}

static void handle(struct trial *trial, size_t index, size_t partition) {
    const struct sample *sample = &trial->samples.items[index];
    struct message message = {
        .partition = partition, .offset = (int64_t)index, .payload = sample->record.payload};
    struct bench_outcome outcome = bench_handle(&trial->bench, &message);
    count_outcome(trial->totals, outcome.event->state);
    if (trial->options->json) {
        show_event_json(&trial->out, &outcome);
        return;
    }
    buffer_append_format(&trial->out, "%s:%zu  %s  %s\n", trial->samples.path, sample->line,
                         show_outcome_name(&outcome), outcome.handler->name);
    show_event(&trial->out, &outcome);
}

static bool try_sample(struct trial *trial, size_t index, struct err *err) {
    const struct sample *sample = &trial->samples.items[index];
    size_t partition = partition_of(trial, &sample->record);
    if (trial->options->json) {
        buffer_append_text(&trial->out, "{");
        json_put_int(&trial->out, "line", (int64_t)sample->line);
        json_put_text(&trial->out, "topic", slice_of(sample->record.topic));
    }
    if (partition == PARTITION_NONE) {
        show_unread(trial, sample);
    } else {
        handle(trial, index, partition);
    }
    buffer_append_text(&trial->out, trial->options->json ? "}\n" : "\n");
    return write_out(trial, err);
}

/* ---- all of them --------------------------------------------------------------------------- */

static void show_totals(struct trial *trial) {
    const struct try_totals *totals = trial->totals;
    const struct {
        const char *name;
        size_t count;
    } numbers[] = {{"applied", totals->applied},
                   {"ignored", totals->ignored},
                   {"rejected", totals->rejected},
                   {"unread", totals->unread}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (trial->options->json) {
            json_put_int(&trial->out, numbers[i].name, (int64_t)numbers[i].count);
        } else {
            buffer_append_format(&trial->out, "%s%zu %s", i ? ", " : "", numbers[i].count,
                                 numbers[i].name);
        }
    }
}

static bool show_end(struct trial *trial, struct err *err) {
    const struct view *view = script_generation_view(trial->generation);
    struct merge *merge = trial->bench.batch.merge;
    struct buffer *out = &trial->out;
    if (trial->options->json) {
        buffer_append_text(out, "{");
        show_totals(trial);
        show_rows_json(out, view, merge);
        show_statements_json(out, view, merge);
        buffer_append_text(out, "}\n");
        return write_out(trial, err);
    }
    if (merge_op_count(merge) > 0) {
        buffer_append_text(out, "rows that these events would write, merged\n");
        show_rows(out, view, merge);
        buffer_append_text(out, "\n");
        show_statements(out, view, merge);
        buffer_append_text(out, "\n");
    }
    show_totals(trial);
    buffer_append_text(out, "\n");
    return write_out(trial, err);
}

static bool run(struct trial *trial, struct err *err) {
    for (size_t h = 0; h < trial->handler_count; h++) {
        for (size_t t = 0; t < trial->handlers[h].topic_count; t++) {
            bench_add_partition(&trial->bench, trial->handlers[h].topics[t], 0, (int)h);
        }
    }
    bench_clear(&trial->bench);
    for (size_t i = 0; i < trial->samples.count; i++) {
        if (!try_sample(trial, i, err)) {
            return false;
        }
    }
    return show_end(trial, err) &&
           (fflush(stdout) == 0 || err_set(err, ERR_INTERNAL, "cannot write: %s", strerror(errno)));
}

static bool open_bench(struct trial *trial, struct err *err) {
    if (!bench_open(&trial->bench, trial->options->config, trial->generation, "try touches nothing",
                    NULL, err)) {
        err->kind = ERR_INTERNAL;
        return false;
    }
    return true;
}

bool try_run(const struct try_options *options, struct try_totals *totals, struct err *err) {
    struct trial trial = {.options = options, .totals = totals};
    *totals = (struct try_totals){0};
    trial.generation = script_generation_load(options->config, 1, err);
    if (!trial.generation) {
        err->kind = ERR_INTERNAL;
        return false;
    }
    trial.handlers = script_generation_handlers(trial.generation, &trial.handler_count);
    bool ok = find_handler(&trial, err) && samples_read(&trial.samples, options->path, err) &&
              check_topics(&trial, err);
    if (ok) {
        ok = open_bench(&trial, err) && run(&trial, err);
        bench_close(&trial.bench);
    }
    samples_free(&trial.samples);
    buffer_free(&trial.out);
    script_generation_unref(trial.generation);
    return ok;
}
