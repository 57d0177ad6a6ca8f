/* The bindings with unavailable, slow and restarted servers, and their output. Needs PG_TEST_URL
 * and REDIS_TEST_URL. */
#include <libpq-fe.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "proxy.h"
#include "sandbox.h"

static bool begins(const char *text, const char *with) {
    bool same = strncmp(text, with, strlen(with)) == 0;
    if (!same) {
        printf("    \"%s\" does not begin with \"%s\"\n", text, with);
    }
    return same;
}

/* The limits that a case is not about are a minute: half of that tells them from the one it is
 * about, on any machine. */
#define MINUTE_MS 60000

static void check_not_ended_by_a_minute(int64_t started_us) {
    CHECK(clock_monotonic_us() - started_us < MINUTE_MS * 1000LL / 2);
}

/* The call's time ended it: in a wait, before the next one, or between two of them. */
static void check_ended_by_time(const char *said) {
    if (strncmp(said, "timeout: ", 9) != 0 && !strstr(said, "the script took too long") &&
        strcmp(said, "unavailable: the connect to Postgres timed out") != 0) {
        TEST_FAIL("the call's time did not end it: %s", said);
    }
}

/* A further connection to Postgres, whose one answer is returned as a number. */
static long ask_postgres(const char *sql) {
    PGconn *connection = PQconnectdb(getenv("PG_TEST_URL"));
    PGresult *result = PQexec(connection, sql);
    CHECK(PQresultStatus(result) == PGRES_TUPLES_OK);
    long answer = PQntuples(result) ? atol(PQgetvalue(result, 0, 0)) : 0;
    PQclear(result);
    PQfinish(connection);
    return answer;
}

/* The server notices a closed connection a moment later. */
static void wait_for_none(const char *sql) {
    WAIT_UNTIL(ask_postgres(sql) == 0);
}

static void end_session(const char *pid) {
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%.16s, 5000)::int", pid);
    CHECK_INT(ask_postgres(sql), 1);
}

#define IDLE_IN_TRANSACTION                                                                        \
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'aggregator scripts' AND "     \
    "state LIKE 'idle in transaction%'"

/* ---- loading ------------------------------------------------------------------------------ */

static void loading(void) {
    struct sandbox sandbox;
    struct err err = {0};
    sandbox_init(&sandbox);
    char *scripts = strstr(sandbox.root, "scripts");
    memcpy(scripts, "loading", sizeof "loading");
    CHECK(script_generation_load(&sandbox.config, 1, &err) == NULL);
    static const char *const calls[] = {"pg.query",       "pg.transaction", "redis.call",
                                        "redis.pipeline", "kafka.produce",  "kafka.produce_all",
                                        "http.request"};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char want[64];
        snprintf(want, sizeof want, "%s: scripts are loading", calls[i]);
        CHECK(strstr(err.text, want) != NULL);
    }
}

/* ---- Postgres ----------------------------------------------------------------------------- */

static void postgres_away(void) {
    struct sandbox sandbox;
    sandbox_init(&sandbox);
    sandbox.config.postgres.url = "postgresql://ras@127.0.0.1:1/x";
    if (sandbox_open(&sandbox)) {
        const char *said = sandbox_call(&sandbox, "routes/pg", "query", NULL);
        CHECK(begins(said, "unavailable: cannot connect to Postgres"));
        CHECK(!strchr(said, '\t')); /* libpq begins the second line of its text with one */
        CHECK(begins(sandbox_call(&sandbox, "routes/pg", "transaction_of_many", NULL),
                     "unavailable: cannot connect to Postgres"));
    }
    sandbox_close(&sandbox);
}

static void postgres_mute(void) {
    struct sandbox sandbox;
    struct proxy silent;
    char url[64];
    proxy_start(&silent, 0);
    snprintf(url, sizeof url, "postgresql://ras@127.0.0.1:%d/x", silent.port);
    sandbox_init(&sandbox);
    sandbox.config.postgres.url = url;
    sandbox.config.postgres.connect_timeout_ms = MINUTE_MS;
    sandbox.config.scripts.route_timeout_ms = 300;
    if (sandbox_open(&sandbox)) {
        int64_t started_us = clock_monotonic_us();
        check_ended_by_time(sandbox_call(&sandbox, "routes/pg", "query", NULL));
        check_not_ended_by_a_minute(started_us);
    }
    sandbox_close(&sandbox);
    proxy_stop(&silent);
}

static void postgres_restarted(void) {
    struct sandbox sandbox;
    sandbox_init(&sandbox);
    if (sandbox_open(&sandbox)) {
        end_session(sandbox_call(&sandbox, "routes/pg", "pid", NULL));
        CHECK_TEXT(sandbox_call(&sandbox, "routes/pg", "query", NULL), "rows");
    }
    sandbox_close(&sandbox);
}

