/* credentials: which keys a list has, in a time that does not depend on them. */
#include "http/credentials.h"

#include "test.h"

static struct credentials *make_credentials(const char *last, struct err *err) {
    char *items[] = {"old", "", (char *)last};
    return credentials_create("section.list", &(struct config_strings){items, 3}, err);
}

static void accepts_whole_credentials_only(void) {
    struct err err = {0};
    struct credentials *credentials = make_credentials("new", &err);
    CHECK(credentials_include(credentials, slice_of("old")));
    CHECK(credentials_include(credentials, slice_of("new")));
    CHECK(!credentials_include(credentials, slice_of("newer")));
    CHECK(!credentials_include(credentials, slice_of("ne")));
    CHECK(!credentials_include(credentials, slice_of("NEW")));
    CHECK(!credentials_include(credentials, slice_of("")));
    credentials_destroy(credentials);
}

static void compares_the_longest_credentials(void) {
    struct err err = {0};
    char key[300];
    memset(key, 'k', sizeof key);
    key[255] = '\0';
    struct credentials *credentials = make_credentials(key, &err);
    CHECK(credentials_include(credentials, slice_of(key)));
    key[255] = 'k';
    CHECK(!credentials_include(credentials, (struct slice){key, 256}));
    CHECK(!credentials_include(credentials, (struct slice){key, 300}));
    CHECK(!credentials_include(credentials, (struct slice){key, 254}));
    credentials_destroy(credentials);
    key[256] = '\0';
    CHECK(!make_credentials(key, &err));
    CHECK_TEXT(err.text, "section.list: entry 3 is longer than 255 bytes");
}

/* As a key file of two lines makes. */
static void refuses_credentials_that_no_header_can_hold(void) {
    struct err err = {0};
    CHECK(!make_credentials("one\ntwo", &err));
    CHECK_HAS(err.text, "section.list: entry 3 holds a control character or an end of line");
}

static const struct test_case cases[] = {
    {"accepts whole credentials only", accepts_whole_credentials_only},
    {"compares the longest credentials", compares_the_longest_credentials},
    {"refuses credentials that no header can hold", refuses_credentials_that_no_header_can_hold},
};

TEST_MAIN(cases)
