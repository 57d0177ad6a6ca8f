/* apply: runs the ingest pipeline on records from standard input instead of Kafka, so that tests
 * control order, batches and the number of processes.
 *
 *     apply [--publish] [CONFIG]      config.lua and its environment, as for `aggregator`
 *
 * With --publish reactions and the outbox's relay run too, as in the program.
 *
 * A line is a record (host/author/record.h; topic, partition, offset, value or raw_b64) or a word:
 *
 *     commit   commits the records since the last commit; skips those below the partition's offset
 *              in the database. Prints one line: "ok", "conflict: …" (another process moved the
 *              offsets) or "KIND: …"; after a failure it drops the records and re-reads the
 *              offsets, as the program does
 *     sweep US moves the horizons of the view to that time (microseconds since 1970) and deletes
 *              what has left. Prints a line likewise
 *     reset    re-reads the offsets, after a change from outside
 *     quit     ends the program, like the end of the input */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/batch.h"
#include "pipeline/commit.h"
#include "pipeline/database_offsets.h"
#include "pipeline/pipeline.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "author/record.h"
#include "outbox/relay.h"
#include "reaction/reactor.h"
#include "retention/sweep.h"

struct pending {
    struct record record;
    char *line; /* owned; the pipeline's once taken */
};

struct applier {
    struct pipeline pipeline;
    struct batch batch;
    struct pending *pending;
    size_t count;
    size_t capacity;
    bool must_load; /* the offsets in the database are not known */
    bool publishes;
    struct outbox_relay *relay; /* NULL: it does not publish; the same of the reactor */
    struct reactor *reactor;
};

static void release_line(void *line) {
    free(line);
}

/* ---- one batch ----------------------------------------------------------------------------- */

static void drop_pending(struct applier *applier) {
    for (size_t i = 0; i < applier->count; i++) {
        free(applier->pending[i].line);
    }
    applier->count = 0;
}

static size_t find_partition(struct applier *applier, const struct record *record) {
    size_t known = applier->pipeline.partitions.count;
    size_t at = pipeline_partition(&applier->pipeline, record->topic, (int32_t)record->partition);
    applier->must_load |= applier->pipeline.partitions.count > known;
    return at;
}

static bool prepare(struct applier *applier, struct err *err) {
    for (size_t i = 0; i < applier->count; i++) {
        find_partition(applier, &applier->pending[i].record);
    }
    if (!pipeline_connect(&applier->pipeline, err)) {
        return false;
    }
    if (applier->must_load && !offsets_load(&applier->pipeline, err)) {
        return false;
    }
    applier->must_load = false;
    batch_clear(&applier->pipeline, &applier->batch); /* room for the partitions there are now */
    return true;
}

static void take_pending(struct applier *applier) {
    for (size_t i = 0; i < applier->count; i++) {
        struct pending *pending = &applier->pending[i];
        size_t partition = find_partition(applier, &pending->record);
        if (pending->record.offset < applier->pipeline.partitions.items[partition].next_offset) {
            free(pending->line);
            continue;
        }
        struct log_record message = {.partition = partition,
                                     .offset = pending->record.offset,
                                     .payload = pending->record.payload,
                                     .owner = pending->line};
        batch_take(&applier->pipeline, &applier->batch, &message);
    }
    applier->count = 0;
}

static bool apply(struct applier *applier, struct err *err) {
    struct pipeline *pipeline = &applier->pipeline;
    if (!prepare(applier, err)) {
        return false;
    }
    take_pending(applier);
    if (applier->batch.count == 0) {
        return true;
    }
    batch_handle(pipeline, &applier->batch, INT64_MAX);
    if (applier->batch.waiting > 0) { /* the log says why */
        return err_set(err, ERR_INPUT, "%zu events wait for their handler", applier->batch.waiting);
    }
    return commit_batch(pipeline, &applier->batch, err);
}

static void commit(struct applier *applier) {
    struct err err = {0};
    if (apply(applier, &err)) {
        puts("ok");
    } else {
        printf("%s: %s\n", err_kind_name(err.kind), err.text);
        drop_pending(applier);
        batch_clear(&applier->pipeline, &applier->batch);
        pg_disconnect(applier->pipeline.pg);
        applier->must_load = true;
    }
    fflush(stdout);
}

/* ---- retention ----------------------------------------------------------------------------- */

static bool sweep_table(struct sweep *sweep, const struct view_table *table, int64_t at_us,
                        struct err *err) {
    int64_t rows;
    enum sweep_result result = sweep_move(sweep, table, at_us, err);
    while (result == SWEEP_DONE || result == SWEEP_MORE) {
        result = sweep_step(sweep, table, &rows, err);
        if (result == SWEEP_DONE) {
            return true;
        }
    }
    return result == SWEEP_FAILED ? false : err_set(err, ERR_BUSY, "another process sweeps");
}

