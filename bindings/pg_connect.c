/* pg_connect: making and losing the connection, and errors without secrets. Host names are looked
 * up by libpq, whose getaddrinfo is outside the deadline: resolv.conf bounds it. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "../host/base/buffer.h"
#include "../host/base/clock.h"
#include "../host/base/log.h"
#include "../host/base/xalloc.h"
#include "pg_connection.h"
#include "pg_params.h"

/* Longer than any pause between two statements of one transaction. A process that is frozen in one
 * holds its locks for so long: the next owner of its partitions waits for them. */
#define IDLE_IN_TRANSACTION_MS "10000"
/* How old plans must be to be made anew, at first and at most: the age doubles each time, as a
 * table that grows does, and queries that are slow by nature or under load do not pay again and
 * again. */
#define PLANS_YOUNG_US 1000000
#define PLANS_OLD_US 60000000

static char *cut_driver(const char *url) {
    /* SQLAlchemy's way of naming its driver, which libpq does not know. */
    static const char *const schemes[] = {"postgresql", "postgres"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i]);
        const char *rest = strstr(url, "://");
        if (rest && strncmp(url, schemes[i], len) == 0 && url[len] == '+') {
            struct buffer cut = {0};
            buffer_append_format(&cut, "%s%s", schemes[i], rest);
            return cut.data;
        }
    }
    return xstrdup(url);
}

struct pg *pg_create(const struct pg_options *options) {
    struct pg *pg = xcalloc(1, sizeof *pg);
    pg->url = cut_driver(options->url ? options->url : "");
    pg->application_name = xstrdup(options->application_name ? options->application_name : "");
    pg->search_path = options->search_path ? xstrdup(options->search_path) : NULL;
    pg->read_only = options->read_only;
    pg->uncounted = options->uncounted;
    pg->connect_timeout_ms = options->connect_timeout_ms;
    pg->statement_timeout_ms = options->statement_timeout_ms;
    return pg;
}

static bool is_same(const char *text, const char *other) {
    return strcmp(text ? text : "", other ? other : "") == 0;
}

bool pg_is_like(const struct pg *pg, const struct pg_options *options) {
    char *url = cut_driver(options->url ? options->url : "");
    bool like = is_same(pg->url, url) && is_same(pg->application_name, options->application_name) &&
                is_same(pg->search_path, options->search_path) &&
                pg->read_only == options->read_only && pg->uncounted == options->uncounted &&
                pg->connect_timeout_ms == options->connect_timeout_ms &&
                pg->statement_timeout_ms == options->statement_timeout_ms;
    free(url);
    return like;
}

void pg_destroy(struct pg *pg) {
    if (!pg) {
        return;
    }
    pg_disconnect(pg);
    free(pg->url);
    free(pg->password);
    free(pg->application_name);
    free(pg->search_path);
    free(pg->statements);
    free(pg->items);
    free(pg);
}

bool pg_connected(const struct pg *pg) {
    return pg->conn && PQstatus(pg->conn) == CONNECTION_OK;
}

int pg_socket(const struct pg *pg) {
    return pg->conn ? PQsocket(pg->conn) : -1;
}

static void free_statement(struct pg_statement *statement) {
    free(statement->name);
    free(statement->sql);
    free(statement->types);
    free(statement);
}

/* Statements that could not be parsed, or must be parsed anew, are forgotten here: no item of the
 * group points to them any more. */
void pg_clear_group(struct pg *pg) {
    size_t kept = 0;
    for (size_t i = 0; i < pg->statement_count; i++) {
        if (pg->statements[i]->state == PG_STATEMENT_FORGOTTEN) {
            free_statement(pg->statements[i]);
        } else {
            pg->statements[kept++] = pg->statements[i];
        }
    }
    pg->statement_count = kept;
    pg->item_count = pg->item_next = pg->group_size = 0;
    pg->synced = pg->flushing = false;
    err_clear(&pg->first);
}

static void forget_statements(struct pg *pg) {
    for (size_t i = 0; i < pg->statement_count; i++) {
        free_statement(pg->statements[i]);
    }
    pg->statement_count = 0;
}

void pg_disconnect(struct pg *pg) {
    if (pg->conn) {
        PQfinish(pg->conn);
    }
    pg->conn = NULL;
    forget_statements(pg);
    pg_clear_group(pg);
}

/* ---- errors ------------------------------------------------------------------------------- */

/* One line, with the password blotted out wherever it stands. */
static void clean(const struct pg *pg, const char *message, char *out, size_t cap) {
    size_t len = 0;
    size_t secret = pg->password ? strlen(pg->password) : 0;
    while (*message && len + 4 < cap) {
        if (secret > 0 && strncmp(message, pg->password, secret) == 0) {
            memcpy(out + len, "***", 3);
            len += 3;
            message += secret;
        } else {
            out[len++] = *message == '\n' ? ' ' : *message;
            message++;
        }
    }
    while (len > 0 && out[len - 1] == ' ') {
        len--;
    }
    out[len] = '\0';
}

