#include "shadow_run.h"

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/plural.h"
#include "base/xalloc.h"
#include "check/schema_check.h"
#include "event_differences.h"
#include "message_differences.h"
#include "newest_records.h"
#include "pipeline/outside_events.h"
#include "row_differences.h"

#define TIMEOUT_S 300 /* for reading, handling and reactions; each comparison has its own */
#define STATEMENT_TIMEOUT_MS 60000
#define POLL_MS 100

struct run {
    const struct shadow_run_options *options;
    struct sql_session session;
    struct declarations shared;
    struct log_reader reader;
    struct side sides[SHADOW_RUN_SIDES];
    struct event_place *places; /* of the events of this turn */
    size_t place_count, place_cap;
    struct row_differences rows;
    struct event_differences events;
    struct message_differences messages;
    int64_t started_us;
    unsigned turns;
};

static const char *const side_names[SHADOW_RUN_SIDES] = {"the running scripts", "the new scripts"};

/* ---- open and close ------------------------------------------------------------------------ */

static bool shadow_run_goes_on(void *context, struct err *err) {
    const struct run *run = context;
    struct pollfd stop = {run->options->stop_fd, POLLIN, 0};
    if (poll(&stop, 1, 0) > 0) {
        return err_set(err, ERR_UNAVAILABLE, "the program is stopping");
    }
    return clock_monotonic_us() - run->started_us < TIMEOUT_S * 1000000LL ||
           err_set(err, ERR_TIMEOUT, "it took longer than %d s: ask for fewer events", TIMEOUT_S);
}

/* Both sides share the messages; the new one, which takes all of them, releases them. */
static bool shadow_run_open_sides(struct run *run, struct err *err) {
    static const struct shadow_kind kinds[SHADOW_RUN_SIDES] = {
        {SIDE_OLD_SCHEMA, 7236016, "shadow run", true},
        {SIDE_NEW_SCHEMA, 7236017, "shadow run", true}};
    return side_open(&run->sides[SHADOW_RUN_OLD], run->options->running, &run->session,
                     &kinds[SHADOW_RUN_OLD], NULL, err) &&
           side_open(&run->sides[SHADOW_RUN_NEW], run->options->candidate, &run->session,
                     &kinds[SHADOW_RUN_NEW], kafka_message_release, err);
}

/* Reads the topics of the new scripts only: after a reload no other topic is read. */
static bool shadow_run_open_log(struct run *run, struct err *err) {
    const struct config *config = script_generation_config(run->options->candidate);
    struct log_reader *reader = &run->reader;
    if (!log_reader_open(reader, config, run->options->candidate, err)) {
        return false;
    }
    int64_t events = run->options->request.events;
    newest_records_start(reader->partitions, reader->count,
                         events > 0 ? events : config->scripts.canary_events);
    return side_connect(&run->sides[SHADOW_RUN_OLD], reader, err) &&
           side_connect(&run->sides[SHADOW_RUN_NEW], reader, err) &&
           log_reader_start_at(reader, err);
}

static bool shadow_run_open(struct run *run, struct err *err) {
    const struct config *config = script_generation_config(run->options->candidate);
    declarations_compare(&run->shared, run->options->running, run->options->candidate);
    return sql_session_open(&run->session, config, "aggregator shadow run", STATEMENT_TIMEOUT_MS,
                            err) &&
           schema_check(&run->session, run->options->candidate, SCHEMA_PREPARE, err) &&
           shadow_run_open_sides(run, err) && shadow_run_open_log(run, err);
}

static void shadow_run_close(struct run *run) {
    side_close(&run->sides[SHADOW_RUN_OLD], &run->session);
    side_close(&run->sides[SHADOW_RUN_NEW], &run->session);
    log_reader_close(&run->reader);
    sql_session_close(&run->session);
    declarations_free(&run->shared);
    buffer_free(&run->rows.tables);
    event_differences_free(&run->events);
    message_differences_free(&run->messages);
    free(run->places);
}

/* ---- a turn -------------------------------------------------------------------------------- */

static bool shadow_run_fill(struct run *run, struct err *err) {
    struct side *old = &run->sides[SHADOW_RUN_OLD], *new = &run->sides[SHADOW_RUN_NEW];
    run->place_count = 0;
    while (!batch_full(&old->pipeline, &old->batch) && !batch_full(&new->pipeline, &new->batch)) {
        struct log_record record;
        if (!log_reader_next(&run->reader, POLL_MS, &record, err)) {
            break;
        }
        if (run->place_count == run->place_cap) {
            run->place_cap = run->place_cap ? run->place_cap * 2 : 256;
            run->places = xrealloc(run->places, run->place_cap * sizeof *run->places);
        }
        run->places[run->place_count++] =
            (struct event_place){{side_take(old, &record), side_take(new, &record)}};
    }
    return err->kind == ERR_NONE;
}

