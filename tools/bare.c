/* bare: writes the rows of a file of events at the highest rate of Postgres, without Kafka, scripts
 * and offsets: the upper limit for ingestion in tools/bench.
 *
 *     bare CONFIG RECORDS CONNECTIONS BATCH DATABASE_URL
 *
 * RECORDS is a file of records, one a line (host/author/record.h). First, not timed, the pipeline
 * handles and merges them BATCH by BATCH and encodes each batch's upserts, which all stay in
 * memory: some 500 bytes an event. Then each connection, on a thread of its own, sends its batches,
 * a transaction each, one after the other. So the tables, columns, indexes and versions of rows are
 * those that the program writes. Records of one key have one connection, as those of a partition.
 * Prints the seconds, and the microseconds of its own CPU for each event. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "author/record.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "bindings/pg.h"
#include "lib/own_cpu.h"
#include "pipeline/dry_run.h"
#include "view/view_sql.h"

#define TIMEOUT_MS 60000
#define CONNECTIONS_MOST 64

struct upsert {
    char *sql;
    struct pg_params *params;
    bool ends_batch;
};

struct job {
    struct dry_run dry_run; /* until all is encoded */
    struct upsert *upserts;
    size_t count;
    size_t capacity;
    const char *url;
    bool ok;
};

struct bare {
    struct job jobs[CONNECTIONS_MOST];
    size_t connections;
    size_t batch; /* events */
    size_t events;
};

/* ---- from records to upserts ---------------------------------------------------------------- */

static struct upsert *add_upsert(struct job *job) {
    if (job->count == job->capacity) {
        job->capacity = job->capacity ? job->capacity * 2 : 256;
        job->upserts = xrealloc(job->upserts, job->capacity * sizeof *job->upserts);
    }
    struct upsert *upsert = &job->upserts[job->count++];
    *upsert = (struct upsert){.params = pg_params_create()};
    return upsert;
}

static void encode_table(struct job *job, const struct view_table *table,
                         struct merge_row *const *rows, size_t count) {
    struct upsert *upsert = add_upsert(job);
    struct buffer sql = {0};
    uint32_t groups = view_sql_groups(table, rows, count);
    view_sql_upsert(table, groups, &sql);
    view_sql_params(table, groups, rows, count, upsert->params);
    upsert->sql = sql.data;
}

/* Handles what was taken, and keeps the upserts of its rows. */
static bool encode_batch(struct job *job, struct err *err) {
    struct batch *batch = &job->dry_run.batch;
    batch_handle(&job->dry_run.pipeline, batch, INT64_MAX);
    if (batch->handled < batch->count || batch->rejected > 0) {
        return err_set(err, ERR_INPUT, "of a batch of %zu events %zu were rejected", batch->count,
                       batch->rejected);
    }
    const struct view *view = script_generation_view(batch->generation);
    size_t first = job->count;
    for (size_t t = 0; t < view->table_count; t++) {
        size_t count;
        struct merge_row *const *rows = merge_rows(batch->merge, t, &count);
        if (count > 0) {
            encode_table(job, &view->tables[t], rows, count);
        }
    }
    if (job->count > first) {
        job->upserts[job->count - 1].ends_batch = true;
    }
    dry_run_clear(&job->dry_run);
    return true;
}

/* The line belongs to the batch then. */
static bool take_line(struct bare *bare, char *line, struct err *err) {
    struct record record;
    if (!record_read(line, &record) || !record.topic) {
        free(line);
        return err_set(err, ERR_INPUT, "line %zu is no record", bare->events + 1);
    }
    struct job *job = &bare->jobs[hash64(record.key) % bare->connections];
    size_t partition = pipeline_partition(&job->dry_run.pipeline, record.topic, 0);
    if (partition >= job->dry_run.batch.advance_count) {
        free(line);
        return err_set(err, ERR_INPUT, "line %zu: no handler reads its topic", bare->events + 1);
    }
    struct log_record message = {.partition = partition, .payload = record.payload, .owner = line};
    batch_take(&job->dry_run.pipeline, &job->dry_run.batch, &message);
    bare->events++;
    bool full = job->dry_run.batch.count >= bare->batch ||
                batch_full(&job->dry_run.pipeline, &job->dry_run.batch);
    return !full || encode_batch(job, err);
}

static bool encode_file(struct bare *bare, const char *path, struct err *err) {
    FILE *file = fopen(path, "r");
    if (!file) {
        return err_set(err, ERR_INPUT, "cannot open %s", path);
    }
    bool ok = true;
    char *line = NULL;
    size_t capacity = 0;
    while (ok && getline(&line, &capacity, file) > 0) {
        ok = take_line(bare, line, err);
        line = NULL;
        capacity = 0;
    }
    free(line);
    fclose(file);
    for (size_t i = 0; ok && i < bare->connections; i++) {
        ok = encode_batch(&bare->jobs[i], err);
    }
    return ok && (bare->events > 0 || err_set(err, ERR_INPUT, "%s is empty", path));
}

