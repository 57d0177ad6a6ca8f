#include "canary.h"

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "check/schema_check.h"
#include "pipeline/outside_events.h"
#include "base/xalloc.h"
#include "differences.h"
#include "messages.h"
#include "reacting.h"
#include "rejections.h"
#include "tail.h"
#include "undecided.h"

#define TIMEOUT_S 300 /* for the log to be read and handled; comparing comes on top */
#define STATEMENT_TIMEOUT_MS 60000
#define POLL_MS 100

/* One event: its place in each side's batch. */
struct place {
    size_t at[CANARY_SIDES];
};

struct canary {
    const struct canary_options *options;
    struct sql_session session;
    struct common common;
    struct log_reader reader;
    struct side sides[CANARY_SIDES];
    struct place *places; /* of the events of this turn */
    size_t place_count, place_cap;
    struct rejections rejections;
    struct undecided undecided;
    struct messages messages;
    int64_t started_us;
    unsigned turns;
};

/* ---- parts --------------------------------------------------------------------------------- */

static bool canary_goes_on(const struct canary *canary, struct err *err) {
    struct pollfd stop = {canary->options->stop_fd, POLLIN, 0};
    if (poll(&stop, 1, 0) > 0) {
        return err_set(err, ERR_UNAVAILABLE, "the program is stopping");
    }
    return clock_monotonic_us() - canary->started_us < TIMEOUT_S * 1000000LL ||
           err_set(err, ERR_TIMEOUT, "it took longer than %d s: ask for fewer events", TIMEOUT_S);
}

/* The messages are both sides': the new one, which takes all, releases them. */
static bool canary_open_sides(struct canary *canary, struct err *err) {
    static const struct shadow_kind kinds[CANARY_SIDES] = {
        {SIDE_OLD_SCHEMA, 7236016, "canary", true}, {SIDE_NEW_SCHEMA, 7236017, "canary", true}};
    const struct canary_options *options = canary->options;
    struct side *sides = canary->sides;
    return side_open(&sides[CANARY_OLD], options->running, &canary->session, &kinds[CANARY_OLD],
                     NULL, err) &&
           side_open(&sides[CANARY_NEW], options->candidate, &canary->session, &kinds[CANARY_NEW],
                     kafka_message_release, err);
}

/* The new scripts' topics: what the old ones alone declare is read no more after a reload. */
static bool canary_open_log(struct canary *canary, struct err *err) {
    const struct canary_options *options = canary->options;
    const struct config *config = script_generation_config(options->candidate);
    struct log_reader *reader = &canary->reader;
    if (!log_reader_open(reader, config, options->candidate, err)) {
        return false;
    }
    int64_t events = options->request.events;
    tail_start(reader->partitions, reader->count,
               events > 0 ? events : config->scripts.canary_events);
    return side_connect(&canary->sides[CANARY_OLD], reader, err) &&
           side_connect(&canary->sides[CANARY_NEW], reader, err) &&
           log_reader_start_there(reader, err);
}

static bool canary_open_parts(struct canary *canary, struct err *err) {
    const struct config *config = script_generation_config(canary->options->candidate);
    common_init(&canary->common, canary->options->running, canary->options->candidate);
    return sql_session_open(&canary->session, config, "aggregator canary", STATEMENT_TIMEOUT_MS,
                            err) &&
           schema_check(&canary->session, canary->options->candidate, SCHEMA_PREPARE, err) &&
           canary_open_sides(canary, err) && canary_open_log(canary, err);
}

static void canary_close_parts(struct canary *canary) {
    side_close(&canary->sides[CANARY_OLD], &canary->session);
    side_close(&canary->sides[CANARY_NEW], &canary->session);
    log_reader_close(&canary->reader);
    sql_session_close(&canary->session);
    common_free(&canary->common);
    rejections_free(&canary->rejections);
    undecided_free(&canary->undecided);
    messages_free(&canary->messages);
    free(canary->places);
}

/* ---- a turn -------------------------------------------------------------------------------- */

static void canary_take(struct canary *canary, const struct log_record *message) {
    if (canary->place_count == canary->place_cap) {
        canary->place_cap = canary->place_cap ? canary->place_cap * 2 : 256;
        canary->places = xrealloc(canary->places, canary->place_cap * sizeof *canary->places);
    }
    struct place *place = &canary->places[canary->place_count++];
    for (int i = 0; i < CANARY_SIDES; i++) {
        place->at[i] = side_take(&canary->sides[i], message);
    }
}

