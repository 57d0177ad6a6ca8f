/* pg_connection: creates, counts and closes connections; errors without secrets. */
#include "pg_connection.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "pg_metrics.h"
#include "pg_params.h"
#include "pg_url.h"

static char *pg_connection_copy_option(const char *text) {
    return text ? xstrdup(text) : NULL;
}

struct pg *pg_create(const struct pg_options *options) {
    struct pg *pg = xcalloc(1, sizeof *pg);
    pg->options = *options;
    pg->options.url = pg_url_plain(options->url ? options->url : "");
    pg->options.application_name =
        xstrdup(options->application_name ? options->application_name : "");
    pg->options.search_path = pg_connection_copy_option(options->search_path);
    pg->options.replaced = pg_connection_copy_option(options->replaced);
    pg->options.replacement = pg_connection_copy_option(options->replacement);
    pg->settings = pg_params_create();
    return pg;
}

struct pg *pg_create_like(const struct pg *other) {
    return pg_create(&other->options);
}

static bool pg_connection_is_same(const char *text, const char *other) {
    return strcmp(text ? text : "", other ? other : "") == 0;
}

bool pg_is_like(const struct pg *pg, const struct pg_options *options) {
    char *url = pg_url_plain(options->url ? options->url : "");
    bool like = pg_connection_is_same(pg->options.url, url) &&
                pg_connection_is_same(pg->options.application_name, options->application_name) &&
                pg_connection_is_same(pg->options.search_path, options->search_path) &&
                pg_connection_is_same(pg->options.replaced, options->replaced) &&
                pg_connection_is_same(pg->options.replacement, options->replacement) &&
                pg->options.read_only == options->read_only &&
                pg->options.writes == options->writes && pg->options.replica == options->replica &&
                pg->options.uncounted == options->uncounted &&
                pg->options.connect_timeout_ms == options->connect_timeout_ms &&
                pg->options.statement_timeout_ms == options->statement_timeout_ms;
    free(url);
    return like;
}

void pg_destroy(struct pg *pg) {
    if (!pg) {
        return;
    }
    pg_disconnect(pg);
    free((char *)pg->options.url);
    free((char *)pg->options.application_name);
    free((char *)pg->options.search_path);
    free((char *)pg->options.replaced);
    free((char *)pg->options.replacement);
    free(pg->present_url);
    free(pg->password);
    buffer_free(&pg->replaced_sql);
    pg_params_destroy(pg->settings);
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

static void pg_connection_free_statement(struct pg_statement *statement) {
    free(statement->name);
    free(statement->sql);
    free(statement->types);
    free(statement);
}

void pg_count_open(struct pg *pg, bool is_open) {
    if (pg->is_open != is_open) {
        pg->is_open = is_open;
        pg_metrics_open(is_open ? 1 : -1);
    }
}

void pg_count_active(struct pg *pg, bool is_active) {
    if (pg->is_active != is_active) {
        pg->is_active = is_active;
        pg_metrics_active(is_active ? 1 : -1);
    }
}

void pg_clear_group(struct pg *pg) {
    size_t kept = 0;
    for (size_t i = 0; i < pg->statement_count; i++) {
        if (pg->statements[i]->state == PG_STATEMENT_FORGOTTEN) {
            pg_connection_free_statement(pg->statements[i]);
        } else {
            pg->statements[kept++] = pg->statements[i];
        }
    }
    pg->statement_count = kept;
    pg->item_count = pg->item_next = pg->group_size = 0;
    pg_count_active(pg, false);
    pg->synced = pg->flushing = false;
    err_clear(&pg->first);
}

void pg_forget_statements(struct pg *pg) {
    for (size_t i = 0; i < pg->statement_count; i++) {
        pg_connection_free_statement(pg->statements[i]);
    }
    pg->statement_count = 0;
}

void pg_disconnect(struct pg *pg) {
    if (pg->conn) {
        PQfinish(pg->conn);
    }
    pg->conn = NULL;
    pg->pooled = pg->keeps_statements = pg->void_at_pooler = false;
    pg->edition = 0;
    pg->replayed = (struct pg_position){0};
    pg_count_open(pg, false);
    pg_forget_statements(pg);
    pg_clear_group(pg);
}

/* ---- errors ------------------------------------------------------------------------------- */

void pg_clean_message(const struct pg *pg, const char *message, char *out, size_t cap) {
    size_t len = 0;
    size_t secret = pg->password ? strlen(pg->password) : 0;
    while (*message && len + 4 < cap) {
        if (secret > 0 && strncmp(message, pg->password, secret) == 0) {
            memcpy(out + len, "***", 3);
            len += 3;
            message += secret;
        } else {
            out[len++] = *message == '\n' || *message == '\t' ? ' ' : *message;
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
    pg_clean_message(pg, primary ? primary : PQresultErrorMessage(result), text, sizeof text);
    err_set(err, pg_error_kind(sqlstate), "%s", text);
    snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate ? sqlstate : "");
}

/* The line of a character, counted from 1. The end of the text belongs to its last line. */
static int pg_connection_line_of(const char *sql, long character) {
    int line = 1;
    for (long left = character - 1; left > 0 && *sql; sql++) {
        line += *sql == '\n' && sql[1];
        left -= (sql[1] & 0xC0) != 0x80; /* bytes that continue a character do not count */
    }
    return line;
}

void pg_note_mistake(struct pg *pg, const char *sql, const PGresult *result) {
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    pg->mistake.line = position ? pg_connection_line_of(sql, strtol(position, NULL, 10)) : 0;
    pg_clean_message(pg, hint ? hint : "", pg->mistake.hint, sizeof pg->mistake.hint);
}

const struct pg_mistake *pg_last_mistake(const struct pg *pg) {
    return &pg->mistake;
}

bool pg_lose(struct pg *pg, struct err *err) {
    if (pg->first.kind != ERR_NONE) {
        *err = pg->first;
        if (err->kind == ERR_INTERNAL) {
            err->kind = ERR_UNAVAILABLE; /* the server closed the connection */
        }
    } else if (!pg->conn) {
        err_set(err, ERR_UNAVAILABLE, "not connected to Postgres");
    } else {
        char text[768];
        pg_clean_message(pg, PQerrorMessage(pg->conn), text, sizeof text);
        err_set(err, ERR_UNAVAILABLE, "the connection to Postgres is lost: %s", text);
    }
    pg_disconnect(pg);
    return false;
}
