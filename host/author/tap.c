#include "tap.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "base/json_put.h"
#include "base/nearest.h"
#include "base/plural.h"
#include "rebuild/log_reader.h"
#include "base/timestamp.h"
#include "base/xalloc.h"
#include "show.h"

#define POLL_MS 200 /* the delay of a signal */

struct tap {
    const struct tap_options *options;
    struct script_generation *generation;
    struct log_reader reader;
    struct dry_run dry_run;
    struct buffer out;
    int64_t read, shown;
};

static volatile sig_atomic_t stopped;

static void tap_on_signal(int number) {
    (void)number;
    stopped = 1;
}

static void tap_catch_signals(void) {
    struct sigaction action = {.sa_handler = tap_on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN; /* a write to a closed pipe fails instead */
    sigaction(SIGPIPE, &action, NULL);
}

/* ---- which topics -------------------------------------------------------------------------- */

static bool tap_refuse_topic(const struct tap *tap, const char *topic, struct err *err) {
    size_t handler_count, count = 0;
    const struct script_handler *handlers =
        script_generation_handlers(tap->generation, &handler_count);
    struct buffer all = {0};
    const char **names = NULL;
    for (size_t h = 0; h < handler_count; h++) {
        for (size_t t = 0; t < handlers[h].topic_count; t++) {
            names = xrealloc(names, (count + 1) * sizeof *names);
            names[count++] = handlers[h].topics[t];
            buffer_append_format(&all, "\n  %s", handlers[h].topics[t]);
        }
    }
    const char *nearest = nearest_name(topic, names, count);
    if (nearest) {
        err_set(err, ERR_INPUT,
                "no handler declares the topic \"%s\": did you mean \"%s\"? There are:%s", topic,
                nearest, all.data);
    } else {
        err_set(err, ERR_INPUT, "no handler declares the topic \"%s\". There are:%s", topic,
                all.len ? all.data : " none");
    }
    free(names);
    buffer_free(&all);
    return false;
}

static bool tap_check_topics(const struct tap *tap, struct err *err) {
    for (size_t i = 0; i < tap->options->topic_count; i++) {
        if (script_handler_of(tap->generation, tap->options->topics[i]) < 0) {
            return tap_refuse_topic(tap, tap->options->topics[i], err);
        }
    }
    return true;
}

static int tap_count_partitions(const struct log_reader *reader, const char *topic) {
    int count = 0;
    for (size_t i = 0; i < reader->count; i++) {
        count += strcmp(reader->partitions[i].topic, topic) == 0;
    }
    return count;
}

static bool tap_choose_topics(struct tap *tap, struct err *err) {
    const struct tap_options *options = tap->options;
    for (size_t i = 0; i < options->topic_count; i++) {
        if (tap_count_partitions(&tap->reader, options->topics[i]) == 0) {
            return err_set(err, ERR_INPUT, "kafka has no topic %s", options->topics[i]);
        }
    }
    if (options->topic_count > 0) {
        log_reader_keep(&tap->reader, options->topics, options->topic_count);
    }
    return true;
}

/* Prints the topics and partitions that are read. */
static void tap_announce(const struct tap *tap) {
    size_t handler_count;
    const struct script_handler *handlers =
        script_generation_handlers(tap->generation, &handler_count);
    for (size_t h = 0; h < handler_count; h++) {
        for (size_t t = 0; t < handlers[h].topic_count; t++) {
            const char *topic = handlers[h].topics[t];
            int partitions = tap_count_partitions(&tap->reader, topic);
            if (partitions > 0) {
                fprintf(stderr, "%s: %d partitions, %s\n", topic, partitions, handlers[h].name);
            } else if (tap->options->topic_count == 0) {
                fprintf(stderr, "%s: not in kafka\n", topic);
            }
        }
    }
    fprintf(stderr, "reading %s; Ctrl-C ends\n",
            tap->options->from_beginning ? "from the beginning" : "from now on");
}

/* ---- records ------------------------------------------------------------------------------- */

static bool tap_matches(const struct tap_options *options, const struct log_record *message) {
    for (size_t i = 0; i < sizeof options->needles / sizeof *options->needles; i++) {
        const char *needle = options->needles[i];
        if (needle && !slice_contains(message->payload, slice_of(needle))) {
            return false;
        }
    }
    return true;
}

static void tap_show(struct tap *tap, const struct dry_run_outcome *outcome) {
    const struct log_record *message = &outcome->event->record;
    const struct log_partition *partition = &tap->reader.partitions[message->partition];
    struct buffer *out = &tap->out;
    char stored[TIMESTAMP_TEXT_CAP] = "unknown";
    if (tap->options->json) {
        buffer_append_text(out, "{");
        json_put_text(out, "topic", slice_of(partition->topic));
        json_put_int(out, "partition", partition->number);
        json_put_int(out, "offset", message->offset);
        json_put_time(out, "stored_at", message->broker_time_us);
        show_event_json(out, outcome);
        buffer_append_text(out, "}\n");
        return;
    }
    if (message->broker_time_us > 0) {
        timestamp_format(message->broker_time_us, stored);
    }
    buffer_append_format(out, "%s/%d/%" PRId64 "  stored %s  %s  %s\n", partition->topic,
                         partition->number, message->offset, stored, show_outcome_name(outcome),
                         outcome->handler->name);
    show_event(out, outcome);
    buffer_append_text(out, "\n");
}

static bool tap_handle(struct tap *tap, const struct log_record *message, struct err *err) {
    struct dry_run_outcome outcome;
    if (!dry_run_handle(&tap->dry_run, message, &outcome, err)) {
        return false;
    }
    tap_show(tap, &outcome);
    dry_run_clear(&tap->dry_run);
    tap->shown++;
    return show_write(&tap->out, err);
}

static bool tap_follow(struct tap *tap, struct err *err) {
    int64_t limit = tap->options->limit;
    while (!stopped && (limit == 0 || tap->shown < limit)) {
        struct log_record message;
        bool found = log_reader_next(&tap->reader, POLL_MS, &message, err);
        if (!found && err->kind != ERR_NONE) {
            return false;
        }
        tap->read += found;
        if (found && !tap_matches(tap->options, &message)) {
            kafka_message_release(message.owner);
        } else if (found && !tap_handle(tap, &message, err)) {
            return false;
        }
    }
    fprintf(stderr, "%" PRId64 " event%s shown of %" PRId64 " read\n", tap->shown,
            plural_of(tap->shown), tap->read);
    return true;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static bool tap_start(struct tap *tap, struct err *err) {
    log_reader_add_partitions(&tap->reader, &tap->dry_run.pipeline.partitions);
    dry_run_clear(&tap->dry_run);
    if (!log_reader_follow(&tap->reader, tap->options->from_beginning, err)) {
        return false;
    }
    tap_catch_signals();
    tap_announce(tap);
    return tap_follow(tap, err);
}

static bool tap_open_and_run(struct tap *tap, struct err *err) {
    const struct config *config = tap->options->config;
    bool ok =
        log_reader_open(&tap->reader, config, tap->generation, err) && tap_choose_topics(tap, err);
    if (ok) {
        ok = dry_run_open(&tap->dry_run, tap->generation, "tap touches no outside system",
                          kafka_message_release, err) &&
             tap_start(tap, err);
        dry_run_close(&tap->dry_run);
    }
    log_reader_close(&tap->reader);
    return ok;
}

bool tap_run(const struct tap_options *options, struct err *err) {
    struct tap tap = {.options = options};
    tap.generation = script_generation_load(options->config, 1, err);
    if (!tap.generation) {
        err->kind = ERR_INTERNAL;
        return false;
    }
    bool ok = tap_check_topics(&tap, err) && tap_open_and_run(&tap, err);
    buffer_free(&tap.out);
    script_generation_unref(tap.generation);
    return ok;
}