static bool canary_fill(struct canary *canary, struct err *err) {
    canary->place_count = 0;
    while (!side_full(&canary->sides[CANARY_OLD]) && !side_full(&canary->sides[CANARY_NEW])) {
        struct log_record message;
        if (!log_reader_next(&canary->reader, POLL_MS, &message, err)) {
            break;
        }
        canary_take(canary, &message);
    }
    return err->kind == ERR_NONE;
}

static void canary_set_undecided_aside(struct canary *canary) {
    for (size_t i = 0; i < canary->place_count; i++) {
        undecided_note(&canary->undecided, canary->sides, canary->places[i].at);
    }
    outside_events_exclude(&canary->sides[CANARY_OLD].batch);
    outside_events_exclude(&canary->sides[CANARY_NEW].batch);
}

/* Neither is always the one that finds the events in the processor's cache. */
static bool canary_handle(struct canary *canary, struct err *err) {
    for (unsigned i = 0; i < CANARY_SIDES; i++) {
        struct side *side = &canary->sides[(canary->turns + i) % CANARY_SIDES];
        while (!side_handle(side)) {
            if (!canary_goes_on(canary, err)) {
                return false;
            }
        }
    }
    canary->turns++;
    canary_set_undecided_aside(canary);
    return true;
}

static bool canary_settle(struct canary *canary, struct err *err) {
    return (side_settle(&canary->sides[CANARY_OLD], err) ||
            err_wrap(err, "the scripts that run")) &&
           (side_settle(&canary->sides[CANARY_NEW], err) || err_wrap(err, "the new scripts"));
}

static bool canary_feed(struct canary *canary, struct err *err) {
    while (canary->reader.unfinished > 0) {
        if (!canary_goes_on(canary, err) || !canary_fill(canary, err) ||
            !canary_handle(canary, err) || !canary_settle(canary, err)) {
            return false;
        }
        for (size_t i = 0; i < canary->place_count; i++) {
            rejections_note(&canary->rejections, canary->sides, canary->places[i].at);
        }
        side_clear(&canary->sides[CANARY_OLD]);
        side_clear(&canary->sides[CANARY_NEW]);
    }
    return true;
}

/* ---- what follows -------------------------------------------------------------------------- */

static bool canary_react_side(struct canary *canary, const struct side *side, struct err *err) {
    struct reacting reacting;
    bool ok = true, done = false;
    reacting_begin(&reacting, side);
    while (ok && !done) {
        ok = canary_goes_on(canary, err) && reacting_turn(&reacting, &done, err);
    }
    reacting_end(&reacting);
    return ok;
}

static bool canary_react(struct canary *canary, struct err *err) {
    const struct side *sides = canary->sides;
    return side_analyze(&sides[CANARY_OLD], &canary->session, err) &&
           side_analyze(&sides[CANARY_NEW], &canary->session, err) &&
           (canary_react_side(canary, &sides[CANARY_OLD], err) ||
            err_wrap(err, "the scripts that run")) &&
           (canary_react_side(canary, &sides[CANARY_NEW], err) || err_wrap(err, "the new scripts"));
}

/* ---- the result ---------------------------------------------------------------------------- */

static bool canary_compare(struct canary *canary, struct differences *differences,
                           struct err *err) {
    const struct view *view = &canary->common.view;
    bool ok = true;
    for (size_t i = 0; ok && i < view->table_count; i++) {
        ok = canary_goes_on(canary, err) &&
             differences_find(differences, &canary->session, canary->sides, &view->tables[i], err);
    }
    return ok && canary_goes_on(canary, err) &&
           messages_compare(&canary->messages, &canary->session, err);
}

static void canary_put_side(struct buffer *json, const char *name,
                            const struct script_generation *generation, const struct side *side) {
    const struct side_counts *counts = &side->counts;
    json_put_name(json, name);
    buffer_append_text(json, "{");
    json_put_text(json, "hash", slice_of(script_generation_hash(generation)));
    json_put_int(json, "events", counts->events);
    json_put_int(json, "applied", counts->applied);
    json_put_int(json, "superseded", counts->superseded);
    json_put_int(json, "ignored", counts->ignored);
    json_put_int(json, "rejected", counts->rejected);
    json_put_int(json, "undecided", counts->outside);
    json_put_name(json, "cpu_us_per_event");
    buffer_append_format(
        json, "%.2f", counts->events > 0 ? (double)counts->cpu_us / (double)counts->events : 0.0);
    buffer_append_text(json, "}");
}

