/* bare: writes the rows of spell checks at the highest rate of Postgres, without Kafka, scripts and
 * offsets: the upper limit for ingestion in tools/bench.
 *
 *     bare unnest|copy ROWS CONNECTIONS BATCH [--again] DATABASE_URL
 *
 * Writes ROWS new rows of essay_results in transactions of BATCH rows; each connection has a
 * thread. unnest: one prepared upsert over binary arrays, which are built during the previous one.
 * copy: COPY into a temporary table, and one upsert from it. --again: updates existing rows. Prints
 * the seconds, and the microseconds of its own CPU for each row. */
#include <libpq-fe.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "bindings/pg.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "lib/own_cpu.h"
#include "lib/spellcheck_upsert.h"

#define TIMEOUT_MS 60000
#define FIRST_AT_US 1750000000000000LL /* of the first row; of --again a day later */
#define DAY_US 86400000000LL
#define CORRECTED_ID "corrected-0f7a3c52-8a5e-4a39-9d3c-6a5f2f4f1a11"
#define METRICS                                                                                    \
    "{\"total_corrections\": 7, \"l2_dictionary_corrections\": 3, \"spellchecker_corrections\": "  \
    "4, \"word_count\": 412, \"correction_density\": 1.699}"

static const char unnest_sql[] = SPELLCHECK_INSERT
    "SELECT essay_id, at, event_id, "
    "'COMPLETED'::text::essay_phase_status, corrections, corrected_id, metrics::json, "
    "at, event_id, batch_id, at FROM unnest($1::text[], $2::timestamptz[], $3::uuid[], $4::int4[], "
    "$5::text[], $6::text[], $7::text[]) AS row (essay_id, at, event_id, corrections, "
    "corrected_id, "
    "metrics, batch_id)" SPELLCHECK_UPDATE;

static const char stage_sql[] =
    "CREATE TEMP TABLE stage (essay_id text, at timestamptz, event_id uuid, corrections integer, "
    "corrected_id text, metrics json, batch_id text) ON COMMIT DELETE ROWS";
static const char from_stage_sql[] =
    SPELLCHECK_INSERT "SELECT essay_id, at, event_id, "
                      "'COMPLETED', corrections, corrected_id, metrics, at, event_id, batch_id, at "
                      "FROM stage" SPELLCHECK_UPDATE;

struct job {
    bool copy, again;
    const char *url;
    uint64_t first, last; /* rows [first, last) */
    uint64_t batch;
    bool ok;
};

/* ---- rows ---------------------------------------------------------------------------------- */

/* A row's random-looking numbers, always the same: splitmix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t mix(uint64_t value) {
    value += 0x9e3779b97f4a7c15ULL;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

struct row {
    char essay_id[40];
    char batch_id[40];
    uint64_t event_id[2];
    int64_t at_us;
};

static void make_row(const struct job *job, uint64_t number, struct row *row) {
    uint64_t high = mix(number), low = mix(~number), batch = mix(number / 30);
    snprintf(row->essay_id, sizeof row->essay_id, "%016" PRIx64 "-%016" PRIx64, high, low);
    snprintf(row->batch_id, sizeof row->batch_id, "%016" PRIx64 "-%016" PRIx64, batch, batch);
    row->event_id[0] = mix(high + job->again);
    row->event_id[1] = mix(low + job->again);
    row->at_us = FIRST_AT_US + (int64_t)number + (job->again ? DAY_US : 0);
}

/* ---- unnest -------------------------------------------------------------------------------- */

enum column { ESSAY, AT, EVENT, CORRECTIONS, CORRECTED, JSON, BATCH, COLUMN_COUNT };
static const enum pg_array types[] = {PG_ARRAY_TEXT, PG_ARRAY_TIMESTAMPTZ, PG_ARRAY_UUID,
                                      PG_ARRAY_INT4, PG_ARRAY_TEXT,        PG_ARRAY_TEXT,
                                      PG_ARRAY_TEXT};

static void add_cell(struct pg_params *params, enum column column, const struct row *row) {
    switch (column) {
    case ESSAY:
        pg_array_bytes(params, slice_of(row->essay_id));
        break;
    case AT:
        pg_array_timestamp(params, row->at_us);
        break;
    case EVENT:
        pg_array_bytes(params, (struct slice){(const char *)row->event_id, sizeof row->event_id});
        break;
    case CORRECTIONS:
        pg_array_int(params, 7);
        break;
    case CORRECTED:
        pg_array_bytes(params, slice_of(CORRECTED_ID));
        break;
    case JSON:
        pg_array_bytes(params, slice_of(METRICS));
        break;
    default:
        pg_array_bytes(params, slice_of(row->batch_id));
        break;
    }
}

static void fill(const struct job *job, uint64_t from, uint64_t to, struct row *rows,
                 struct pg_params *params) {
    for (uint64_t number = from; number < to; number++) {
        make_row(job, number, &rows[number - from]);
    }
    pg_params_reset(params);
    for (enum column column = 0; column < COLUMN_COUNT; column++) {
        pg_array_begin(params, types[column]);
        for (uint64_t i = 0; i < to - from; i++) {
            add_cell(params, column, &rows[i]);
        }
        pg_array_end(params);
    }
}

