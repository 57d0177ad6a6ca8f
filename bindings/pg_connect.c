/* pg_connect: connects to the first server that accepts; drops old plans. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "host_lookup.h"
#include "login.h"
#include "pg_connection.h"
#include "pg_hosts.h"
#include "pg_url.h"

/* The age at which plans are dropped doubles each time, so that queries that are always slow do not
 * pay for planning again and again. */
#define PLANS_YOUNG_US 1000000
#define PLANS_OLD_US 60000000
#define LONGEST_CONNECT_S 3600 /* a longer connect_timeout is ignored */

static void pg_connect_read_option(struct pg *pg, const PQconninfoOption *option) {
    if (strcmp(option->keyword, "password") == 0) {
        free(pg->password);
        pg->password = xstrdup(option->val);
    } else if (strcmp(option->keyword, "connect_timeout") == 0) {
        long seconds = strtol(option->val, NULL, 10);
        if (seconds > 0 && seconds <= LONGEST_CONNECT_S) {
            pg->options.connect_timeout_ms = (int)seconds * 1000;
        }
    }
}

/* libpq gets one host at a time, and would take a primary as it takes a standby. With a preference
 * connections that read would see an older state than those that write. */
static bool pg_connect_check_preference(const struct pg *pg, const struct pg_hosts *hosts,
                                        struct err *err) {
    return !hosts->prefers_standby || pg->options.replica ||
           err_set(err, ERR_UNAVAILABLE,
                   "target_session_attrs=prefer-standby is refused for several hosts, because a "
                   "standby may be behind: say primary, and name the standbys in "
                   "postgres.read_urls");
}

static bool pg_connect_read_url(struct pg *pg, struct pg_hosts *hosts, struct err *err) {
    PQconninfoOption *options = pg_url_read(pg->present_url, err);
    if (!options) {
        return false;
    }
    for (const PQconninfoOption *option = options; option->keyword; option++) {
        if (option->val) {
            pg_connect_read_option(pg, option);
        }
    }
    char *url = pg_url_plain(pg->present_url);
    pg_hosts_find(hosts, url, options);
    free(url);
    PQconninfoFree(options);
    return pg_connect_check_preference(pg, hosts, err);
}

static void pg_connect_on_notice(void *context, const PGresult *result) {
    (void)context;
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    log_debug("Postgres notice", LOG_TEXT("notice", text));
}

static bool pg_connect_start(struct pg *pg, const struct pg_hosts *hosts,
                             const struct pg_host *host, struct err *err) {
    char user_timeout[16], *url = pg_url_plain(pg->present_url);
    snprintf(user_timeout, sizeof user_timeout, "%d", pg->options.statement_timeout_ms + 10000);
    struct {
        const char *name, *value;
    } parameters[] = {
        /* Before dbname, so that the URL's settings win. Of several servers a standby is skipped
         * unless one is wanted: it would return old rows. */
        {"application_name", pg->options.application_name},
        {"client_encoding", "UTF8"},
        {"keepalives_idle", "10"},
        {"keepalives_interval", "5"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", user_timeout},
        {"target_session_attrs", hosts->listed && !pg->options.replica ? "primary" : NULL},
        {"dbname", url},
        {"host", host->name},
        {"hostaddr", host->address},
        {"port", host->port},
    };
    enum { COUNT = sizeof parameters / sizeof *parameters };
    const char *names[COUNT + 1] = {0}, *values[COUNT + 1] = {0};
    size_t count = 0;
    for (size_t i = 0; i < COUNT; i++) {
        if (parameters[i].value) {
            names[count] = parameters[i].name;
            values[count++] = parameters[i].value;
        }
    }
    pg->conn = PQconnectStartParams(names, values, 1);
    free(url);
    if (!pg->conn) {
        return err_set(err, ERR_INTERNAL, "out of memory");
    }
    PQsetNoticeReceiver(pg->conn, pg_connect_on_notice, NULL);
    PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE); /* for the SQLSTATE of a refusal */
    return true;
}

/* libpq has the SQLSTATE of a refusal only in its verbose text, "FATAL:  53300: sorry, too many…",
 * before the location in the server's source. Removes both from the text. */