static void session_lost_in_transaction(void) {
    struct sandbox sandbox;
    sandbox_init(&sandbox);
    if (sandbox_open(&sandbox)) {
        CHECK(begins(sandbox_call(&sandbox, "routes/pg", "killed_in_transaction", NULL),
                     "unavailable: "));
        CHECK_TEXT(sandbox_call(&sandbox, "routes/pg", "query", NULL), "rows");
    }
    sandbox_close(&sandbox);
}

static void slow_query(void) {
    struct sandbox sandbox;
    sandbox_init(&sandbox);
    sandbox.config.scripts.route_timeout_ms = 300;
    sandbox.config.scripts.handler_timeout_ms = 300;
    sandbox.config.postgres.statement_timeout_ms = MINUTE_MS;
    if (sandbox_open(&sandbox)) {
        int64_t started_us = clock_monotonic_us();
        check_ended_by_time(sandbox_call(&sandbox, "routes/pg", "sleep", "60"));
        check_not_ended_by_a_minute(started_us);
        CHECK_TEXT(sandbox_call(&sandbox, "routes/pg", "query", NULL), "rows");
        wait_for_none("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE "
                      "'SELECT pg_sleep($1%'");
    }
    sandbox_close(&sandbox);
}

/* If both ended together, one cause would have two errors. */
static void server_grace(void) {
    struct sandbox sandbox;
    sandbox_init(&sandbox);
    if (sandbox_open(&sandbox)) {
        int limit_ms = atoi(sandbox_call(&sandbox, "routes/pg", "statement_ms", NULL));
        CHECK(limit_ms > sandbox.config.scripts.route_timeout_ms);
        CHECK(limit_ms < 2 * sandbox.config.scripts.route_timeout_ms);
    }
    sandbox_close(&sandbox);
}

static void no_escape(void) {
    struct sandbox sandbox;
    sandbox_init(&sandbox);
    sandbox.config.scripts.route_timeout_ms = 300;
    static const char *const loops[] = {"query_for_ever", "transaction_of_many",
                                        "loop_in_transaction"};
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        if (sandbox_open(&sandbox)) {
            check_ended_by_time(sandbox_call(&sandbox, "routes/pg", loops[i], NULL));
            wait_for_none(IDLE_IN_TRANSACTION);
        }
        sandbox_close(&sandbox);
    }
}

static void memory_in_transaction(void) {
    struct sandbox sandbox;
    sandbox_init(&sandbox);
    sandbox.config.scripts.memory_limit_mb = 16;
    if (sandbox_open(&sandbox)) {
        CHECK_HAS(sandbox_call(&sandbox, "routes/pg", "fill_memory_in_transaction", NULL),
                  "routes/pg.lua: not enough memory");
        CHECK(!script_instance_healthy(sandbox.instance));
        wait_for_none(IDLE_IN_TRANSACTION);
    }
    sandbox_close(&sandbox);
}

static void error_while_pushing(void) {
    struct sandbox sandbox;
    sandbox_init(&sandbox);
    if (sandbox_open(&sandbox)) {
        CHECK_TEXT(sandbox_call(&sandbox, "routes/pg", "error_in_rows", NULL),
                   "pg.query: \"twice\" returns two columns named \"a\", rowsfalse");
    }
    sandbox_close(&sandbox);
}

/* ---- Redis -------------------------------------------------------------------------------- */

static void redis_away(void) {
    struct sandbox sandbox;
    sandbox_init(&sandbox);
    sandbox.config.redis.url = "redis://127.0.0.1:1";
    if (sandbox_open(&sandbox)) {
        CHECK(begins(sandbox_call(&sandbox, "routes/redis", "ping", NULL),
                     "unavailable: cannot connect to Redis"));
        CHECK_TEXT(sandbox_call(&sandbox, "routes/redis", "pipeline", NULL), "unavailable");
    }
    sandbox_close(&sandbox);
    sandbox_init(&sandbox);
    sandbox.config.redis.url = "";
    if (sandbox_open(&sandbox)) {
        CHECK_TEXT(sandbox_call(&sandbox, "routes/redis", "ping", NULL),
                   "unavailable: no Redis is configured (redis.url)");
    }
    sandbox_close(&sandbox);
}

static void redis_mute(void) {
    struct sandbox sandbox;
    struct proxy silent;
    char url[64];
    proxy_start(&silent, 0);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", silent.port);
    sandbox_init(&sandbox);
    sandbox.config.redis.url = url;
    sandbox.config.redis.timeout_ms = 100;
    sandbox.config.scripts.route_timeout_ms = MINUTE_MS;
    if (sandbox_open(&sandbox)) {
        int64_t started_us = clock_monotonic_us();
        CHECK_TEXT(sandbox_call(&sandbox, "routes/redis", "ping", NULL),
                   "timeout: Redis did not answer in time");
        check_not_ended_by_a_minute(started_us);
    }
    sandbox_close(&sandbox);
    proxy_stop(&silent);
}