static bool write_unnested(const struct job *job, struct pg *pg, struct row *rows,
                           struct pg_params *params, struct err *err) {
    bool ok = true, inflight = false;
    for (uint64_t from = job->first; ok && from < job->last; from += job->batch) {
        uint64_t to = from + job->batch < job->last ? from + job->batch : job->last;
        fill(job, from, to, rows, params); /* while the server works */
        ok = (!inflight || pg_finish(pg, TIMEOUT_MS, NULL, NULL, err)) &&
             pg_send(pg, "upsert", unnest_sql, params, false, err);
        inflight = ok;
    }
    return ok && (!inflight || pg_finish(pg, TIMEOUT_MS, NULL, NULL, err));
}

static void run_unnest(struct job *job) {
    struct pg_options options = {.url = job->url,
                                 .application_name = "bare",
                                 .connect_timeout_ms = 5000,
                                 .statement_timeout_ms = TIMEOUT_MS};
    struct err err = {0};
    struct pg *pg = pg_create(&options);
    struct pg_params *params = pg_params_create();
    struct row *rows = calloc(job->batch, sizeof *rows);
    job->ok = rows && pg_connect(pg, &err) && write_unnested(job, pg, rows, params, &err);
    if (!job->ok) {
        fprintf(stderr, "bare: %s\n", err.text);
    }
    free(rows);
    pg_params_destroy(params);
    pg_destroy(pg);
}

/* ---- copy ---------------------------------------------------------------------------------- */

static bool run_sql(PGconn *connection, const char *sql, ExecStatusType wanted) {
    PGresult *result = PQexec(connection, sql);
    bool ok = PQresultStatus(result) == wanted;
    PQclear(result);
    return ok;
}

/* COPY's text form. */
static void append_line(const struct row *row, struct buffer *text) {
    time_t seconds = (time_t)(row->at_us / 1000000);
    struct tm utc;
    char at[32];
    gmtime_r(&seconds, &utc);
    strftime(at, sizeof at, "%Y-%m-%d %H:%M:%S", &utc);
    buffer_append_format(
        text, "%s\t%s.%06dZ\t%016" PRIx64 "%016" PRIx64 "\t7\t" CORRECTED_ID "\t" METRICS "\t%s\n",
        row->essay_id, at, (int)(row->at_us % 1000000), row->event_id[0], row->event_id[1],
        row->batch_id);
}

static bool copy_batch(const struct job *job, PGconn *connection, uint64_t from,
                       struct buffer *text) {
    struct row row;
    text->len = 0;
    for (uint64_t number = from; number < from + job->batch && number < job->last; number++) {
        make_row(job, number, &row);
        append_line(&row, text);
    }
    if (!run_sql(connection, "BEGIN", PGRES_COMMAND_OK) ||
        !run_sql(connection, "COPY stage FROM STDIN", PGRES_COPY_IN) ||
        PQputCopyData(connection, text->data, (int)text->len) != 1 ||
        PQputCopyEnd(connection, NULL) != 1) {
        return false;
    }
    for (PGresult *result; (result = PQgetResult(connection)); PQclear(result)) {
    } /* an error fails what follows */
    return run_sql(connection, from_stage_sql, PGRES_COMMAND_OK) &&
           run_sql(connection, "COMMIT", PGRES_COMMAND_OK);
}

static void run_copy(struct job *job) {
    PGconn *connection = PQconnectdb(job->url);
    struct buffer text = {0};
    job->ok =
        PQstatus(connection) == CONNECTION_OK && run_sql(connection, stage_sql, PGRES_COMMAND_OK);
    for (uint64_t from = job->first; job->ok && from < job->last; from += job->batch) {
        job->ok = copy_batch(job, connection, from, &text);
    }
    if (!job->ok) {
        fprintf(stderr, "bare: %s\n", PQerrorMessage(connection));
    }
    buffer_free(&text);
    PQfinish(connection);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void *run_job(void *context) {
    struct job *job = context;
    if (job->copy) {
        run_copy(job);
    } else {
        run_unnest(job);
    }
    return NULL;
}

static bool run_jobs(struct job *jobs, size_t count) {
    pthread_t threads[64];
    size_t started = 0;
    bool ok = true;
    while (started < count &&
           pthread_create(&threads[started], NULL, run_job, &jobs[started]) == 0) {
        started++;
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        ok = ok && jobs[i].ok;
    }
    return ok && started == count;
}

static bool read_count(const char *text, uint64_t most, uint64_t *count) {
    char *end;
    errno = 0;
    *count = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *count > 0 && *count <= most;
}

int main(int argc, char **argv) {
    uint64_t rows, connections, batch;
    struct job jobs[64] = {0};
    if (argc < 6 || (strcmp(argv[1], "unnest") != 0 && strcmp(argv[1], "copy") != 0) ||
        !read_count(argv[2], 1000000000, &rows) || !read_count(argv[3], 64, &connections) ||
        !read_count(argv[4], 1000000, &batch)) {
        fputs("usage: bare unnest|copy ROWS CONNECTIONS BATCH [--again] DATABASE_URL\n", stderr);
        return 2;
    }
    for (uint64_t i = 0; i < connections; i++) {
        jobs[i] = (struct job){
            .copy = strcmp(argv[1], "copy") == 0,
            .again = strcmp(argv[5], "--again") == 0,
            .url = argv[argc - 1],
            .first = rows * i / connections,
            .last = rows * (i + 1) / connections,
            .batch = batch,
        };
    }
    int64_t started_us = clock_monotonic_us();
    if (!run_jobs(jobs, (size_t)connections)) {
        return 1;
    }
    printf("%.3f s, %.2f us of CPU a row\n", (double)(clock_monotonic_us() - started_us) / 1e6,
           own_cpu_us() / (double)rows);
    return 0;
}
