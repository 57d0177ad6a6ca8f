#include "tap.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_put.h"
#include "base/nearest.h"
#include "base/plural.h"
#include "rebuild/log_reader.h"
#include "base/timestamp.h"
#include "base/xalloc.h"
#include "record.h"
#include "show.h"

#define POLL_MS 200 /* the delay of a signal */
#define AWAIT_MS 1000

struct tap {
    const struct tap_options *options;
    struct script_generation *generation;
    struct log_reader reader;
    struct dry_run dry_run;
    struct buffer out;
    FILE *file;    /* of --record; NULL: none */
    bool *is_late; /* of each topic of the options: Kafka lacked it at first */
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

static int tap_count_partitions(const struct log_reader *reader, const char *topic) {
    int count = 0;
    for (size_t i = 0; i < reader->count; i++) {
        count += strcmp(reader->partitions[i].topic, topic) == 0;
    }
    return count;
}

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
        err_set(err, ERR_INPUT, "kafka has no topic %s: did you mean \"%s\"? Handlers declare:%s",
                topic, nearest, all.data);
    } else {
        err_set(err, ERR_INPUT, "kafka has no topic %s. Handlers declare:%s", topic,
                all.len ? all.data : " none");
    }
    free(names);
    buffer_free(&all);
    return false;
}

/* The script that has the topic's name as a string: it may publish to it. NULL: none. */
static const char *tap_find_namer(const struct tap *tap, const char *topic) {
    struct script_source source;
    const char *found = NULL;
    struct buffer quoted[2] = {{0}};
    buffer_append_format(&quoted[0], "\"%s\"", topic);
    buffer_append_format(&quoted[1], "'%s'", topic);
    for (size_t i = 0; !found && script_generation_source(tap->generation, i, &source); i++) {
        bool names = slice_contains(source.text, buffer_slice(&quoted[0])) ||
                     slice_contains(source.text, buffer_slice(&quoted[1]));
        found = names ? source.path : NULL;
    }
    buffer_free(&quoted[0]);
    buffer_free(&quoted[1]);
    return found;
}

/* False: Kafka lacks a topic that no script names. */
static bool tap_check_topics(struct tap *tap, struct err *err) {
    for (size_t i = 0; i < tap->options->topic_count; i++) {
        const char *topic = tap->options->topics[i];
        tap->is_late[i] = tap_count_partitions(&tap->reader, topic) == 0;
        const char *namer = tap->is_late[i] ? tap_find_namer(tap, topic) : NULL;
        if (tap->is_late[i] && !namer) {
            return tap_refuse_topic(tap, topic, err);
        }
        if (namer) {
            fprintf(stderr, "%s: not in kafka yet, %s names it: waiting for it; Ctrl-C ends\n",
                    topic, namer);
        }
    }
    return true;
}

static bool tap_lacks_topic(const struct tap *tap) {
    bool lacks = false;
    for (size_t i = 0; i < tap->options->topic_count; i++) {
        lacks = lacks || tap_count_partitions(&tap->reader, tap->options->topics[i]) == 0;
    }
    return lacks;
}

static bool tap_open_reader(struct tap *tap, struct err *err) {
    return log_reader_open_topics(&tap->reader, tap->options->config, tap->generation,
                                  tap->options->topics, tap->options->topic_count, err);
}

/* Until each topic exists, or a signal comes. */
static bool tap_await_topics(struct tap *tap, struct err *err) {
    bool ok = true;
    while (ok && !stopped && tap_lacks_topic(tap)) {
        log_reader_close(&tap->reader);
        poll(NULL, 0, AWAIT_MS);
        ok = tap_open_reader(tap, err);
    }
    return ok;
}

/* Whether the topic was waited for: its first records are new, too. */
static bool tap_is_late(const struct tap *tap, const char *topic) {
    for (size_t i = 0; i < tap->options->topic_count; i++) {
        if (tap->is_late[i] && strcmp(tap->options->topics[i], topic) == 0) {
            return true;
        }
    }
    return false;
}

