/* pg_connection: the state that pg.c and pg_connect.c share. Private to the binding. */
#ifndef AGG_BINDINGS_PG_CONNECTION_H
#define AGG_BINDINGS_PG_CONNECTION_H

#include "pg.h"

enum pg_statement_state { PG_STATEMENT_QUEUED, PG_STATEMENT_READY, PG_STATEMENT_FORGOTTEN };

struct pg_statement {
    char *name;
    char *sql;
    char server_name[16];
    Oid *types;
    size_t type_count;
    enum pg_statement_state state;
    bool fresh; /* parsed, and never yet run with success */
};

enum pg_item_kind { PG_ITEM_PREPARE, PG_ITEM_STATEMENT, PG_ITEM_SYNC };

struct pg_item {
    enum pg_item_kind kind;
    struct pg_statement *statement;
    size_t index; /* statements: place in the group */
    bool answered;
};

struct pg {
    char *url; /* secret */
    char *password;
    char *application_name;
    char *search_path; /* NULL: as the server has it */
    bool read_only;
    bool uncounted;
    int connect_timeout_ms;
    int statement_timeout_ms;
    PGconn *conn;
    struct pg_statement **statements; /* parsed on this connection */
    size_t statement_count;
    unsigned serial;
    struct pg_item *items; /* the group under way */
    size_t item_count, item_cap, item_next;
    size_t group_size;
    bool synced;
    bool flushing;
    int64_t planned_us;    /* when all its plans were last dropped, at first by connecting */
    int64_t plans_last_us; /* they are not dropped when younger */
    bool slow;             /* since then a query took long */
    PGresult **keep;       /* where pg_query wants its result */
    struct err first;      /* first error of the group */
};

/* Whether pg_create would make its like of the options. */
bool pg_is_like(const struct pg *pg, const struct pg_options *options);
/* Fills err from a failed result. */
void pg_note_result(const struct pg *pg, struct err *err, const PGresult *result);
/* The connection is of no more use: the reason goes to err, everything of it is dropped. Always
 * false. */
bool pg_lose(struct pg *pg, struct err *err);
void pg_clear_group(struct pg *pg);

#endif
