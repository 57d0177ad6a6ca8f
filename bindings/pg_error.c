/* pg_error: maps an SQLSTATE to an error kind. ERR_INPUT is only for errors of a value, because
 * ingestion bisects and rejects those: with an error of the schema, a right or the server among
 * them, one dropped column would reject a whole topic. What an operator can repair is
 * ERR_UNAVAILABLE: the program waits and reports it. */
#include <string.h>

#include "pg.h"

/* The first matching prefix counts. */
static const struct {
    const char *prefix;
    enum err_kind kind;
} kinds[] = {
    {"AG001", ERR_CONFLICT}, /* raised by advance_offset: another consumer moved on */

    /* The value. */
    {"22", ERR_INPUT},       /* not of its type: 22P02, 22021 (bytes), 22P05 (NUL), 22003 */
    {"23", ERR_INPUT},       /* a constraint */
    {"54001", ERR_INTERNAL}, /* statement too complex: the program's SQL, not the event */
    {"54011", ERR_INTERNAL}, /* too many columns: likewise */
    {"54023", ERR_INTERNAL}, /* too many arguments: likewise */
    {"54", ERR_INPUT},       /* above a limit, such as the 2,704 bytes of an index row */
    {"44", ERR_INPUT},       /* the check option of a view */
    {"P0001", ERR_INPUT},    /* a trigger of the database's owner */

    /* The server. */
    {"08", ERR_UNAVAILABLE},    /* the connection */
    {"25006", ERR_UNAVAILABLE}, /* read-only: a standby, during a failover */
    {"25P03", ERR_UNAVAILABLE}, /* idle in its transaction for too long */
    {"26000", ERR_UNAVAILABLE}, /* a pooler lost the prepared statement: it is prepared again */
    {"40", ERR_UNAVAILABLE},    /* serialization failure, deadlock */
    {"53", ERR_UNAVAILABLE},    /* out of memory, disk or connections */
    {"55", ERR_UNAVAILABLE},    /* locked, in use, not in the required state */
    {"57", ERR_UNAVAILABLE},    /* cancelled (57014: statement_timeout), shutting down, starting */
    {"58", ERR_UNAVAILABLE},    /* an error of its operating system */
    {"F0", ERR_UNAVAILABLE},    /* an error of its configuration file */

    /* What an operator removed or has not yet created. */
    {"28", ERR_UNAVAILABLE}, /* password, role */
    {"3D", ERR_UNAVAILABLE}, /* no such database */
    {"3F", ERR_UNAVAILABLE}, /* no such schema */
    {"42", ERR_UNAVAILABLE}, /* no such table, column or function, no right to it, or a syntax error
                                in a script */
};

/* Anything else is ERR_INTERNAL: 21 and 25 (the order of our statements), 0A (missing feature),
 * other P0 (a function's own error), XX (corruption). The program waits for it, too, and rejects no
 * event: it is no error of its data. */
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

static const struct {
    const char *prefix;
    const char *reason;
} plain_reasons[] = {
    {"25006", "the database is read-only: it is a standby, or is set so"},
    {"28", "the database refuses the login"},
    {"3D", "the database does not exist"},
    {"3F", "a schema or table is missing in the database"},
    {"42501", "the database refuses a right"},
    {"42", "a schema or table is missing in the database"},
    {"53300", "the database or its pooler allows no more connections"},
    {"53", "the database is out of memory, disk or connections"},
    {"57P03", "the database is starting or shutting down"},
    {"57P", "the database ended the connection"},
    {"57014", "the database does not answer in time"},
};

/* libpq has no code for these: parts of its texts, which are in English (no locale is set). */
static const struct {
    const char *words;
    const char *reason;
} tls_reasons[] = {
    {"certificate verify failed",
     "the certificate of the database is expired, or of an unknown CA"},
    {"does not match host name", "the certificate of the database names another host"},
    {"server does not support SSL", "the database does not speak TLS"},
    {"certificate file", "a file for TLS to the database cannot be used"},
    {"private key file", "a file for TLS to the database cannot be used"},
    {"SSL error", "the TLS connection to the database fails"},
};

static const char *pg_error_connect_reason(const char *text) {
    for (size_t i = 0; i < sizeof tls_reasons / sizeof *tls_reasons; i++) {
        if (strstr(text, tls_reasons[i].words)) {
            return tls_reasons[i].reason;
        }
    }
    return "cannot connect to the database";
}

const char *pg_plain_reason(const struct err *err) {
    for (size_t i = 0; i < sizeof plain_reasons / sizeof *plain_reasons; i++) {
        if (strncmp(err->sqlstate, plain_reasons[i].prefix, strlen(plain_reasons[i].prefix)) == 0) {
            return plain_reasons[i].reason;
        }
    }
    if (err->kind == ERR_TIMEOUT) {
        return "the database does not answer in time";
    }
    return err->sqlstate[0] ? "the database refuses what it is asked"
                            : pg_error_connect_reason(err->text);
}