/* The sides take turns in going first: the second one finds the events in the processor's cache. */
static bool shadow_run_handle(struct run *run, struct err *err) {
    for (unsigned i = 0; i < SHADOW_RUN_SIDES; i++) {
        struct side *side = &run->sides[(run->turns + i) % SHADOW_RUN_SIDES];
        while (!side_handle(side)) {
            if (!shadow_run_goes_on(run, err)) {
                return false;
            }
        }
    }
    run->turns++;
    for (size_t i = 0; i < run->place_count; i++) {
        event_differences_note_undecided(&run->events, run->sides, &run->places[i]);
    }
    outside_events_exclude(&run->sides[SHADOW_RUN_OLD].batch);
    outside_events_exclude(&run->sides[SHADOW_RUN_NEW].batch);
    return true;
}

static bool shadow_run_commit(struct run *run, struct err *err) {
    for (int i = 0; i < SHADOW_RUN_SIDES; i++) {
        if (!side_commit(&run->sides[i], err)) {
            return err_wrap(err, "%s", side_names[i]);
        }
    }
    for (size_t i = 0; i < run->place_count; i++) {
        event_differences_note_rejected(&run->events, run->sides, &run->places[i]);
    }
    side_clear(&run->sides[SHADOW_RUN_OLD]);
    side_clear(&run->sides[SHADOW_RUN_NEW]);
    return true;
}

static bool shadow_run_feed(struct run *run, struct err *err) {
    bool ok = true;
    while (ok && run->reader.unfinished > 0) {
        ok = shadow_run_goes_on(run, err) && shadow_run_fill(run, err) &&
             shadow_run_handle(run, err) && shadow_run_commit(run, err);
    }
    return ok;
}

/* ---- reactions and the result -------------------------------------------------------------- */

static bool shadow_run_react(struct run *run, struct err *err) {
    bool ok = side_analyze(&run->sides[SHADOW_RUN_OLD], &run->session, err) &&
              side_analyze(&run->sides[SHADOW_RUN_NEW], &run->session, err);
    for (int i = 0; ok && i < SHADOW_RUN_SIDES; i++) {
        ok = side_react(&run->sides[i], shadow_run_goes_on, run, err) ||
             err_wrap(err, "%s", side_names[i]);
    }
    return ok;
}

static bool shadow_run_compare(struct run *run, struct err *err) {
    const struct view *view = &run->shared.view;
    bool ok = true;
    for (size_t i = 0; ok && i < view->table_count; i++) {
        ok = shadow_run_goes_on(run, err) &&
             row_differences_find(&run->rows, &run->session, run->sides, &view->tables[i], err);
    }
    return ok && shadow_run_goes_on(run, err) &&
           message_differences_find(&run->messages, &run->session, err);
}

static void shadow_run_put_side(struct buffer *json, const char *name,
                                const struct script_generation *generation,
                                const struct side *side) {
    const struct side_counts *counts = &side->counts;
    json_open(json, name, "{");
    json_put_text(json, "hash", slice_of(script_generation_hash(generation)));
    json_put_bool(json, "compiled", script_generation_config(generation)->scripts.compile);
    json_put_int(json, "events", counts->events);
    json_put_int(json, "applied", counts->applied);
    json_put_int(json, "superseded", counts->superseded);
    json_put_int(json, "ignored", counts->ignored);
    json_put_int(json, "rejected", counts->rejected);
    json_put_int(json, "expired", counts->expired);
    json_put_int(json, "undecided", counts->outside);
    json_put_name(json, "cpu_us_per_event");
    buffer_append_format(
        json, "%.2f", counts->events > 0 ? (double)counts->cpu_us / (double)counts->events : 0.0);
    buffer_append_text(json, "}");
}

