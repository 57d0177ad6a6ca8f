/* pg_connection: the state that pg*.c share. Private to the binding. */
#pragma once

#include <libpq-fe.h>
#include "base/buffer.h"
#include "pg.h"
#include "pg_position.h"

#define PG_SERVER_NAME_CAP 48
/* Of a connection that is kept: each costs some ten KB in the server, and each new text is compared
 * with all. A generation of scripts adds some, and each set of groups in a batch. */
#define PG_STATEMENTS_MOST 256
#define PG_PREFIX_CAP (PG_SERVER_NAME_CAP - 11) /* leaves room for a number and a NUL */

enum pg_statement_state { PG_STATEMENT_QUEUED, PG_STATEMENT_READY, PG_STATEMENT_FORGOTTEN };

struct pg_statement {
    char *name;
    char *sql;
    char server_name[PG_SERVER_NAME_CAP]; /* "": sent as text each time */
    Oid *types;
    size_t type_count;
    enum pg_statement_state state;
    bool fresh; /* prepared, but not yet run with success */
};

enum pg_item_kind { PG_ITEM_PREPARE, PG_ITEM_STATEMENT, PG_ITEM_SETTINGS, PG_ITEM_SYNC };

struct pg_item {
    enum pg_item_kind kind;
    struct pg_statement *statement;
    size_t index; /* statements: place in the group */
    bool answered;
};

struct pg {
    struct pg_options options;  /* owns the texts; the URL is secret */
    char *present_url;          /* with the present user and password */
    char *password;             /* of present_url */
    struct buffer replaced_sql; /* the last statement, after the replacement */
    bool is_open, is_active;    /* counted by pg_metrics */
    PGconn *conn;
    /* A pooler may run each transaction on another connection to the server: no session state. */
    bool pooled;
    bool keeps_statements;            /* prepared ones outlast the transaction */
    bool void_at_pooler;              /* what is prepared: the group's end closes the connection */
    unsigned edition;                 /* behind a pooler: of the texts of prepared statements */
    bool reads_only;                  /* a standby, or read-only by its settings */
    struct pg_position replayed;      /* by this server at least: pg_reads.c */
    struct pg_params *settings;       /* of the session, or of each transaction behind a pooler */
    struct pg_statement **statements; /* parsed on this connection */
    size_t statement_count;
    unsigned serial;            /* of statements */
    unsigned connection_number; /* in this process */
    struct pg_item *items;      /* the group in progress */
    size_t item_count, item_cap, item_next;
    size_t group_size;
    bool synced;
    bool flushing;
    int64_t planned_us;    /* connected, or last dropped its plans */
    int64_t plans_last_us; /* younger plans are kept */
    bool slow;             /* a query since then was slow */
    PGresult **keep;       /* receives the result of pg_query */
    const char *comment;   /* appended to statements; NULL: none */
    struct err first;      /* first error of the group */
    struct pg_mistake mistake;
};

/* True: it was created with equal options. */
bool pg_is_like(const struct pg *pg, const struct pg_options *options);
/* Fills err from a failed result. */
void pg_note_result(const struct pg *pg, struct err *err, const PGresult *result);
/* Keeps place and hint of a failed result of `sql` for pg_last_mistake. */
void pg_note_mistake(struct pg *pg, const char *sql, const PGresult *result);
/* Count the connection in pg_metrics: open; waiting for a reply. */
void pg_count_open(struct pg *pg, bool is_open);
void pg_count_active(struct pg *pg, bool is_active);
/* Disconnects with the reason in err. Returns false. */
bool pg_lose(struct pg *pg, struct err *err);
/* Empties the group, and frees forgotten statements: no item points to them any more. */
void pg_clear_group(struct pg *pg);
void pg_forget_statements(struct pg *pg);
/* Copies a server's message without line breaks and without the password. */
void pg_clean_message(const struct pg *pg, const char *message, char *out, size_t cap);

/* pg_session.c: sets up a new connection, detects a pooler, refuses an unsuitable server. */
bool pg_set_up_session(struct pg *pg, int64_t deadline_us, struct err *err);
extern const char pg_settings_sql[];
void pg_note_session(struct pg *pg, const PGresult *row); /* the reply to it */

/* pg_statements.c: queues a statement; behind a pooler the settings with each transaction. */
bool pg_send_statement(struct pg *pg, const char *name, const char *sql,
                       const struct pg_params *params, bool binary_result);
/* Behind a pooler the settings last for one transaction. */
bool pg_send_settings(struct pg *pg);
void pg_push(struct pg *pg, enum pg_item_kind kind, struct pg_statement *statement);
/* Begins the names of the connection's statements. Unique by process and connection: a pooler's
 * other clients share the server's names. */
void pg_put_statement_prefix(const struct pg *pg, char out[PG_PREFIX_CAP]);

/* pg_pooler.c: refuses a pooler without transactions; sets keeps_statements and edition. */
bool pg_pooler_examine(struct pg *pg, int64_t deadline_us, struct err *err);
/* The statements of this connection's edition are to be planned again: later connections have
 * another edition. */
void pg_pooler_begin_edition(const struct pg *pg);
/* A statement failed because its plan is outdated, or lost: the pooler's server does not know it.
 */
void pg_pooler_note_stale(struct pg *pg, bool lost);
/* Eight hexadecimal digits, random for each process. */
const char *pg_process_mark(void);
/* Records that the server or a pooler had too few connections. */
void pg_note_shortage(void);
