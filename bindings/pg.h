/* pg: one non-blocking libpq connection in pipeline mode; every wait has a deadline. Statements are
 * prepared at their first use on a connection. One thread at a time. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "pg_rows.h"

struct pg;
struct pg_params;

struct pg_options {
    const char *url; /* libpq's URI or key=value; also postgresql+asyncpg:// */
    const char *application_name;
    int connect_timeout_ms; /* of each server; the URL's connect_timeout overrides it */
    int statement_timeout_ms;
    const char *search_path; /* NULL: the server's default */
    /* Each statement is sent with `replacement` for `replaced`: another schema. NULL: unchanged. */
    const char *replaced, *replacement;
    bool read_only; /* the default of transactions */
    bool writes;    /* refuses a read-only server, such as a standby */
    bool replica;   /* for reads: of several servers in the URL a standby will do */
    bool uncounted; /* its statements are not in the metrics */
};

/* Behind a pooler: which statements are prepared. Without one all are. */
enum pg_prepare {
    PG_PREPARE_AUTO,   /* if the pooler keeps them: each connection asks */
    PG_PREPARE_ALWAYS, /* the pooler pools by session; as AUTO once it has lost a statement */
    PG_PREPARE_NEVER
};
/* Of all later connections of the process. Any thread. */
void pg_set_prepare(enum pg_prepare prepare);

/* Does not connect. Copies the options. */
struct pg *pg_create(const struct pg_options *options);
struct pg *pg_create_like(const struct pg *other); /* with the same options */
void pg_destroy(struct pg *pg);

/* Connects unless connected. Tries the servers of the URL in turn, each for connect_timeout_ms, the
 * last good one first. Detects a pooler: then each transaction sends its settings, and statements
 * are prepared only where the pooler keeps them (pg_set_prepare). */
bool pg_connect(struct pg *pg, struct err *err);
/* For a connection that was idle outside a transaction: reconnects within timeout_ms (for all
 * servers) if the server has closed it. After a slow pg_query it drops all prepared statements
 * (behind a pooler the connection), so that they are planned again: after 1 s at first, at most
 * once a minute. */
bool pg_wake(struct pg *pg, int timeout_ms, struct err *err);
/* For a connection that pg_wake does not serve, between two transactions: drops all prepared
 * statements (behind a pooler the connection) if they are more than 256. */
bool pg_limit_statements(struct pg *pg, int timeout_ms, struct err *err);
bool pg_connected(const struct pg *pg);
void pg_disconnect(struct pg *pg);
int pg_socket(const struct pg *pg); /* -1 when not connected */

/* Queues one statement. `name` is for errors and metrics; the same SQL under another name is
 * another statement. params may be NULL; the caller may reuse them after the call. */
bool pg_send(struct pg *pg, const char *name, const char *sql, const struct pg_params *params,
             bool binary_result, struct err *err);
/* Appends this borrowed comment to each statement until NULL is set. Statements are then not
 * prepared, because the comment changes their text. */
void pg_set_comment(struct pg *pg, const char *comment);
/* Ends the group of queued statements: they fail or succeed up to here. */
bool pg_sync(struct pg *pg, struct err *err);

enum pg_progress { PG_PENDING, PG_DONE, PG_FAILED };
/* Called once per statement, in order of pg_send; `result` is freed afterwards. */
typedef bool (*pg_on_result)(void *context, size_t index, struct pg_result *result,
                             struct err *err);
/* Sends and receives without blocking. PG_DONE: each statement up to the sync has its reply.
 * PG_FAILED: err has the first error; the connection is usable (an error of a statement) or
 * disconnected: see pg_connected. */
enum pg_progress pg_progress(struct pg *pg, pg_on_result on_result, void *context, struct err *err);
/* The events for poll(2): POLLIN, and POLLOUT while output is buffered. */
short pg_poll_events(const struct pg *pg);
/* pg_sync, and pg_progress until the deadline; ERR_TIMEOUT drops the connection. */
bool pg_finish(struct pg *pg, int timeout_ms, pg_on_result on_result, void *context,
               struct err *err);
/* pg_send and pg_finish of one statement. The caller frees *result; `result` may be NULL. */
bool pg_query(struct pg *pg, const char *name, const char *sql, const struct pg_params *params,
              int timeout_ms, struct pg_result **result, struct err *err);
/* Several statements in one string, no parameters (migrations). */
bool pg_script(struct pg *pg, const char *sql, int timeout_ms, struct err *err);

/* What Postgres says about the last statement that it refused on this connection. */
struct pg_mistake {
    int line;       /* of the statement's text, from 1; 0: Postgres names no place in it */
    char hint[512]; /* how to repair it; "": none */
};
const struct pg_mistake *pg_last_mistake(const struct pg *pg);

/* ERR_INPUT: Postgres rejects a value. ERR_UNAVAILABLE: an outage, or something that an operator
 * repairs. ERR_CONFLICT: the offset fence. ERR_INTERNAL: anything else. NULL or "": connection
 * lost. See pg_error.c. */
enum err_kind pg_error_kind(const char *sqlstate);

/* The reason without host, port, role or server text: for clients without a key. */
const char *pg_plain_reason(const struct err *err);
/* True: in the last 30 s the server or a pooler had too few connections for this process. */
bool pg_short_of_connections(void);

/* Binary parameters. To reuse them: reset, then add in order. */
struct pg_params *pg_params_create(void);
void pg_params_destroy(struct pg_params *params);
void pg_params_reset(struct pg_params *params);
void pg_params_add_null(struct pg_params *params);
void pg_params_add_text(struct pg_params *params, struct slice text); /* any type, in text form */
void pg_params_add_int8(struct pg_params *params, int64_t value);
void pg_params_add_bool(struct pg_params *params, bool value);
void pg_params_add_bytea(struct pg_params *params, struct slice bytes);

/* One-dimensional arrays: begin, one call per element, end. Element calls match the type. */
enum pg_array {
    PG_ARRAY_TEXT,
    PG_ARRAY_INT4,
    PG_ARRAY_INT8,
    PG_ARRAY_FLOAT8,
    PG_ARRAY_BOOL,
    PG_ARRAY_TIMESTAMPTZ,
    PG_ARRAY_DATE,
    PG_ARRAY_UUID,
    PG_ARRAY_BYTEA
};
void pg_array_begin(struct pg_params *params, enum pg_array type);
void pg_array_null(struct pg_params *params);
/* TEXT, BYTEA, UUID (16); data NULL: NULL. */
void pg_array_bytes(struct pg_params *params, struct slice bytes);
void pg_array_int(struct pg_params *params, int64_t value); /* INT4, INT8, BOOL */
void pg_array_timestamp(struct pg_params *params, int64_t unix_us);
void pg_array_date(struct pg_params *params, int64_t unix_days);
void pg_array_float8(struct pg_params *params, double value);
void pg_array_end(struct pg_params *params);

/* A column of rows that are structs: at the offset is a struct slice for TEXT, BYTEA and UUID (16),
 * else an int64_t; in a TIMESTAMPTZ INT64_MIN is NULL. Not for FLOAT8 and DATE. */
struct pg_column {
    enum pg_array type;
    size_t offset;
};
/* Adds one array a column, for unnest(). */
void pg_params_add_rows(struct pg_params *params, const struct pg_column *columns,
                        size_t column_count, const void *rows, size_t row_count, size_t row_bytes);