void pg_note_result(const struct pg *pg, struct err *err, const PGresult *result) {
    char text[768];
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    clean(pg, primary ? primary : PQresultErrorMessage(result), text, sizeof text);
    err_set(err, pg_error_kind(sqlstate), "%s", text);
    snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate ? sqlstate : "");
}

bool pg_lose(struct pg *pg, struct err *err) {
    if (pg->first.kind != ERR_NONE) {
        *err = pg->first;
        if (err->kind == ERR_INTERNAL) {
            err->kind = ERR_UNAVAILABLE; /* the server ended the connection, for its own reason */
        }
    } else if (!pg->conn) {
        err_set(err, ERR_UNAVAILABLE, "not connected to Postgres");
    } else {
        char text[768];
        clean(pg, PQerrorMessage(pg->conn), text, sizeof text);
        err_set(err, ERR_UNAVAILABLE, "the connection to Postgres is lost: %s", text);
    }
    pg_disconnect(pg);
    return false;
}

/* ---- connecting --------------------------------------------------------------------------- */

/* libpq quotes parts of a broken URL in its messages, and they may be parts of a password that
 * holds an unescaped @ or /: such a URL is refused without its text. */
static bool check_url(struct pg *pg, struct err *err) {
    char *reason = NULL;
    PQconninfoOption *options = PQconninfoParse(pg->url, &reason);
    bool good = options != NULL;
    for (PQconninfoOption *option = options; option && option->keyword; option++) {
        if (!option->val) {
            continue;
        }
        if (strcmp(option->keyword, "password") == 0) {
            free(pg->password);
            pg->password = xstrdup(option->val);
        } else if (strcmp(option->keyword, "port") == 0) {
            good = good && strspn(option->val, "0123456789,") == strlen(option->val);
        } else if (strcmp(option->keyword, "host") == 0) {
            good = good && (option->val[0] == '@' || !strchr(option->val, '@'));
        }
    }
    PQconninfoFree(options);
    PQfreemem(reason);
    return good || err_set(err, ERR_INPUT,
                           "the Postgres URL cannot be parsed (is a character of the password not "
                           "percent-encoded?)");
}

static void on_notice(void *context, const PGresult *result) {
    (void)context;
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    log_debug("Postgres notice", LOG_TEXT("notice", text));
}

static bool start(struct pg *pg, struct err *err) {
    char user_timeout[16];
    snprintf(user_timeout, sizeof user_timeout, "%d", pg->statement_timeout_ms + 10000);
    /* Before dbname, so that the URL's own settings win. */
    const char *names[] = {
        "application_name", "client_encoding",  "keepalives_idle", "keepalives_interval",
        "keepalives_count", "tcp_user_timeout", "dbname",          NULL};
    const char *values[] = {pg->application_name, "UTF8",  "10", "5", "3",
                            user_timeout,         pg->url, NULL};
    pg->conn = PQconnectStartParams(names, values, 1);
    if (!pg->conn) {
        return err_set(err, ERR_INTERNAL, "out of memory");
    }
    PQsetNoticeReceiver(pg->conn, on_notice, NULL);
    return true;
}

static bool shake_hands(struct pg *pg, int64_t deadline_us, struct err *err) {
    PostgresPollingStatusType want = PGRES_POLLING_WRITING;
    while (PQstatus(pg->conn) != CONNECTION_BAD && want != PGRES_POLLING_FAILED) {
        if (want == PGRES_POLLING_OK) {
            return true;
        }
        struct pollfd fd = {PQsocket(pg->conn), want == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                            0};
        int left_ms = clock_remaining_ms(deadline_us);
        int ready = left_ms > 0 ? poll(&fd, 1, left_ms) : 0;
        if (ready > 0) {
            want = PQconnectPoll(pg->conn);
        } else if (left_ms == 0) {
            return err_set(err, ERR_UNAVAILABLE, "Postgres did not accept in time");
        }
    }
    char text[768];
    clean(pg, PQerrorMessage(pg->conn), text, sizeof text);
    return err_set(err, ERR_UNAVAILABLE, "cannot connect to Postgres: %s", text);
}

/* In another encoding the server could not hold every text, and would refuse the value for it. */
static bool check_encoding(struct pg *pg, struct err *err) {
    const char *encoding = PQparameterStatus(pg->conn, "server_encoding");
    return !encoding || strcmp(encoding, "UTF8") == 0 ||
           err_set(err, ERR_UNAVAILABLE,
                   "the database's encoding is %s, it must be UTF8: create it with ENCODING 'UTF8' "
                   "TEMPLATE template0",
                   encoding);
}