/* With a partition for each topic, which the batch has room for once it is cleared. */
static bool open_job(struct job *job, struct script_generation *generation, struct err *err) {
    size_t count;
    const struct script_handler *handlers = script_generation_handlers(generation, &count);
    bool ok = dry_run_open(&job->dry_run, generation, NULL, free, err);
    for (size_t i = 0; ok && i < count; i++) {
        for (size_t t = 0; t < handlers[i].topic_count; t++) {
            pipeline_partition(&job->dry_run.pipeline, handlers[i].topics[t], 0);
        }
    }
    if (ok) {
        dry_run_clear(&job->dry_run);
    }
    return ok;
}

static bool encode(struct bare *bare, const struct config *config, const char *path,
                   struct err *err) {
    struct script_generation *generation = script_generation_load(config, 1, err);
    if (!generation) {
        return false;
    }
    size_t opened = 0;
    bool ok = true;
    while (ok && opened < bare->connections) {
        ok = open_job(&bare->jobs[opened++], generation, err);
    }
    ok = ok && encode_file(bare, path, err);
    for (size_t i = 0; i < opened; i++) {
        dry_run_close(&bare->jobs[i].dry_run);
    }
    script_generation_unref(generation);
    return ok;
}

/* ---- to Postgres ---------------------------------------------------------------------------- */

static bool send_upserts(const struct job *job, struct pg *pg, struct err *err) {
    bool ok = true;
    for (size_t i = 0; ok && i < job->count; i++) {
        const struct upsert *upsert = &job->upserts[i];
        ok = pg_send(pg, "upsert", upsert->sql, upsert->params, false, err) &&
             (!upsert->ends_batch || pg_finish(pg, TIMEOUT_MS, NULL, NULL, err));
    }
    return ok;
}

static void *run_job(void *context) {
    struct job *job = context;
    struct pg_options options = {.url = job->url,
                                 .application_name = "bare",
                                 .connect_timeout_ms = 5000,
                                 .statement_timeout_ms = TIMEOUT_MS};
    struct err err = {0};
    struct pg *pg = pg_create(&options);
    job->ok = pg_connect(pg, &err) && send_upserts(job, pg, &err);
    if (!job->ok) {
        fprintf(stderr, "bare: %s\n", err.text);
    }
    pg_destroy(pg);
    return NULL;
}

static bool run_jobs(struct bare *bare) {
    pthread_t threads[CONNECTIONS_MOST];
    size_t started = 0;
    bool ok = true;
    while (started < bare->connections &&
           pthread_create(&threads[started], NULL, run_job, &bare->jobs[started]) == 0) {
        started++;
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        ok = ok && bare->jobs[i].ok;
    }
    return ok && started == bare->connections;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static bool read_count(const char *text, size_t most, size_t *count) {
    char *end;
    errno = 0;
    *count = strtoul(text, &end, 10);
    return errno == 0 && *end == '\0' && *count > 0 && *count <= most;
}

static void free_jobs(struct bare *bare) {
    for (size_t i = 0; i < bare->connections; i++) {
        for (size_t u = 0; u < bare->jobs[i].count; u++) {
            free(bare->jobs[i].upserts[u].sql);
            pg_params_destroy(bare->jobs[i].upserts[u].params);
        }
        free(bare->jobs[i].upserts);
    }
}

static bool run(struct bare *bare, const struct config *config, char **argv) {
    struct err err = {0};
    if (!encode(bare, config, argv[2], &err)) {
        fprintf(stderr, "bare: %s\n", err.text);
        return false;
    }
    for (size_t i = 0; i < bare->connections; i++) {
        bare->jobs[i].url = argv[5];
    }
    int64_t started_us = clock_monotonic_us();
    double cpu_us = own_cpu_us();
    bool ok = run_jobs(bare);
    printf("%.3f s, %.2f us of CPU a row\n", (double)(clock_monotonic_us() - started_us) / 1e6,
           (own_cpu_us() - cpu_us) / (double)bare->events);
    return ok;
}

int main(int argc, char **argv) {
    struct bare bare = {0};
    struct err err = {0};
    if (argc != 6 || !read_count(argv[3], CONNECTIONS_MOST, &bare.connections) ||
        !read_count(argv[4], 1000000, &bare.batch)) {
        fputs("usage: bare CONFIG RECORDS CONNECTIONS BATCH DATABASE_URL\n", stderr);
        return 2;
    }
    struct config *config = config_load(argv[1], &err);
    if (!config) {
        fprintf(stderr, "bare: %s\n", err.text);
        return 1;
    }
    log_configure(LOG_ERROR, true);
    bool ok = run(&bare, config, argv);
    free_jobs(&bare);
    config_unref(config);
    return ok ? 0 : 1;
}
