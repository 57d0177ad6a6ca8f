/* The verb parser of the administration socket. */
#include "admin/socket.h"
#include "test.h"

static struct admin_words words;

static void check_slice(struct slice slice, const char *text) {
    CHECK(slice_equal(slice, slice_of(text)));
}

static void a_verb_may_stand_alone(void) {
    CHECK(admin_words_split(slice_of("status"), &words));
    check_slice(words.verb, "status");
    CHECK_INT(words.param_count, 0);
    CHECK_INT(words.query_count, 0);
    CHECK(admin_words_split(slice_of(""), &words));
    check_slice(words.verb, "");
}

static void words_with_an_equals_sign_are_the_query(void) {
    CHECK(admin_words_split(slice_of("reload canary=true  7 accept= a=b=c"), &words));
    check_slice(words.verb, "reload");
    CHECK_INT(words.param_count, 1);
    check_slice(words.params[0].value, "7");
    CHECK_INT(words.query_count, 3);
    check_slice(words.query[0].name, "canary");
    check_slice(words.query[0].value, "true");
    check_slice(words.query[1].name, "accept");
    check_slice(words.query[1].value, "");
    check_slice(words.query[2].value, "b=c");
}

static void too_many_words_are_refused(void) {
    CHECK(admin_words_split(slice_of("x 1 2 3 4 5 6 7 8"), &words));
    CHECK(!admin_words_split(slice_of("x 1 2 3 4 5 6 7 8 9"), &words));
    CHECK(!admin_words_split(slice_of("x a= b= c= d= e= f= g= h= i="), &words));
}

static const struct test_case cases[] = {
    {"a verb may stand alone", a_verb_may_stand_alone},
    {"words with an equals sign are the query", words_with_an_equals_sign_are_the_query},
    {"too many words are refused", too_many_words_are_refused},
};

TEST_MAIN(cases)
