/* Named parameters of query files: recognised, and not confused with similar syntax. */
#include "bindings/pg_named.h"
#include "test.h"

static void check_sql(const char *text, const char *want, size_t parameters) {
    struct pg_named named;
    struct err err = {0};
    CHECK(pg_named_parse(&named, text, &err));
    CHECK_TEXT(named.sql ? named.sql : "(none)", want);
    CHECK_INT(named.count, parameters);
    pg_named_free(&named);
}

static void check_refused(const char *text, const char *want) {
    struct pg_named named;
    struct err err = {0};
    CHECK(!pg_named_parse(&named, text, &err));
    CHECK_TEXT(err.text, want);
    CHECK(named.sql == NULL && named.names == NULL);
}

static void names(void) {
    struct pg_named named;
    struct err err = {0};
    CHECK(pg_named_parse(&named, "SELECT :b, :a_1, :b", &err));
    CHECK_TEXT(named.sql, "SELECT $1, $2, $1");
    CHECK_INT(named.count, 2);
    CHECK_TEXT(named.names[0], "b");
    CHECK_TEXT(named.names[1], "a_1");
    pg_named_free(&named);
    check_sql("SELECT :a::text[]", "SELECT $1::text[]", 1);
    check_sql(":a", "$1", 1);
}

static void casts_and_slices(void) {
    check_sql("SELECT x::text, y[1:2], z[1 :2]", "SELECT x::text, y[1:2], z[1 :2]", 0);
    check_sql("SELECT a := 1, :Upper", "SELECT a := 1, :Upper", 0);
}

static void quotes(void) {
    check_sql("SELECT ':a', 'it''s :a', \":a\", :b", "SELECT ':a', 'it''s :a', \":a\", $1", 1);
    check_sql("SELECT 'back\\', :a", "SELECT 'back\\', $1", 1);
    check_sql("SELECT E'\\':a', :b", "SELECT E'\\':a', $1", 1);
    check_sql("SELECT e'\\\\', :b", "SELECT e'\\\\', $1", 1);
    check_sql("SELECT type'\\', :b", "SELECT type'\\', $1", 1);
}

static void dollar_quotes(void) {
    check_sql("SELECT $$:a ' $$, :b", "SELECT $$:a ' $$, $1", 1);
    check_sql("SELECT $f$ :a $$ $g$ $f$, :b", "SELECT $f$ :a $$ $g$ $f$, $1", 1);
    check_sql("SELECT a$b$, :c, d$b$", "SELECT a$b$, $1, d$b$", 1);
    check_refused("SELECT :a,\n $1", "line 2: $1: parameters are named, as in :name");
}

static void comments(void) {
    check_sql("-- it's :a\nSELECT :b -- :c", "-- it's :a\nSELECT $1 -- :c", 1);
    check_sql("/* :a /* ' */ :b */ SELECT :c", "/* :a /* ' */ :b */ SELECT $1", 1);
    check_sql("SELECT 1 /:a", "SELECT 1 /$1", 1);
}

static void nothing(void) {
    static const char *const texts[] = {"", "\n", "-- SELECT :a\n;"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_refused(texts[i], "has no statement: write one, or delete the file");
    }
}

static void unended(void) {
    check_refused("SELECT :a,\n 'open", "line 2: the quote that begins here does not end");
    check_refused("SELECT \"open", "line 1: the quote that begins here does not end");
    check_refused("SELECT $q$ open $$", "line 1: the quote that begins here does not end");
    check_refused("\n\n/* /* */ SELECT", "line 3: the comment that begins here does not end");
    check_refused("SELECT E'\\'", "line 1: the quote that begins here does not end");
}

static void statements(void) {
    static const char *const without[] = {"", " \t\r\n;;", "-- a", "-- a\n/* b /* c */ */ ;"};
    static const char *const with[] = {"SELECT 1", "-- a\nSELECT 1", "/* a */ -", "/* a", "'--'"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        CHECK(!pg_has_statement(without[i]));
    }
    for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
        CHECK(pg_has_statement(with[i]));
    }
}

static void ends_of_transactions(void) {
    static const char *const ends[] = {
        "COMMIT",
        "commit;",
        "END",
        "abort",
        "ROLLBACK",
        "rollback work;",
        "PREPARE /* a */ TRANSACTION 'x'",
        "/* a */ -- b\n;COMMIT",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; COMMIT",
    };
    static const char *const no_ends[] = {
        "",
        "SELECT 'a; COMMIT', $$; COMMIT$$, $f$;END;$f$, \"; END\"",
        "-- COMMIT\n/* ; COMMIT */ SELECT CASE WHEN a THEN b END FROM t",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3",
        "SAVEPOINT a; ROLLBACK TO a; ROLLBACK WORK TO SAVEPOINT a; RELEASE a",
        "PREPARE p AS SELECT 1; CREATE TABLE ends (commit int)",
        "SELECT 'open; COMMIT",
        "/* open; COMMIT",
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        CHECK(pg_find_transaction_end(ends[i]));
        char behind[200];
        snprintf(behind, sizeof behind, "SELECT E'\\';', $a$;$a$;\n%s", ends[i]);
        CHECK(pg_find_transaction_end(behind) != NULL);
    }
    for (size_t i = 0; i < sizeof no_ends / sizeof *no_ends; i++) {
        if (pg_find_transaction_end(no_ends[i])) {
            TEST_FAIL("%s: %s", no_ends[i], pg_find_transaction_end(no_ends[i]));
        }
    }
    const char *second = "SELECT 1;\n  COMMIT;";
    CHECK(pg_find_transaction_end(second) == strrchr(second, 'C'));
}

static const struct test_case cases[] = {
    {"numbers names in order, the same name once", names},
    {"leaves casts, slices and assignments alone", casts_and_slices},
    {"leaves strings and quoted names alone, with their escapes", quotes},
    {"leaves dollar quotes alone, and refuses numbered parameters", dollar_quotes},
    {"leaves comments alone, nested ones too", comments},
    {"refuses a text without a statement", nothing},
    {"refuses a quote or comment that does not end, by line", unended},
    {"tells comments from statements", statements},
    {"finds the statement that ends a transaction, not in quotes, comments and bodies",
     ends_of_transactions},
};
TEST_MAIN(cases)
