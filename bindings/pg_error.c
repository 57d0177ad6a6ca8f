/* pg_error: the one table of what an SQLSTATE means for the caller. */
#include <string.h>

#include "pg.h"

static const struct {
    const char *prefix;
    enum err_kind kind;
} kinds[] = {
    {"AG001", ERR_CONFLICT},    /* raised by advance_offset: another consumer moved on */
    {"08", ERR_UNAVAILABLE},    /* connection */
    {"53", ERR_UNAVAILABLE},    /* out of memory, disk, connections */
    {"57P", ERR_UNAVAILABLE},   /* shutting down, starting up */
    {"58", ERR_UNAVAILABLE},    /* input or output error of the server's system */
    {"40", ERR_UNAVAILABLE},    /* serialization failure, deadlock */
    {"55P03", ERR_UNAVAILABLE}, /* lock not available */
    {"57014", ERR_UNAVAILABLE}, /* cancelled, statement_timeout */
    {"25006", ERR_UNAVAILABLE}, /* read-only: a standby, during a failover */
    {"25P03", ERR_UNAVAILABLE}, /* idle in transaction for too long */
    {"26000", ERR_UNAVAILABLE}, /* prepared statement gone (pooler): parsed anew at the next try */
    {"22", ERR_INPUT},          /* bad value */
    {"23", ERR_INPUT},          /* constraint */
    {"P0001", ERR_INPUT},       /* raised by a trigger or a function of the database's owner */
    {"44", ERR_INPUT},          /* check option of a view */
    {"54", ERR_INPUT},          /* a value past a limit, such as of an index row */
    {"42", ERR_SCHEMA}, /* no such table or column, no right to it, syntax: no row's fault */
};

enum err_kind pg_error_kind(const char *sqlstate) {
    if (!sqlstate || !*sqlstate) {
        return ERR_UNAVAILABLE;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strncmp(sqlstate, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) {
            return kinds[i].kind;
        }
    }
    return ERR_INTERNAL;
}