static void redis_restarted(void) {
    struct sandbox sandbox;
    struct proxy proxy;
    char through[64];
    sandbox_init(&sandbox);
    proxy_start(&proxy, proxy_url_port(test_url("REDIS_TEST_URL")));
    snprintf(through, sizeof through, "redis://127.0.0.1:%d", proxy.port);
    sandbox.config.redis.url = through;
    if (sandbox_open(&sandbox)) {
        CHECK_TEXT(sandbox_call(&sandbox, "routes/redis", "ping", NULL), "PONG");
        proxy_cut(&proxy);
        CHECK_TEXT(sandbox_call(&sandbox, "routes/redis", "ping", NULL), "PONG");
    }
    sandbox_close(&sandbox);
    proxy_stop(&proxy);
}

/* ---- log and metrics ---------------------------------------------------------------------- */

/* What the case writes to standard error. */
static char *lines_of(struct sandbox *sandbox, const char *name) {
    static char text[65536];
    int pipe_ends[2], before = dup(STDERR_FILENO);
    CHECK(pipe(pipe_ends) == 0 && before >= 0);
    dup2(pipe_ends[1], STDERR_FILENO);
    log_set_correlation_id(slice_of("spec-correlation"));
    sandbox_call(sandbox, "routes/log", name, NULL);
    log_set_correlation_id(slice_of(""));
    dup2(before, STDERR_FILENO);
    close(before);
    close(pipe_ends[1]);
    ssize_t len = read(pipe_ends[0], text, sizeof text - 1);
    close(pipe_ends[0]);
    text[len > 0 ? len : 0] = '\0';
    return text;
}

static void log_lines(void) {
    struct sandbox sandbox;
    sandbox_init(&sandbox);
    if (sandbox_open(&sandbox)) {
        char *line = lines_of(&sandbox, "fields");
        char *rest = strstr(line, "\"level\"");
        CHECK_TEXT(rest ? rest : line,
                   "\"level\":\"info\",\"message\":\"mess age  é\","
                   "\"correlation_id\":\"spec-correlation\",\"none\":\"NaN\",\"part\":0.5,"
                   "\"text\":\"a\\u0000\\\"b\",\"whole\":1764938400123456,\"yes\":true}\n");
    }
    sandbox_close(&sandbox);
}

static void log_bounds(void) {
    struct sandbox sandbox;
    sandbox_init(&sandbox);
    if (sandbox_open(&sandbox)) {
        size_t len = strlen(lines_of(&sandbox, "long"));
        CHECK(len > 4000 && len < 16000);
    }
    sandbox_close(&sandbox);
}

static void metrics_page(void) {
    struct sandbox sandbox;
    struct buffer page = {0};
    sandbox_init(&sandbox);
    if (sandbox_open(&sandbox)) {
        sandbox_call(&sandbox, "routes/metrics", "use", NULL);
        script_generation_show_metrics(sandbox.generation);
        metrics_render(&page);
        CHECK(strstr(page.data, "# HELP spec_events_total Events of the spec.\n"
                                "# TYPE spec_events_total counter\n"
                                "spec_events_total{kind=\"a\",good=\"true\"} 2.5\n"
                                "spec_events_total{kind=\"x??\\\"\\né"));
        CHECK(strstr(page.data, "é\",good=\"1\"} 1\n")); /* cut between characters */
        CHECK(strstr(page.data, "spec_level 3\n"));
        CHECK(strstr(page.data, "spec_seconds_bucket{step=\"one\",le=\"0.0025\"} 1\n"));
    }
    buffer_free(&page);
    sandbox_close(&sandbox);
}

static const struct test_case cases[] = {
    {"scripts that are being loaded touch no outside system", loading},
    {"pg: an unavailable server is a failure", postgres_away},
    {"pg: a server that accepts and is silent costs no more than the call's time", postgres_mute},
    {"pg: the first query after a restart of the server succeeds", postgres_restarted},
    {"pg: a session lost in a transaction is a failure, the next one works",
     session_lost_in_transaction},
    {"pg: a slow query ends with the call's time, in the server too", slow_query},
    {"pg: the server ends a query a moment after the call's time", server_grace},
    {"pg: no loop of queries or statements outlasts the call, nor stays in a transaction",
     no_escape},
    {"pg: a script that fills its memory in a transaction leaves none open", memory_in_transaction},
    {"pg: an error while rows are read leaves the connection usable", error_while_pushing},
    {"redis: an unavailable or missing server is a failure", redis_away},
    {"redis: a silent server costs redis.timeout_ms", redis_mute},
    {"redis: the first call after a restart of the server succeeds", redis_restarted},
    {"log: fields keep their types, and one line stays one line", log_lines},
    {"log: a line is bounded", log_bounds},
    {"metrics: the metrics of scripts are on the page in valid form", metrics_page},
};
TEST_MAIN(cases)
