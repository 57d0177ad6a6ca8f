/* err: long texts are cut, context is prepended. */
#include "test.h"

static void sets_and_wraps(void) {
    struct err err = {.sqlstate = "22P02"};
    CHECK(!err_set(&err, ERR_INPUT, "bad %s", "value"));
    CHECK_TEXT(err.text, "bad value");
    CHECK_TEXT(err.sqlstate, "");
    CHECK(!err_wrap(&err, "%s", "loading"));
    CHECK_TEXT(err.text, "loading: bad value");
    CHECK_INT(err.kind, ERR_INPUT);
    err_clear(&err);
    CHECK_INT(err.kind, ERR_NONE);
}

static void long_texts_are_cut(void) {
    struct err err = {0};
    char longer[sizeof err.text + 1000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    err_set(&err, ERR_INTERNAL, "%s", longer);
    CHECK_INT(strlen(err.text), sizeof err.text - 1);
    for (int i = 0; i < 5; i++) {
        err_wrap(&err, "some context");
        CHECK_INT(strlen(err.text), sizeof err.text - 1);
    }
    CHECK(strncmp(err.text, "some context: some context: ", 28) == 0);
    err_wrap(&err, "%s", longer);
    CHECK_INT(strlen(err.text), sizeof err.text - 1);
    char nearly[sizeof err.text - 1];
    for (size_t len = sizeof err.text - 5; len < sizeof err.text - 1; len++) {
        memset(nearly, 'c', len);
        nearly[len] = '\0';
        err_set(&err, ERR_INTERNAL, "inner");
        err_wrap(&err, "%s", nearly);
        CHECK(strlen(err.text) < sizeof err.text);
    }
}

static void every_kind_has_a_word(void) {
    CHECK_TEXT(err_kind_name(ERR_UNAVAILABLE), "unavailable");
    CHECK_TEXT(err_kind_name(ERR_CONFLICT), "conflict");
}

static const struct test_case cases[] = {
    {"sets and wraps", sets_and_wraps},
    {"long texts are cut", long_texts_are_cut},
    {"every kind has a word", every_kind_has_a_word},
};

TEST_MAIN(cases)