static void pg_connect_split_refusal(char *text, char sqlstate[6]) {
    char *source = strstr(text, "LOCATION: ");
    if (source) {
        *source = '\0';
    }
    for (char *at = strstr(text, ":  "); at; at = strstr(at + 1, ":  ")) {
        if (strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && at[8] == ':' &&
            at[9] == ' ') {
            snprintf(sqlstate, 6, "%.5s", at + 3);
            memmove(at + 3, at + 10, strlen(at + 10) + 1);
            break;
        }
    }
    for (size_t len = strlen(text); len > 0 && text[len - 1] == ' '; len--) {
        text[len - 1] = '\0';
    }
}

static bool pg_connect_note_refusal(struct pg *pg, struct err *err) {
    char text[768], sqlstate[6] = "";
    pg_clean_message(pg, PQerrorMessage(pg->conn), text, sizeof text);
    pg_connect_split_refusal(text, sqlstate);
    if (strstr(text, "no more connections allowed")) { /* PgBouncer, which has its own code */
        snprintf(sqlstate, sizeof sqlstate, "53300");
    }
    if (strcmp(sqlstate, "53300") == 0) {
        pg_note_shortage();
    }
    bool by_option = strstr(text, "unsupported startup parameter"); /* PgBouncer's text */
    err_set(err, ERR_UNAVAILABLE, "cannot connect to Postgres: %s%s", text,
            by_option ? ": take `options` out of the URL, or name it in the pooler's "
                        "ignore_startup_parameters, which makes it ignore them"
                      : "");
    snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate);
    return false;
}

static bool pg_connect_shake_hands(struct pg *pg, int64_t deadline_us, struct err *err) {
    PostgresPollingStatusType want = PGRES_POLLING_WRITING;
    while (PQstatus(pg->conn) != CONNECTION_BAD && want != PGRES_POLLING_FAILED) {
        if (want == PGRES_POLLING_OK) {
            PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
            return true;
        }
        struct pollfd fd = {PQsocket(pg->conn), want == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                            0};
        int left_ms = clock_remaining_ms(deadline_us);
        int ready = left_ms > 0 ? poll(&fd, 1, left_ms) : 0;
        if (ready > 0) {
            want = PQconnectPoll(pg->conn);
        } else if (left_ms == 0) {
            return err_set(err, ERR_UNAVAILABLE, "the connect to Postgres timed out");
        }
    }
    return pg_connect_note_refusal(pg, err);
}

/* Only UTF8 can store every event. */
static bool pg_connect_check_encoding(struct pg *pg, struct err *err) {
    const char *encoding = PQparameterStatus(pg->conn, "server_encoding");
    return !encoding || strcmp(encoding, "UTF8") == 0 ||
           err_set(err, ERR_UNAVAILABLE,
                   "the database's encoding is %s, it must be UTF8: create it with ENCODING 'UTF8' "
                   "TEMPLATE template0",
                   encoding);
}

/* No statement was sent yet: a timeout leaves no unknown outcome. */
static bool pg_connect_is_ready(bool ok, struct err *err) {
    if (!ok && err->kind == ERR_TIMEOUT) {
        err->kind = ERR_UNAVAILABLE;
    }
    return ok;
}

static void pg_connect_note_new_plans(struct pg *pg) {
    pg->planned_us = clock_monotonic_us();
    pg->slow = false;
}

/* A connect to the servers of a URL. */
struct attempt {
    struct pg *pg;
    struct pg_hosts hosts;
    struct pg_place first; /* the last good one */
    size_t failed;         /* servers, and names without an address */
    bool refused_login;
};

static bool pg_connect_try_server(struct attempt *attempt, const struct pg_host *server,
                                  int64_t deadline_us, struct err *err) {
    struct pg *pg = attempt->pg;
    bool ok = pg_connect_start(pg, &attempt->hosts, server, err) &&
              pg_connect_shake_hands(pg, deadline_us, err) && pg_connect_check_encoding(pg, err) &&
              pg_set_up_session(pg, deadline_us, err);
    if (ok) {
        pg_count_open(pg, true);
    } else {
        pg_disconnect(pg);
    }
    return ok;
}

