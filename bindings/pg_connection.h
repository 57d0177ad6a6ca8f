/* pg_connection: the state of a connection, which pg.c, pg_connect.c and pg_session.c share.
 * Private to the binding. */
#ifndef AGG_BINDINGS_PG_CONNECTION_H
#define AGG_BINDINGS_PG_CONNECTION_H

#include <libpq-fe.h>
#include "base/buffer.h"
#include "pg.h"

#define PG_SERVER_NAME_CAP 48

enum pg_statement_state { PG_STATEMENT_QUEUED, PG_STATEMENT_READY, PG_STATEMENT_FORGOTTEN };

struct pg_statement {
    char *name;
    char *sql;
    char server_name[PG_SERVER_NAME_CAP]; /* "": it is sent whole each time */
    Oid *types;
    size_t type_count;
    enum pg_statement_state state;
    bool fresh; /* parsed, and never yet run with success */
};

enum pg_item_kind { PG_ITEM_PREPARE, PG_ITEM_STATEMENT, PG_ITEM_SETTINGS, PG_ITEM_SYNC };

struct pg_item {
    enum pg_item_kind kind;
    struct pg_statement *statement;
    size_t index; /* statements: place in the group */
    bool answered;
};

struct pg {
    char *url;         /* secret; as it was created with */
    char *present_url; /* with the present user and password */
    char *password;
    char *application_name;
    char *search_path; /* NULL: as the server has it */
    char *replaced, *replacement;
    struct buffer replaced_sql; /* the statement sent last, where something is replaced */
    bool read_only;
    bool writes;
    bool uncounted;
    bool is_open, is_active; /* as pg_metrics has it counted */
    int connect_timeout_ms;  /* of one server, the URL's own if it has one */
    int statement_timeout_ms;
    PGconn *conn;
    /* A pooler stands between, and each transaction may run on another connection to the server:
     * nothing that outlives a transaction may be left there. */
    bool pooled;
    bool reads_only;            /* as its settings or a standby have it */
    struct pg_params *settings; /* of the session, or of each transaction where it is pooled */
    struct pg_statement **statements; /* parsed on this connection */
    size_t statement_count;
    unsigned serial;            /* of statements */
    unsigned connection_number; /* in this process */
    struct pg_item *items;      /* the group under way */
    size_t item_count, item_cap, item_next;
    size_t group_size;
    bool synced;
    bool flushing;
    int64_t planned_us;    /* when all its plans were last dropped, at first by connecting */
    int64_t plans_last_us; /* they are not dropped when younger */
    bool slow;             /* since then a query took long */
    PGresult **keep;       /* where pg_query wants its result */
    const char *comment;   /* behind every statement; NULL: none */
    struct err first;      /* first error of the group */
};

/* Whether pg_create would make its like of the options. */
bool pg_is_like(const struct pg *pg, const struct pg_options *options);
/* Fills err from a failed result. */
void pg_note_result(const struct pg *pg, struct err *err, const PGresult *result);
/* Counts the connection as open, or as waiting for an answer, or no longer. */
void pg_count_open(struct pg *pg, bool is_open);
void pg_count_active(struct pg *pg, bool is_active);
/* The connection is of no more use: the reason goes to err, everything of it is dropped. Always
 * false. */
bool pg_lose(struct pg *pg, struct err *err);
/* Statements that could not be parsed, or must be parsed again, are freed here: no item of the
 * group points to them any more. */
void pg_clear_group(struct pg *pg);
void pg_forget_statements(struct pg *pg);
/* Copies a server's message without line breaks and without the password. */
void pg_clean_message(const struct pg *pg, const char *message, char *out, size_t cap);

/* pg_session.c: sets what the values hang on, on a connection just made; finds out whether it is
 * pooled, and refuses one that cannot be worked with. */
bool pg_set_up_session(struct pg *pg, int64_t deadline_us, struct err *err);
extern const char pg_settings_sql[];
/* What the server answered to it. */
void pg_note_session(struct pg *pg, const PGresult *row);
/* pg.c: queues the settings; behind a pooler they last for the transaction that is under way or
 * begins. */
bool pg_send_settings(struct pg *pg);
/* Eight letters and digits that no other process has. */
const char *pg_process_mark(void);
/* The server or a pooler refused a connection because it allows no more. */
void pg_note_shortage(void);

#endif
