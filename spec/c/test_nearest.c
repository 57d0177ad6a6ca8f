/* nearest: the suggestion for a misspelt name, and none if no name is near. */
#include "base/nearest.h"
#include "test.h"

static const char *const names[] = {"topics", "time", "fields", "handle", "batch_id", "warning"};
#define COUNT (sizeof names / sizeof *names)

static const char *nearest(const char *word) {
    const char *found = nearest_name(word, names, COUNT);
    return found ? found : "none";
}

static void finds_the_name_that_few_edits_make(void) {
    CHECK_TEXT(nearest("topic"), "topics");
    CHECK_TEXT(nearest("topisc"), "topics");
    CHECK_TEXT(nearest("tme"), "time");
    CHECK_TEXT(nearest("tiem"), "time");
    CHECK_TEXT(nearest("feilds"), "fields");
    CHECK_TEXT(nearest("handler"), "handle");
    CHECK_TEXT(nearest("btach_di"), "batch_id");
    CHECK_TEXT(nearest("Batch_id"), "batch_id");
}

static void finds_a_name_that_begins_alike(void) {
    CHECK_TEXT(nearest("warn"), "warning");
    CHECK_TEXT(nearest("batch"), "batch_id");
    CHECK_TEXT(nearest("batch_identifier_of_it"), "batch_id");
    CHECK_TEXT(nearest("ba"), "none");
}

static void finds_nothing_if_no_name_is_near(void) {
    CHECK_TEXT(nearest("colour"), "none");
    CHECK_TEXT(nearest(""), "none");
    CHECK_TEXT(nearest("t"), "none");
    CHECK_TEXT(nearest("tide"), "time");
    CHECK_TEXT(nearest("tidy"), "none");
    CHECK(!nearest_name("x", names, 0));
}

static void takes_the_nearer_and_of_equals_the_first(void) {
    static const char *const near[] = {"lib.rankings", "lib.ranking", "lib.runkings"};
    CHECK_TEXT(nearest_name("lib.rankins", near, 3), "lib.rankings");
    CHECK_TEXT(nearest_name("lib.rankin", near, 3), "lib.ranking");
}

static void does_not_count_a_folder_as_alike(void) {
    static const char *const paths[] = {"handlers/h", "handlers/batch_registered"};
    CHECK(!nearest_name("handlers/none", paths, 2));
    CHECK_TEXT(nearest_name("handlers/batch_registred", paths, 2), "handlers/batch_registered");
}

static void handles_words_of_any_length(void) {
    char longest[300];
    const char *const few[] = {"a", longest};
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK(!nearest_name(longest, names, COUNT));
    CHECK(!nearest_name("topicz_that_is_quite_long", few, 2));
}

static void hints_at_the_nearest_name_or_lists_all(void) {
    char hint[NEAREST_HINT_CAP];
    CHECK_TEXT(nearest_hint(hint, "topic", names, COUNT), "did you mean \"topics\"?");
    CHECK_TEXT(nearest_hint(hint, "x", names, 2), "there are topics, time");
    CHECK_TEXT(nearest_hint(hint, "x", names, 1), "there is topics");
    CHECK_TEXT(nearest_hint(hint, "x", names, 0), "there are none");
}

static void lists_no_more_than_fits(void) {
    static const char *many[200];
    char hint[NEAREST_HINT_CAP];
    for (size_t i = 0; i < 200; i++) {
        many[i] = "a_name_of_19_bytes_";
    }
    nearest_hint(hint, "x", many, 200);
    size_t len = strlen(hint);
    CHECK(len < NEAREST_HINT_CAP && len > NEAREST_HINT_CAP - 40);
    CHECK_TEXT(hint + len - strlen("_, …"), "_, …");
}

static const struct test_case cases[] = {
    {"finds the name that few edits make", finds_the_name_that_few_edits_make},
    {"finds a name that begins alike", finds_a_name_that_begins_alike},
    {"finds nothing if no name is near", finds_nothing_if_no_name_is_near},
    {"takes the nearer, and of equals the first", takes_the_nearer_and_of_equals_the_first},
    {"does not count a folder as alike", does_not_count_a_folder_as_alike},
    {"handles words of any length", handles_words_of_any_length},
    {"hints at the nearest name, or lists all", hints_at_the_nearest_name_or_lists_all},
    {"lists no more than fits", lists_no_more_than_fits},
};

TEST_MAIN(cases)