/* Puts the reason behind those of the servers before. Returns false. */
static bool pg_connect_fail(struct attempt *attempt, struct err *reason, struct err *err) {
    attempt->refused_login |= strncmp(reason->sqlstate, "28", 2) == 0;
    if (attempt->failed++ > 0) {
        err_wrap(reason, "%.400s; then", err->text);
    }
    *err = *reason;
    return false;
}

/* The deadline of the next of `count` that share the time until `until_us`, so that a frozen one
 * does not use it all: at most connect_timeout_ms each. */
static int64_t pg_connect_share(const struct pg *pg, size_t count, int64_t until_us) {
    int64_t now_us = clock_monotonic_us();
    int64_t share_us = (until_us - now_us) / (int64_t)count;
    int64_t most_us = pg->options.connect_timeout_ms * 1000LL;
    return now_us + (share_us < most_us ? share_us : most_us);
}

/* found: the host's addresses; none: libpq finds the server. */
static bool pg_connect_try_addresses(struct attempt *attempt, size_t place,
                                     const struct host_addresses *found, int64_t until_us,
                                     struct err *err) {
    size_t count = found->count > 0 ? found->count : 1;
    size_t first = place == attempt->first.host ? attempt->first.address : 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = (first + i) % count;
        struct pg_host server = attempt->hosts.items[place];
        server.address = found->count > 0 ? found->items[at] : server.address;
        struct err reason = {0};
        if (pg_connect_try_server(attempt, &server,
                                  pg_connect_share(attempt->pg, count - i, until_us), &reason)) {
            pg_hosts_note_good(attempt->pg->options.url, (struct pg_place){place, at});
            return true;
        }
        pg_connect_fail(attempt, &reason, err);
    }
    return false;
}

static bool pg_connect_look_up(const struct pg_host *host, int64_t deadline_us,
                               struct host_addresses *found, struct err *err) {
    if (!pg_hosts_is_name(host) || host_lookup(host->name, deadline_us, found, err)) {
        return true;
    }
    err->kind = ERR_UNAVAILABLE; /* no statement was sent */
    return err_wrap(err, "cannot connect to Postgres");
}

/* until_us: for all servers of the host; 0: connect_timeout_ms for each. The lookup of the name
 * takes its time from the first. */
static bool pg_connect_try_host(struct attempt *attempt, size_t place, int64_t until_us,
                                struct err *err) {
    struct pg *pg = attempt->pg;
    struct host_addresses found = {0};
    struct err reason = {0};
    int64_t most_us = pg->options.connect_timeout_ms * 1000LL;
    int64_t begin_us = clock_monotonic_us();
    int64_t lookup_us = until_us ? pg_connect_share(pg, 1, until_us) : begin_us + most_us;
    if (!pg_connect_look_up(&attempt->hosts.items[place], lookup_us, &found, &reason)) {
        return pg_connect_fail(attempt, &reason, err);
    }
    int64_t count = found.count > 0 ? (int64_t)found.count : 1;
    bool ok = pg_connect_try_addresses(attempt, place, &found,
                                       until_us ? until_us : begin_us + most_us * count, err);
    host_addresses_free(&found);
    return ok;
}

/* timeout_ms: for all servers; negative: connect_timeout_ms for each. */
static bool pg_connect_try_hosts(struct attempt *attempt, int timeout_ms, struct err *err) {
    int64_t until_us = clock_monotonic_us() + timeout_ms * 1000LL;
    size_t count = attempt->hosts.count;
    for (size_t i = 0; i < count; i++) {
        int64_t now_us = clock_monotonic_us();
        int64_t share_us = (until_us - now_us) / (int64_t)(count - i);
        if (pg_connect_try_host(attempt, (attempt->first.host + i) % count,
                                timeout_ms < 0 ? 0 : now_us + share_us, err)) {
            err_clear(err); /* of the servers before it */
            return true;
        }
    }
    return false;
}

