/* pg: one libpq connection, always non-blocking under the hood, every wait with a deadline. One
 * thread at a time. Statements are named, prepared once per connection at first use, and run in
 * pipeline mode. Knows libpq and nothing of Kafka, Lua or the service. */
#ifndef AGG_BINDINGS_PG_H
#define AGG_BINDINGS_PG_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "pg_rows.h"

struct pg;
struct pg_params;

struct pg_options {
    const char
        *url; /* libpq URI or key=value; also postgresql+asyncpg:// (the driver is cut off) */
    const char *application_name;
    int connect_timeout_ms; /* of each server of the URL, unless that has a connect_timeout */
    int statement_timeout_ms;
    const char *search_path; /* NULL: as the server has it */
    /* Each statement has the second text wherever it says the first: tables of one schema stand in
     * for those of another. NULL: it is sent as it is. */
    const char *replaced, *replacement;
    bool read_only; /* transactions begin so unless they say otherwise */
    bool writes;    /* a server that only reads, such as a standby, is refused */
    bool uncounted; /* its statements do not show in the metrics */
};

/* No network yet. Copies the options. */
struct pg *pg_create(const struct pg_options *options);
/* With the options of another. */
struct pg *pg_create_like(const struct pg *other);
void pg_destroy(struct pg *pg);

/* Connects unless connected. The servers of the URL are tried one by one, each for
 * connect_timeout_ms, the last good one first. A pooler in between is found out: then every
 * transaction brings its settings along, and no statement is kept prepared. */
bool pg_connect(struct pg *pg, struct err *err);
/* For a connection that lay idle outside a transaction: notices that the server has closed it, and
 * connects if need be, within timeout_ms for all servers. Nothing was sent, so a statement may
 * follow safely. Where a pg_query took long, every statement is parsed and planned anew: after a
 * second at first, then ever more rarely, at last once a minute. */
bool pg_wake(struct pg *pg, int timeout_ms, struct err *err);
bool pg_connected(const struct pg *pg);
void pg_disconnect(struct pg *pg);
int pg_socket(const struct pg *pg); /* -1 when not connected */

/* Queues one statement: it is parsed at its first use on this connection. `name` is for errors and
 * metrics, and tells statements of one text apart. params may be NULL and are free again after the
 * call. Results come back in binary if binary_result. */
bool pg_send(struct pg *pg, const char *name, const char *sql, const struct pg_params *params,
             bool binary_result, struct err *err);
/* From now on statements have this comment behind them, and none is kept prepared: a prepared one
 * is known by its text, and the comment is another each time. NULL ends that. Borrowed until then.
 */
void pg_set_comment(struct pg *pg, const char *comment);
/* Ends the group of queued statements: they fail or succeed up to here. */
bool pg_sync(struct pg *pg, struct err *err);

enum pg_progress { PG_PENDING, PG_DONE, PG_FAILED };
/* Called once per statement in order of pg_send. Owns nothing; `result` is cleared afterwards. */
typedef bool (*pg_on_result)(void *context, size_t index, struct pg_result *result,
                             struct err *err);
/* Moves bytes without blocking; PG_DONE when every statement up to the sync has answered. On
 * PG_FAILED the first error is in err (with sqlstate; kind from pg_error_kind); the connection is
 * either usable again (statement error) or disconnected (pg_connected tells). */
enum pg_progress pg_progress(struct pg *pg, pg_on_result on_result, void *context, struct err *err);
/* What poll(2) should wait for: POLLIN, and POLLOUT while output is buffered. */
short pg_poll_events(const struct pg *pg);
/* Sync + progress until done or the deadline; on ERR_TIMEOUT the connection is dropped. */
bool pg_finish(struct pg *pg, int timeout_ms, pg_on_result on_result, void *context,
               struct err *err);
/* pg_send + pg_finish of one statement; *result (may be NULL) is the caller's to PQclear. */
bool pg_query(struct pg *pg, const char *name, const char *sql, const struct pg_params *params,
              int timeout_ms, struct pg_result **result, struct err *err);
/* Several statements in one string, no parameters (migrations). */
bool pg_script(struct pg *pg, const char *sql, int timeout_ms, struct err *err);

/* One table (pg_error.c) of what to do: ERR_INPUT = Postgres refuses a value; ERR_UNAVAILABLE =
 * wait, an outage or something an operator mends; ERR_CONFLICT = the offset fence; ERR_INTERNAL =
 * anything else. NULL or "" = connection lost. */
enum err_kind pg_error_kind(const char *sqlstate);

/* What is wrong, in words without host, port, role or a text of the server: for whoever asks
 * without a key. */
const char *pg_plain_reason(const struct err *err);
/* Whether the server or a pooler has refused a connection lately, to anybody in this process,
 * because it allows no more. */
bool pg_short_of_connections(void);

/* Parameters in binary. Reused: reset, then add in order. */
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
    PG_ARRAY_UUID,
    PG_ARRAY_BYTEA
};
void pg_array_begin(struct pg_params *params, enum pg_array type);
void pg_array_null(struct pg_params *params);
/* TEXT, BYTEA, UUID (16); data NULL: NULL. */
void pg_array_bytes(struct pg_params *params, struct slice bytes);
void pg_array_int(struct pg_params *params, int64_t value); /* INT4, INT8, BOOL */
void pg_array_timestamp(struct pg_params *params, int64_t unix_us);
void pg_array_float8(struct pg_params *params, double value);
void pg_array_end(struct pg_params *params);

#endif
