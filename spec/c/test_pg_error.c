/* pg_error: the kind of each SQLSTATE: outages are waited for, only refused values are data errors.
 */
#include "bindings/pg.h"
#include "test.h"

static const struct {
    const char *sqlstate;
    enum err_kind kind;
} table[] = {
    {NULL, ERR_UNAVAILABLE},    /* the connection is lost */
    {"", ERR_UNAVAILABLE},      /* likewise */
    {"AG001", ERR_CONFLICT},    /* the offset fence */
    {"08006", ERR_UNAVAILABLE}, /* connection failure */
    {"0A000", ERR_INTERNAL},    /* feature not supported */
    {"21000", ERR_INTERNAL},    /* a row affected twice by one upsert */
    {"22001", ERR_INPUT},       /* too long a string */
    {"22003", ERR_INPUT},       /* number out of range */
    {"22008", ERR_INPUT},       /* time out of range */
    {"22021", ERR_INPUT},       /* not UTF-8 */
    {"22P02", ERR_INPUT},       /* no such enum value, no uuid, no json */
    {"22P03", ERR_INPUT},       /* binary form of the wrong size */
    {"22P05", ERR_INPUT},       /* \u0000 */
    {"23502", ERR_INPUT},       /* null where none may be */
    {"23505", ERR_INPUT},       /* unique */
    {"23514", ERR_INPUT},       /* check */
    {"25006", ERR_UNAVAILABLE}, /* read-only */
    {"25P02", ERR_INTERNAL},    /* a statement in a failed transaction */
    {"25P03", ERR_UNAVAILABLE}, /* idle in transaction */
    {"26000", ERR_UNAVAILABLE}, /* prepared statement gone */
    {"28P01", ERR_UNAVAILABLE}, /* wrong password */
    {"3D000", ERR_UNAVAILABLE}, /* no such database */
    {"3F000", ERR_UNAVAILABLE}, /* no such schema */
    {"40001", ERR_UNAVAILABLE}, /* serialization failure */
    {"40P01", ERR_UNAVAILABLE}, /* deadlock */
    {"42501", ERR_UNAVAILABLE}, /* the right was revoked */
    {"42601", ERR_UNAVAILABLE}, /* syntax error */
    {"42703", ERR_UNAVAILABLE}, /* the column was dropped */
    {"42804", ERR_UNAVAILABLE}, /* the column has another type */
    {"42883", ERR_UNAVAILABLE}, /* no such function */
    {"42P01", ERR_UNAVAILABLE}, /* the table was dropped */
    {"42P10", ERR_UNAVAILABLE}, /* the unique index was dropped */
    {"53100", ERR_UNAVAILABLE}, /* disk full */
    {"53200", ERR_UNAVAILABLE}, /* out of memory */
    {"53300", ERR_UNAVAILABLE}, /* too many connections */
    {"54000", ERR_INPUT},       /* an index row too large */
    {"54001", ERR_INTERNAL},    /* statement too complex */
    {"55P03", ERR_UNAVAILABLE}, /* lock not available */
    {"57014", ERR_UNAVAILABLE}, /* statement timeout */
    {"57P01", ERR_UNAVAILABLE}, /* terminated by an administrator */
    {"57P03", ERR_UNAVAILABLE}, /* starting up */
    {"57P05", ERR_UNAVAILABLE}, /* idle session timeout */
    {"58030", ERR_UNAVAILABLE}, /* input or output error */
    {"F0001", ERR_UNAVAILABLE}, /* lock file exists */
    {"P0001", ERR_INPUT},       /* raised by a trigger */
    {"XX000", ERR_INTERNAL},    /* internal error */
    {"XX001", ERR_INTERNAL},    /* data corrupted */
    {"ZZ999", ERR_INTERNAL},    /* unknown */
};

static void every_state_has_its_kind(void) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        enum err_kind kind = pg_error_kind(table[i].sqlstate);
        if (kind != table[i].kind) {
            TEST_FAIL("%s is %s, want %s", table[i].sqlstate, err_kind_name(kind),
                      err_kind_name(table[i].kind));
        }
    }
}

/* This rule keeps a dropped column from rejecting all events of a topic. */
static void only_four_classes_are_data(void) {
    for (int first = 0; first < 36; first++) {
        for (int second = 0; second < 36; second++) {
            static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
            char state[6] = {digits[first], digits[second], '0', '0', '0', 0};
            bool data = !strncmp(state, "44", 2) || !strncmp(state, "22", 2) ||
                        !strncmp(state, "23", 2) || !strncmp(state, "54", 2);
            if ((pg_error_kind(state) == ERR_INPUT) != data) {
                TEST_FAIL("%s is %s", state, err_kind_name(pg_error_kind(state)));
            }
        }
    }
}

static const struct test_case cases[] = {
    {"every state has its kind", every_state_has_its_kind},
    {"only four classes are data", only_four_classes_are_data},
};

TEST_MAIN(cases)