static void canary_put_result(const struct canary *canary, const struct differences *differences,
                              struct canary_result *result) {
    const struct rejections *rejections = &canary->rejections;
    const struct messages *messages = &canary->messages;
    struct buffer *json = &result->json;
    result->events = canary->sides[CANARY_NEW].counts.events;
    result->rows = differences->rows;
    result->differing_rows = differences->differing;
    result->newly_rejected = rejections->alone[CANARY_NEW];
    result->messages = messages->count;
    result->differing_messages = messages->differing;
    result->newly_failing = messages->newly_failing;
    result->equal = differences->differing == 0 && messages->differing == 0 &&
                    messages->newly_failing == 0 && messages->no_longer_failing == 0 &&
                    rejections->alone[CANARY_OLD] == 0 && rejections->alone[CANARY_NEW] == 0 &&
                    canary->common.only[CANARY_OLD].len == 0 &&
                    canary->common.only[CANARY_NEW].len == 0;
    buffer_append_text(json, "{");
    json_put_bool(json, "equal", result->equal);
    json_put_int(json, "events", result->events);
    json_put_int(json, "rows", result->rows);
    json_put_int(json, "differing_rows", result->differing_rows);
    json_put_int(json, "newly_rejected", result->newly_rejected);
    json_put_int(json, "no_longer_rejected", rejections->alone[CANARY_OLD]);
    undecided_append(&canary->undecided, json);
    canary_put_side(json, "old", canary->options->running, &canary->sides[CANARY_OLD]);
    canary_put_side(json, "new", canary->options->candidate, &canary->sides[CANARY_NEW]);
    json_put_list(json, "only_old", &canary->common.only[CANARY_OLD]);
    json_put_list(json, "only_new", &canary->common.only[CANARY_NEW]);
    json_put_list(json, "tables", differences->tables);
    messages_append(messages, json);
    rejections_append(rejections, json);
    json_put_name(json, "took_ms");
    buffer_append_format(json, "%.1f}", (double)(clock_monotonic_us() - canary->started_us) / 1000);
}

static void canary_log_end(const struct canary *canary, const struct canary_result *result) {
    log_info("canary ended", LOG_TEXT("old", script_generation_hash(canary->options->running)),
             LOG_TEXT("new", script_generation_hash(canary->options->candidate)),
             LOG_INT("events", result->events), LOG_INT("rows", result->rows),
             LOG_INT("differing_rows", result->differing_rows),
             LOG_INT("newly_rejected", result->newly_rejected),
             LOG_INT("messages", result->messages),
             LOG_INT("differing_messages", result->differing_messages),
             LOG_INT("newly_failing", result->newly_failing),
             LOG_INT("not_compared", canary->undecided.count),
             LOG_INT("took_us", clock_monotonic_us() - canary->started_us));
}

bool canary_run(const struct canary_options *options, struct canary_result *result,
                struct err *err) {
    struct buffer tables = {0};
    struct differences differences = {.tables = &tables};
    struct canary canary = {.options = options, .started_us = clock_monotonic_us()};
    *result = (struct canary_result){0};
    bool ok = canary_open_parts(&canary, err) && canary_feed(&canary, err) &&
              canary_react(&canary, err) && canary_compare(&canary, &differences, err);
    if (ok) {
        canary_put_result(&canary, &differences, result);
    }
    canary_close_parts(&canary);
    buffer_free(&tables);
    if (ok) {
        canary_log_end(&canary, result);
    }
    return ok || err_wrap(err, "canary");
}

void canary_free(struct canary_result *result) {
    buffer_free(&result->json);
}

static bool canary_is_over(int64_t part, int64_t whole, int percent) {
    return part * 100 > whole * percent;
}

bool canary_accepts(const struct canary_options *options, const struct canary_result *result,
                    struct err *err) {
    int percent = options->request.accept_percent;
    if (percent < 0) {
        percent = script_generation_config(options->candidate)->scripts.canary_accept_percent;
    }
    if (!canary_is_over(result->differing_rows, result->rows, percent) &&
        !canary_is_over(result->newly_rejected, result->events, percent) &&
        !canary_is_over(result->differing_messages + result->newly_failing,
                        result->messages + result->newly_failing, percent)) {
        return true;
    }
    return err_set(err, ERR_INPUT,
                   "%lld of %lld rows differ, %lld of %lld events are newly rejected, %lld of %lld "
                   "published messages differ and reactions newly fail for %lld keys, where %d %% "
                   "are accepted: see `aggregator diff`, then mend the scripts, or reload with "
                   "--canary --accept PERCENT",
                   (long long)result->differing_rows, (long long)result->rows,
                   (long long)result->newly_rejected, (long long)result->events,
                   (long long)result->differing_messages, (long long)result->messages,
                   (long long)result->newly_failing, percent);
}