static void add_setting(struct pg_params *params, const char *value) {
    if (value) {
        pg_params_add_text(params, slice_of(value));
    } else {
        pg_params_add_null(params);
    }
}

/* Nothing was asked for yet: where it ends in a timeout, no outcome is unknown. */
static bool is_ready(bool ok, struct err *err) {
    if (!ok && err->kind == ERR_TIMEOUT) {
        err->kind = ERR_UNAVAILABLE;
    }
    return ok;
}

/* Not as start-up options: a pooler refuses those. */
static bool set_up(struct pg *pg, int64_t deadline_us, struct err *err) {
    static const char sql[] =
        "SELECT set_config('statement_timeout', $1, false), "
        "set_config('search_path', coalesce($2, current_setting('search_path')), false), "
        "set_config('default_transaction_read_only', "
        "coalesce($3, current_setting('default_transaction_read_only')), false), "
        "set_config('idle_in_transaction_session_timeout', '" IDLE_IN_TRANSACTION_MS "', false), "
        /* How values look as text must not hang on the server's settings. */
        "set_config('bytea_output', 'hex', false), set_config('datestyle', 'ISO', false), "
        "set_config('timezone', 'UTC', false), "
        /* To compile a query of many expressions takes a hundred times as long as to run it, and is
         * done again at each call. */
        "set_config('jit', 'off', false)";
    if (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1) {
        return pg_lose(pg, err);
    }
    char timeout[16];
    snprintf(timeout, sizeof timeout, "%d", pg->statement_timeout_ms);
    struct pg_params *params = pg_params_create();
    pg_params_add_text(params, slice_of(timeout));
    add_setting(params, pg->search_path);
    add_setting(params, pg->read_only ? "on" : NULL);
    bool ok = pg_query(pg, "pg session", sql, params, clock_remaining_ms(deadline_us), NULL, err);
    pg_params_destroy(params);
    return is_ready(ok, err);
}

static void note_new_plans(struct pg *pg) {
    pg->planned_us = clock_monotonic_us();
    pg->slow = false;
}

static bool connect_by(struct pg *pg, int64_t deadline_us, struct err *err) {
    if (pg_connected(pg)) {
        return true;
    }
    pg_disconnect(pg);
    bool ok = check_url(pg, err) && start(pg, err) && shake_hands(pg, deadline_us, err) &&
              check_encoding(pg, err) && set_up(pg, deadline_us, err);
    if (!ok) {
        pg_disconnect(pg);
    }
    note_new_plans(pg);
    pg->plans_last_us = PLANS_YOUNG_US;
    return ok;
}

bool pg_connect(struct pg *pg, struct err *err) {
    return connect_by(pg, clock_monotonic_us() + pg->connect_timeout_ms * 1000LL, err);
}

/* A plan is kept until its tables are analysed, a minute or more: one made while they were small
 * reads them from end to end, whatever they have grown to. Statements that are parsed anew are
 * planned for the size of now. DISCARD PLANS alone would leave them the costs of their first plans,
 * beside which a plan for every call seems cheap; it is for the plans of functions. */
static bool plan_anew(struct pg *pg, int64_t deadline_us, struct err *err) {
    if (!pg->slow || clock_monotonic_us() - pg->planned_us < pg->plans_last_us) {
        return true;
    }
    bool ok = pg_script(pg, "DEALLOCATE ALL; DISCARD PLANS", clock_remaining_ms(deadline_us), err);
    forget_statements(pg);
    note_new_plans(pg);
    pg->plans_last_us = pg->plans_last_us * 2 < PLANS_OLD_US ? pg->plans_last_us * 2 : PLANS_OLD_US;
    return is_ready(ok, err);
}

/* What comes while nothing was asked is a notice, or the server's farewell and the end. */
static void drop_if_closed(struct pg *pg) {
    while (pg_connected(pg)) {
        struct pollfd fd = {PQsocket(pg->conn), POLLIN, 0};
        if (poll(&fd, 1, 0) <= 0) {
            return;
        }
        if (PQconsumeInput(pg->conn) != 1) {
            pg_disconnect(pg);
        }
    }
}

bool pg_wake(struct pg *pg, int timeout_ms, struct err *err) {
    int least_ms = timeout_ms < pg->connect_timeout_ms ? timeout_ms : pg->connect_timeout_ms;
    int64_t deadline_us = clock_monotonic_us() + least_ms * 1000LL;
    drop_if_closed(pg);
    return connect_by(pg, deadline_us, err) && plan_anew(pg, deadline_us, err);
}
