/* handling: measures the ingest pipeline without Kafka and Postgres, from a record to the
 * parameters of an upsert.
 *
 *     handling CONFIG RECORDS EVENTS
 *
 * RECORDS is a file of records, one a line (host/author/record.h). The file is repeated until
 * EVENTS are handled, in batches of `ingest.batch_max_events`, after one round of warm-up. Prints
 * the microseconds of its own CPU for each event: taken and handled; encoded; and, of the first,
 * the extraction alone. Then the number of traces that LuaJIT compiled, and the KiB of their
 * code. The further lines have what it gave up: how often, where and why. */
#include <stdio.h>
#include <stdlib.h>

#include "author/record.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "pipeline/dry_run.h"
#include "script/compiler.h"
#include "lib/compiler_aborts.h"
#include "lib/own_cpu.h"

struct handling {
    struct dry_run dry_run;
    struct log_record *messages; /* payloads stay in their lines */
    size_t count;
    size_t capacity;
    size_t next; /* the message that is taken next */
    size_t rejected;
    double handle_us, encode_us, extract_us;
};

/* ---- the file ------------------------------------------------------------------------------ */

static bool add_line(struct handling *handling, char *line, size_t number, struct err *err) {
    struct record record;
    if (!record_read(line, &record) || !record.topic) {
        return err_set(err, ERR_INPUT, "line %zu is no record", number);
    }
    if (handling->count == handling->capacity) {
        handling->capacity = handling->capacity ? handling->capacity * 2 : 1024;
        handling->messages =
            xrealloc(handling->messages, handling->capacity * sizeof *handling->messages);
    }
    handling->messages[handling->count++] = (struct log_record){
        .partition = pipeline_partition(&handling->dry_run.pipeline, record.topic,
                                        (int32_t)record.partition),
        .payload = record.payload,
        .owner = line};
    return true;
}

static bool read_file(struct handling *handling, const char *path, struct err *err) {
    FILE *file = fopen(path, "r");
    bool ok = file != NULL || err_set(err, ERR_INPUT, "cannot open %s", path);
    char *line = NULL;
    size_t cap = 0;
    for (size_t number = 1; ok && getline(&line, &cap, file) > 0; number++) {
        ok = add_line(handling, line, number, err);
        line = ok ? NULL : line;
        cap = 0;
    }
    free(line);
    if (file) {
        fclose(file);
    }
    return ok && (handling->count > 0 || err_set(err, ERR_INPUT, "%s is empty", path));
}

/* ---- measurement --------------------------------------------------------------------------- */

/* Adds the time since *since_us to *spent_us, and restarts *since_us. */
static void lap(double *since_us, double *spent_us) {
    double now_us = own_cpu_us();
    *spent_us += now_us - *since_us;
    *since_us = now_us;
}

static void take_batch(struct handling *handling) {
    while (!batch_full(&handling->dry_run.pipeline, &handling->dry_run.batch)) {
        struct log_record message = handling->messages[handling->next];
        message.owner = NULL; /* the file's, for another round */
        batch_take(&handling->dry_run.pipeline, &handling->dry_run.batch, &message);
        handling->next = (handling->next + 1) % handling->count;
    }
}

static size_t handle_batch(struct handling *handling) {
    double since_us = own_cpu_us();
    take_batch(handling);
    batch_handle(&handling->dry_run.pipeline, &handling->dry_run.batch, INT64_MAX);
    lap(&since_us, &handling->handle_us);
    encode_rows(&handling->dry_run.pipeline, &handling->dry_run.batch);
    lap(&since_us, &handling->encode_us);
    size_t events = handling->dry_run.batch.count;
    handling->rejected += handling->dry_run.batch.rejected;
    dry_run_clear(&handling->dry_run);
    return events;
}

/* Handles at least that many events; returns their number. */
static size_t handle_events(struct handling *handling, size_t events) {
    size_t done = 0;
    while (done < events) {
        done += handle_batch(handling);
    }
    return done;
}

static void extract_one(const struct handling *handling, const struct log_record *message,
                        struct arena *arena) {
    size_t count;
    const struct partition *partition =
        &handling->dry_run.pipeline.partitions.items[message->partition];
    const struct script_handler *handler =
        &script_generation_handlers(handling->dry_run.batch.generation, &count)[partition->handler];
    struct extract_value *values = arena_alloc(arena, handler->field_count * sizeof *values);
    struct err err = {0};
    memset(values, 0, handler->field_count * sizeof *values);
    extract_run(handler->plan, message->payload, arena, values, &err);
}

/* Extracts the fields of as many events, in turns of 1,024 as a worker does. */
static void extract_events(struct handling *handling, size_t events) {
    struct arena *arena = arena_create(65536);
    double since_us = own_cpu_us();
    for (size_t done = 0; done < events; done++) {
        if (done % 1024 == 0) {
            arena_reset(arena);
        }
        extract_one(handling, &handling->messages[done % handling->count], arena);
    }
    lap(&since_us, &handling->extract_us);
    arena_destroy(arena);
}

static bool measure(struct handling *handling, size_t events, struct err *err) {
    struct script_instance *instance = handling->dry_run.pipeline.scripts;
    if (!compiler_aborts_begin(instance, err)) {
        return false;
    }
    handle_events(handling, handling->count);
    handling->handle_us = handling->encode_us = 0;
    size_t done = handle_events(handling, events);
    extract_events(handling, done);
    struct compiler_figures figures = compiler_measure(instance);
    printf("%.3f %.3f %.3f %d %zu\n", handling->handle_us / (double)done,
           handling->encode_us / (double)done, handling->extract_us / (double)done, figures.traces,
           figures.code_bytes / 1024);
    if (!compiler_aborts_print(instance, err)) {
        return false;
    }
    return handling->rejected == 0 ||
           err_set(err, ERR_INPUT, "%zu events were rejected", handling->rejected);
}

/* ---- start and end ------------------------------------------------------------------------- */

static void free_messages(struct handling *handling) {
    for (size_t i = 0; i < handling->count; i++) {
        free(handling->messages[i].owner);
    }
    free(handling->messages);
}

static bool run(const struct config *config, const char *path, size_t events, struct err *err) {
    struct script_generation *generation = script_generation_load(config, 1, err);
    if (!generation) {
        return false;
    }
    struct handling handling = {0};
    bool ok = dry_run_open(&handling.dry_run, generation, NULL, NULL, err) &&
              read_file(&handling, path, err);
    if (ok) {
        dry_run_clear(&handling.dry_run); /* it knows the partitions now */
        ok = measure(&handling, events, err);
    }
    dry_run_close(&handling.dry_run);
    free_messages(&handling);
    script_generation_unref(generation);
    return ok;
}

int main(int argc, char **argv) {
    struct err err = {0};
    long events = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    if (events <= 0) {
        fputs("usage: handling CONFIG RECORDS EVENTS\n", stderr);
        return 2;
    }
    struct config *config = config_load(argv[1], &err);
    bool ok = config != NULL;
    if (ok) {
        log_configure(LOG_ERROR, true);
        ok = run(config, argv[2], (size_t)events, &err);
        config_unref(config);
    }
    if (!ok) {
        fprintf(stderr, "handling: %s\n", err.text);
    }
    return ok ? 0 : 1;
}