static bool pg_connect_try_url(struct pg *pg, int timeout_ms, bool *refused_login,
                               struct err *err) {
    struct attempt attempt = {.pg = pg, .first = pg_hosts_last_good(pg->options.url)};
    bool ok = pg_connect_read_url(pg, &attempt.hosts, err) &&
              pg_connect_try_hosts(&attempt, timeout_ms, err);
    *refused_login = attempt.refused_login;
    pg_hosts_free(&attempt.hosts);
    return ok;
}

/* After a refused login it reads the configuration again and retries once with a changed login. */
static bool pg_connect_try_login(struct pg *pg, int timeout_ms, struct err *err) {
    bool refused_login = false;
    free(pg->present_url);
    pg->present_url = login_url(LOGIN_POSTGRES, pg->options.url);
    if (pg_connect_try_url(pg, timeout_ms, &refused_login, err)) {
        return true;
    }
    if (!refused_login || !login_after_refusal(LOGIN_POSTGRES, pg->options.url, &pg->present_url)) {
        return false;
    }
    err_clear(err);
    return pg_connect_try_url(pg, timeout_ms, &refused_login, err);
}

/* timeout_ms: for all servers; negative: connect_timeout_ms for each. */
static bool pg_connect_within(struct pg *pg, int timeout_ms, struct err *err) {
    if (pg_connected(pg)) {
        return true;
    }
    pg_disconnect(pg);
    bool ok = pg_connect_try_login(pg, timeout_ms, err);
    pg_connect_note_new_plans(pg);
    pg->plans_last_us = PLANS_YOUNG_US;
    return ok;
}

bool pg_connect(struct pg *pg, struct err *err) {
    return pg_connect_within(pg, -1, err);
}

/* Behind a pooler all connections to the server have the plans of others, too. */
static bool pg_connect_to_new_edition(struct pg *pg, int64_t deadline_us, struct err *err) {
    pg_pooler_begin_edition(pg);
    pg_disconnect(pg);
    return pg_connect_try_login(pg, clock_remaining_ms(deadline_us), err);
}

static bool pg_connect_deallocate(struct pg *pg, int64_t deadline_us, struct err *err) {
    bool ok = pg_script(pg, "DEALLOCATE ALL; DISCARD PLANS", clock_remaining_ms(deadline_us), err);
    pg_forget_statements(pg);
    return ok;
}

/* Postgres keeps a plan until ANALYZE, a minute or more: a plan for a small table scans the whole
 * table after it has grown. DEALLOCATE makes it plan for the present size; DISCARD PLANS alone
 * would keep the cost of the old custom plans, and is here for the plans of functions. */
static bool pg_connect_drop_old_plans(struct pg *pg, int64_t deadline_us, struct err *err) {
    if (!pg->slow || !pg->keeps_statements ||
        clock_monotonic_us() - pg->planned_us < pg->plans_last_us) {
        return true;
    }
    bool ok = pg->pooled ? pg_connect_to_new_edition(pg, deadline_us, err)
                         : pg_connect_deallocate(pg, deadline_us, err);
    pg_connect_note_new_plans(pg);
    pg->plans_last_us = pg->plans_last_us * 2 < PLANS_OLD_US ? pg->plans_last_us * 2 : PLANS_OLD_US;
    return pg_connect_is_ready(ok, err);
}

bool pg_limit_statements(struct pg *pg, int timeout_ms, struct err *err) {
    if (pg->statement_count <= PG_STATEMENTS_MOST) {
        return true;
    }
    if (!pg->keeps_statements) {
        pg_forget_statements(pg);
        return true;
    }
    if (pg->pooled) {
        pg_disconnect(pg);
        return pg_connect_within(pg, timeout_ms, err);
    }
    return pg_connect_deallocate(pg, clock_monotonic_us() + timeout_ms * 1000LL, err);
}

/* Input on an idle connection is a notice, or FATAL and then EOF. */
static void pg_connect_drop_if_closed(struct pg *pg) {
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
    int64_t deadline_us = clock_monotonic_us() + timeout_ms * 1000LL;
    pg_connect_drop_if_closed(pg);
    return pg_connect_within(pg, timeout_ms, err) &&
           pg_connect_drop_old_plans(pg, deadline_us, err);
}
