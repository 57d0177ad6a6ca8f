/* redact: a secret of the configuration is removed from every text, whole or in parts of a broken
 * URL; nothing else changes. */
#include "base/redact.h"

#include "base/err.h"
#include "test.h"

static const char *clean(const char *text) {
    static char out[512];
    struct buffer buffer = {0};
    redact_append(&buffer, slice_of(text));
    snprintf(out, sizeof out, "%.*s", (int)buffer.len, buffer.len ? buffer.data : "");
    buffer_free(&buffer);
    return out;
}

static void a_secret_is_redacted_everywhere(void) {
    redact_add(slice_of("correct horse"));
    CHECK_TEXT(clean("correct horse, xcorrect horsex: correct hors"), "***, x***x: correct hors");
    CHECK_TEXT(clean(""), "");
    CHECK_TEXT(clean("nothing of it"), "nothing of it");
}

static void a_short_secret_counts_as_a_word(void) {
    redact_add(slice_of("tiger"));
    redact_add(slice_of("cat"));
    CHECK_TEXT(clean("tiger tigers (tiger) cat"), "*** tigers (***) cat");
}

static void the_longest_of_several_secrets_is_redacted(void) {
    redact_add(slice_of("abcdefgh"));
    redact_add(slice_of("abcdefghijkl"));
    CHECK_TEXT(clean("abcdefghijkl abcdefghi"), "*** ***i");
}

static void a_password_of_a_url_is_redacted_in_each_of_its_forms(void) {
    redact_add_url("postgresql://who:p%40rt1ally/w0rd@2@host:5432/name");
    CHECK_TEXT(clean("p@rt1ally/w0rd@2"), "***");
    CHECK_TEXT(clean("p%40rt1ally/w0rd@2"), "***");
    CHECK_TEXT(clean("could not translate host name \"w0rd\" of who"),
               "could not translate host name \"***\" of who");
    redact_add_url("host=h password='quoted secret' user=u");
    redact_add_url("postgresql://h/d?user=u&password=in-the-query&sslmode=require");
    CHECK_TEXT(clean("quoted secret, in-the-query, require"), "***, ***, require");
}

static void a_url_is_shown_without_its_passwords(void) {
    static const char *const table[][2] = {
        {"postgresql://u:abc@h/d", "postgresql://u:***@h/d"},
        {"host=h password = abc", "host=h password = ***"},
        {"host=h password='a b\\'c' user=u", "host=h password='***' user=u"},
        {"postgresql://h/d?pass%77ord=abc", "postgresql://h/d?pass%77ord=***"},
        {"postgresql://u:p@w@h/d?password=x&a=b", "postgresql://u:***@h/d?password=***&a=b"},
        {"host=h password='q s' user=u sslpassword=t",
         "host=h password='***' user=u sslpassword=***"},
        {"redis://:s@h:1/2", "redis://:***@h:1/2"},
        {"redis://u@h:1", "redis://u@h:1"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct buffer shown = {0};
        redact_append_url(&shown, table[i][0]);
        CHECK_TEXT(shown.data, table[i][1]);
        buffer_free(&shown);
    }
}

static void a_password_that_changes_a_thousand_times_is_redacted_in_each_form(void) {
    char url[64], last[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(last, sizeof last, "daily-%06d", i);
        snprintf(url, sizeof url, "redis://u:%s@h", last);
        redact_add_url(url);
    }
    CHECK_TEXT(clean("daily-000000 daily-000999 daily-001000"), "*** *** daily-001000");
}

static void an_error_never_holds_one(void) {
    struct err err = {0};
    redact_add(slice_of("s3cr3t-0f-a-lib"));
    err_set(&err, ERR_UNAVAILABLE, "the library says: %s refused", "s3cr3t-0f-a-lib");
    CHECK_TEXT(err.text, "the library says: *** refused");
}

static void an_error_that_is_cut_holds_no_part_of_one(void) {
    static const char secret[] = "a-secret-of-many-characters";
    char text[2 * ERR_TEXT_CAP];
    struct err err = {0};
    redact_add(slice_of(secret));
    for (size_t kept = 1; kept < sizeof secret; kept++) {
        size_t before = sizeof err.text - 1 - kept;
        memset(text, ' ', before);
        snprintf(text + before, sizeof text - before, "%s and more", secret);
        err_set(&err, ERR_INTERNAL, "%s", text);
        CHECK(!strstr(err.text, "a-s") && err.text[before] == '*');
    }
}

static const struct test_case cases[] = {
    {"a secret is redacted everywhere", a_secret_is_redacted_everywhere},
    {"a short secret counts as a word", a_short_secret_counts_as_a_word},
    {"the longest of several secrets is redacted", the_longest_of_several_secrets_is_redacted},
    {"a password of a URL is redacted in each of its forms",
     a_password_of_a_url_is_redacted_in_each_of_its_forms},
    {"a URL is shown without its passwords", a_url_is_shown_without_its_passwords},
    {"a password that changes a thousand times is redacted in each form",
     a_password_that_changes_a_thousand_times_is_redacted_in_each_form},
    {"an error never holds one", an_error_never_holds_one},
    {"an error that is cut holds no part of one", an_error_that_is_cut_holds_no_part_of_one},
};

TEST_MAIN(cases)
