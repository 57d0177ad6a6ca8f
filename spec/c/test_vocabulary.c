/* vocabulary: a response in the vocabulary of its caller. */
#include "http/vocabulary.h"
#include "test.h"

static const char *const stored[] = {"processing", "failed"};
static const char *const spoken[] = {"processing_pipelines", "failed_critically"};
static const struct script_vocabulary vocabularies[] = {{.name = "client"},
                                                        {"internal", stored, spoken, 2}};

/* What is answered where the words are at a place. */
static void check(const char *at, const char *vocabulary, const char *body, const char *wanted) {
    struct script_words words = {at, vocabularies, 2};
    struct cached_response *plain = cached_response_create(200, slice_of(body));
    struct cached_response *answer =
        vocabulary_apply(cached_response_ref(plain), &words, vocabulary);
    if (!slice_equal(answer->body, slice_of(wanted))) {
        TEST_FAIL("%s: \"%.*s\", want \"%s\"", body, (int)answer->body.len, answer->body.data,
                  wanted);
    }
    bool same = strcmp(body, wanted) == 0;
    CHECK(same == (answer == plain));
    CHECK(same == (strcmp(answer->etag, plain->etag) == 0));
    cached_response_unref(answer);
    cached_response_unref(plain);
}

static void translates_the_word_at_its_path_only(void) {
    check("status", "internal",
          "{\"id\":\"failed\",\"in\":{\"status\":\"failed\"},\"status\":\"failed\",\"then\":"
          "\"failed\"}",
          "{\"id\":\"failed\",\"in\":{\"status\":\"failed\"},\"status\":\"failed_critically\","
          "\"then\":\"failed\"}");
    check("in.status", "internal", "{\"status\":\"failed\",\"in\":{\"status\":\"processing\"}}",
          "{\"status\":\"failed\",\"in\":{\"status\":\"processing_pipelines\"}}");
}

static void translates_the_word_of_every_item_of_a_list(void) {
    check("all.status", "internal",
          "{\"all\":[{\"status\":\"failed\",\"b\":[{\"status\":\"failed\"}]},{},7,"
          "{\"a\":1,\"status\":\"processing\"}],\"status\":\"failed\"}",
          "{\"all\":[{\"status\":\"failed_critically\",\"b\":[{\"status\":\"failed\"}]},{},7,"
          "{\"a\":1,\"status\":\"processing_pipelines\"}],\"status\":\"failed\"}");
    check("status", "internal", "[{\"status\":\"failed\"},{\"status\":\"other\"}]",
          "[{\"status\":\"failed_critically\"},{\"status\":\"other\"}]");
}

static void leaves_words_without_a_translation(void) {
    static const char *const bodies[] = {"{\"status\":\"other\"}",
                                         "{\"status\":null}",
                                         "{\"status\":{\"a\":\"failed\"}}",
                                         "{\"a\":\"failed\"}",
                                         "\"failed\"",
                                         "{\"status\":\"failed\\u0020\"}",
                                         "{}",
                                         "",
                                         "no JSON \"status\":\"failed\"",
                                         "[{\"status\":\"failed\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        check("status", "internal", bodies[i], bodies[i]);
    }
    check("status", "client", "{\"status\":\"failed\"}", "{\"status\":\"failed\"}");
    check("status", "unknown", "{\"status\":\"failed\"}", "{\"status\":\"failed\"}");
    check("status", NULL, "{\"status\":\"failed\"}", "{\"status\":\"failed\"}");
}

static void leaves_errors_and_routes_without_a_vocabulary(void) {
    struct script_words words = {"error", vocabularies, 2};
    struct cached_response *answer =
        cached_response_create(404, slice_of("{\"error\":\"failed\"}"));
    CHECK(vocabulary_apply(answer, &words, "internal") == answer);
    cached_response_unref(answer);
    answer = cached_response_create(200, slice_of("{\"error\":\"failed\"}"));
    CHECK(vocabulary_apply(answer, NULL, "internal") == answer);
    cached_response_unref(answer);
}

static const struct test_case cases[] = {
    {"translates the word at its path only", translates_the_word_at_its_path_only},
    {"translates the word of every item of a list", translates_the_word_of_every_item_of_a_list},
    {"leaves words without a translation", leaves_words_without_a_translation},
    {"leaves errors and routes without a vocabulary",
     leaves_errors_and_routes_without_a_vocabulary},
};

TEST_MAIN(cases)