static void shadow_run_put_result(const struct run *run, struct shadow_run_result *result) {
    const struct buffer *only = run->shared.only;
    const struct event_differences *events = &run->events;
    const struct message_differences *messages = &run->messages;
    struct buffer *json = &result->json;
    result->events = run->sides[SHADOW_RUN_NEW].counts.events;
    result->rows = run->rows.rows;
    result->differing_rows = run->rows.differing;
    result->newly_rejected = events->alone[SHADOW_RUN_NEW];
    result->no_longer_rejected = events->alone[SHADOW_RUN_OLD];
    result->messages = messages->count;
    result->differing_messages = messages->differing;
    result->newly_failing = messages->newly_failing;
    result->equal = result->differing_rows == 0 && result->differing_messages == 0 &&
                    result->newly_failing == 0 && messages->no_longer_failing == 0 &&
                    result->newly_rejected == 0 && events->alone[SHADOW_RUN_OLD] == 0 &&
                    only[SHADOW_RUN_OLD].len == 0 && only[SHADOW_RUN_NEW].len == 0;
    buffer_append_text(json, "{");
    json_put_bool(json, "equal", result->equal);
    json_put_int(json, "events", result->events);
    json_put_int(json, "rows", result->rows);
    json_put_int(json, "differing_rows", result->differing_rows);
    json_put_int(json, "newly_rejected", result->newly_rejected);
    event_differences_append(events, json);
    shadow_run_put_side(json, "old", run->options->running, &run->sides[SHADOW_RUN_OLD]);
    shadow_run_put_side(json, "new", run->options->candidate, &run->sides[SHADOW_RUN_NEW]);
    json_put_list(json, "only_old", &only[SHADOW_RUN_OLD]);
    json_put_list(json, "only_new", &only[SHADOW_RUN_NEW]);
    json_put_list(json, "tables", &run->rows.tables);
    message_differences_append(messages, json);
    json_put_name(json, "took_ms");
    buffer_append_format(json, "%.1f}", (double)(clock_monotonic_us() - run->started_us) / 1000);
    log_info(
        "shadow run ended", LOG_TEXT("old", script_generation_hash(run->options->running)),
        LOG_TEXT("new", script_generation_hash(run->options->candidate)),
        LOG_INT("events", result->events), LOG_INT("rows", result->rows),
        LOG_INT("differing_rows", result->differing_rows),
        LOG_INT("newly_rejected", result->newly_rejected), LOG_INT("messages", result->messages),
        LOG_INT("differing_messages", result->differing_messages),
        LOG_INT("newly_failing", result->newly_failing), LOG_INT("not_compared", events->undecided),
        LOG_INT("took_us", clock_monotonic_us() - run->started_us));
}

bool shadow_run(const struct shadow_run_options *options, struct shadow_run_result *result,
                struct err *err) {
    struct run run = {.options = options, .started_us = clock_monotonic_us()};
    *result = (struct shadow_run_result){0};
    bool ok = shadow_run_open(&run, err) && shadow_run_feed(&run, err) &&
              shadow_run_react(&run, err) && shadow_run_compare(&run, err);
    if (ok) {
        shadow_run_put_result(&run, result);
    }
    shadow_run_close(&run);
    return ok || err_wrap(err, "shadow run");
}

void shadow_run_free(struct shadow_run_result *result) {
    buffer_free(&result->json);
}

static bool shadow_run_exceeds(int64_t part, int64_t whole, int percent) {
    return part * 100 > whole * percent;
}

bool shadow_run_accepts(const struct shadow_run_options *options,
                        const struct shadow_run_result *result, struct err *err) {
    int percent = options->request.accept_percent;
    if (percent < 0) {
        percent = script_generation_config(options->candidate)->scripts.canary_accept_percent;
    }
    if (!shadow_run_exceeds(result->differing_rows, result->rows, percent) &&
        !shadow_run_exceeds(result->newly_rejected, result->events, percent) &&
        !shadow_run_exceeds(result->differing_messages + result->newly_failing,
                            result->messages + result->newly_failing, percent)) {
        return true;
    }
    char repair[128] = "";
    if (result->no_longer_rejected > 0) {
        snprintf(repair, sizeof repair,
                 ", among them those of %lld event%s that the running scripts reject and the new "
                 "ones apply",
                 (long long)result->no_longer_rejected, plural_of(result->no_longer_rejected));
    }
    return err_set(
        err, ERR_INPUT,
        "%lld of %lld rows differ%s, %lld of %lld events are newly rejected, %lld of %lld "
        "published messages differ and reactions newly fail for %lld keys; %d %% are "
        "accepted: run `aggregator diff`, then fix the scripts, or reload with "
        "--shadow-run --accept PERCENT",
        (long long)result->differing_rows, (long long)result->rows, repair,
        (long long)result->newly_rejected, (long long)result->events,
        (long long)result->differing_messages, (long long)result->messages,
        (long long)result->newly_failing, percent);
}