static bool tap_begin_reading(struct tap *tap, struct err *err) {
    for (size_t i = 0; i < tap->reader.count; i++) {
        struct log_partition *partition = &tap->reader.partitions[i];
        bool whole = tap->options->from_beginning || tap_is_late(tap, partition->topic);
        partition->start = whole ? partition->low : partition->high;
        partition->until = INT64_MAX;
    }
    return log_reader_start_at(&tap->reader, err);
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
    for (size_t i = 0; i < tap->options->topic_count; i++) {
        const char *topic = tap->options->topics[i];
        if (script_handler_of(tap->generation, topic) < 0) {
            fprintf(stderr, "%s: %d partitions, no handler declares it\n", topic,
                    tap_count_partitions(&tap->reader, topic));
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

static void tap_begin_json(struct buffer *out, const struct record *record, int64_t stored_at_us) {
    buffer_append_text(out, "{");
    json_put_text(out, "topic", slice_of(record->topic));
    json_put_int(out, "partition", record->partition);
    json_put_int(out, "offset", record->offset);
    json_put_time(out, "stored_at", stored_at_us);
}

static void tap_show_place(struct buffer *out, const struct record *record, int64_t stored_at_us,
                           const char *outcome) {
    char stored[TIMESTAMP_TEXT_CAP] = "unknown";
    if (stored_at_us > 0) {
        timestamp_format(stored_at_us, stored);
    }
    buffer_append_format(out, "%s/%" PRId64 "/%" PRId64 "  stored %s  %s", record->topic,
                         record->partition, record->offset, stored, outcome);
}

static void tap_show_event(struct tap *tap, const struct record *record,
                           const struct dry_run_outcome *outcome) {
    int64_t stored_at_us = outcome->event->record.broker_time_us;
    if (tap->options->json) {
        tap_begin_json(&tap->out, record, stored_at_us);
        show_event_json(&tap->out, outcome);
        buffer_append_text(&tap->out, "}\n");
        return;
    }
    tap_show_place(&tap->out, record, stored_at_us, show_outcome_name(outcome));
    buffer_append_format(&tap->out, "  %s\n", outcome->handler->name);
    show_event(&tap->out, outcome);
    buffer_append_text(&tap->out, "\n");
}

static void tap_show_bytes(struct buffer *out, struct slice bytes) {
    struct slice shown = bytes.data ? bytes : slice_of("none");
    buffer_append(out, shown.data, shown.len);
}

/* Of a topic that no handler declares. In JSON, U+FFFD stands for bytes that are not UTF-8. */
static void tap_show_undeclared(struct tap *tap, const struct record *record,
                                int64_t stored_at_us) {
    struct buffer *out = &tap->out;
    if (tap->options->json) {
        tap_begin_json(out, record, stored_at_us);
        json_put_text(out, "outcome", slice_of("undeclared"));
        json_put_text(out, "key", record->key);
        json_put_text(out, "text", record->payload);
        buffer_append_text(out, "}\n");
        return;
    }
    tap_show_place(out, record, stored_at_us, "undeclared\n  key    ");
    tap_show_bytes(out, record->key);
    buffer_append_text(out, "\n  value  ");
    tap_show_bytes(out, record->payload);
    buffer_append_text(out, "\n\n");
}

static bool tap_keep(struct tap *tap, const struct record *record, struct err *err) {
    if (!tap->file) {
        return true;
    }
    struct buffer line = {0};
    record_append(&line, record);
    bool ok = fwrite(line.data, 1, line.len, tap->file) == line.len && fflush(tap->file) == 0;
    buffer_free(&line);
    return ok || err_set(err, ERR_INPUT, "%s cannot be written: %s", tap->options->record,
                         strerror(errno));
}

static bool tap_handle(struct tap *tap, const struct log_record *message, struct err *err) {
    struct dry_run_outcome outcome;
    const struct log_partition *partition = &tap->reader.partitions[message->partition];
    struct record record = {.topic = partition->topic,
                            .key = kafka_message_key(message->owner),
                            .payload = message->payload,
                            .partition = partition->number,
                            .offset = message->offset};
    bool kept = tap_keep(tap, &record, err);
    if (kept && partition->handler >= 0) {
        if (!dry_run_handle(&tap->dry_run, message, &outcome, err)) {
            return false;
        }
        tap_show_event(tap, &record, &outcome);
        dry_run_clear(&tap->dry_run); /* releases the record */
    } else {
        tap_show_undeclared(tap, &record, message->broker_time_us);
        kafka_message_release(message->owner);
    }
    tap->shown++;
    return kept && show_write(&tap->out, err);
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
    dry_run_expect_horizon(&tap->dry_run);
    dry_run_clear(&tap->dry_run);
    if (!tap_begin_reading(tap, err)) {
        return false;
    }
    tap_announce(tap);
    return tap_follow(tap, err);
}

/* Appended to: a second tap adds to what the first one recorded. */
static bool tap_open_file(struct tap *tap, struct err *err) {
    const char *path = tap->options->record;
    tap->file = path ? fopen(path, "ae") : NULL;
    return !path || tap->file ||
           err_set(err, ERR_INPUT, "%s cannot be written: %s", path, strerror(errno));
}

static bool tap_close_file(struct tap *tap, struct err *err) {
    return !tap->file || fclose(tap->file) == 0 ||
           err_set(err, ERR_INPUT, "%s cannot be written: %s", tap->options->record,
                   strerror(errno));
}

static bool tap_open_and_run(struct tap *tap, struct err *err) {
    tap_catch_signals();
    bool ok = tap_open_reader(tap, err) && tap_check_topics(tap, err) && tap_open_file(tap, err) &&
              tap_await_topics(tap, err);
    if (ok) {
        ok = dry_run_open(&tap->dry_run, tap->generation, "tap touches no outside system",
                          kafka_message_release, err) &&
             tap_start(tap, err);
        dry_run_close(&tap->dry_run);
    }
    log_reader_close(&tap->reader);
    struct err ignored = {0};
    return tap_close_file(tap, ok ? err : &ignored) && ok;
}

bool tap_run(const struct tap_options *options, struct err *err) {
    struct tap tap = {.options = options};
    tap.generation = script_generation_load(options->config, 1, err);
    if (!tap.generation) {
        err->kind = ERR_INTERNAL;
        return false;
    }
    tap.is_late = xcalloc(options->topic_count + 1, sizeof *tap.is_late);
    bool ok = tap_open_and_run(&tap, err);
    free(tap.is_late);
    buffer_free(&tap.out);
    script_generation_unref(tap.generation);
    return ok;
}