static void sweep_all(struct applier *applier, int64_t at_us) {
    const struct view *view = script_generation_view(applier->pipeline.generation);
    struct sweep sweep;
    struct err err = {0};
    bool ok = sweep_open(&sweep, applier->pipeline.generation, NULL, &err);
    for (size_t i = 0; ok && i < view->table_count; i++) {
        ok = !view->tables[i].retention || sweep_table(&sweep, &view->tables[i], at_us, &err);
    }
    sweep_close(&sweep);
    ok ? puts("ok") : printf("%s: %s\n", err_kind_name(err.kind), err.text);
    fflush(stdout);
}

/* ---- the input ----------------------------------------------------------------------------- */

static void add_record(struct applier *applier, char *line) {
    if (applier->count == applier->capacity) {
        applier->capacity = applier->capacity ? applier->capacity * 2 : 64;
        applier->pending = xrealloc(applier->pending, applier->capacity * sizeof *applier->pending);
    }
    struct pending *pending = &applier->pending[applier->count];
    if (!record_read(line, &pending->record)) {
        fprintf(stderr, "apply: neither a record nor a word: %.200s\n", line);
        free(line);
        exit(2);
    }
    pending->line = line;
    applier->count++;
}

static void follow(struct applier *applier, FILE *input) {
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, input) > 0 && strcmp(line, "quit\n") != 0) {
        if (strcmp(line, "commit\n") == 0) {
            commit(applier);
        } else if (strncmp(line, "sweep ", 6) == 0) {
            sweep_all(applier, strtoll(line + 6, NULL, 10));
        } else if (strcmp(line, "reset\n") == 0) {
            partitions_clear(&applier->pipeline.partitions);
            applier->must_load = true;
        } else {
            add_record(applier, line);
            line = NULL;
        }
    }
    free(line);
}

static void wake_reactor(void *context, bool behind) {
    reactor_wake(context, behind);
}

static void wake_relay(void *context) {
    outbox_wake(context);
}

static bool start_publishing(struct applier *applier, const struct config *config,
                             struct script_generation *generation, struct err *err) {
    applier->relay = outbox_relay_start(config, err);
    struct reactor_options options = {
        .generation = generation,
        .stored = wake_relay,
        .context = applier->relay,
    };
    applier->reactor = applier->relay ? reactor_start(&options, err) : NULL;
    outbox_relay_release(applier->relay);
    reactor_release(applier->reactor);
    return applier->reactor != NULL;
}

static bool open_pipeline(struct applier *applier, const struct config *config,
                          struct script_generation *generation, struct err *err) {
    struct pipeline_options options = {
        .generation = generation,
        .group = config->kafka.group,
        .application_name = "apply",
        .with_redis = true,
        .marks = applier->publishes,
        .relay = applier->relay,
        .marked = wake_reactor,
        .marked_context = applier->reactor,
        .mode = PIPELINE_FOLLOW,
        .release = release_line,
        .no_breaker = true, /* else a stall of the machine ends the turn of a handler */
    };
    return pipeline_open(&applier->pipeline, &options, err);
}

static bool run(const struct config *config, bool publishes, struct err *err) {
    struct script_generation *generation = script_generation_load(config, 1, err);
    if (!generation) {
        return false;
    }
    struct applier applier = {.must_load = true, .publishes = publishes};
    bool ok = (!publishes || start_publishing(&applier, config, generation, err)) &&
              open_pipeline(&applier, config, generation, err);
    if (ok) {
        batch_init(&applier.batch, generation);
        follow(&applier, stdin);
        drop_pending(&applier);
        batch_free(&applier.pipeline, &applier.batch);
        free(applier.pending);
    }
    pipeline_close(&applier.pipeline);
    reactor_stop(applier.reactor);
    outbox_relay_stop(applier.relay);
    script_generation_unref(generation);
    return ok;
}

int main(int argc, char **argv) {
    struct err err = {0};
    signal(SIGPIPE, SIG_IGN);
    bool publishes = argc > 1 && strcmp(argv[1], "--publish") == 0;
    const char *path = argv[publishes ? 2 : 1];
    struct config *config = config_load(path ? path : "config.lua", &err);
    bool ok = config != NULL;
    if (ok) {
        log_configure(LOG_ERROR, true);
        ok = run(config, publishes, &err);
        config_unref(config);
    }
    if (!ok) {
        fprintf(stderr, "apply: %s\n", err.text);
    }
    return ok ? 0 : 1;
}
