/* extract: declared fields come out checked; what is wrong is named. */
#include "../../host/extract.h"
#include "test.h"

static const char *const id_paths[] = {"data.new.id", "data.id"};
static const char *const count_paths[] = {"data.count"};
static const char *const list_paths[] = {"data.items"};
static const char *const rank_paths[] = {"rank"};
static const char *const raw_paths[] = {"data.raw"};
static const struct extract_field element[] = {
    {.name = "rank", .type = FIELD_INTEGER, .paths = rank_paths, .path_count = 1}};
static const struct extract_field fields[] = {
    {.name = "id", .type = FIELD_STRING, .paths = id_paths, .path_count = 2},
    {.name = "count",
     .type = FIELD_INTEGER,
     .optional = true,
     .paths = count_paths,
     .path_count = 1,
     .has_max = true,
     .max = 10},
    {.name = "items",
     .type = FIELD_LIST,
     .optional = true,
     .paths = list_paths,
     .path_count = 1,
     .element = element,
     .element_count = 1},
    {.name = "raw", .type = FIELD_JSON, .optional = true, .paths = raw_paths, .path_count = 1},
};

static struct extract_value values[4];
static struct err err;
static struct arena *arena;

static bool run(const char *document) {
    struct extract_plan *plan = extract_plan_create(fields, 4, &err);
    CHECK(plan != NULL);
    err_clear(&err);
    arena_reset(arena);
    bool ok = extract_run(plan, slice_of(document), arena, values, &err);
    extract_plan_destroy(plan);
    return ok;
}

static void refuses(const char *document, const char *text) {
    CHECK(!run(document));
    if (strncmp(err.text, text, strlen(text)) != 0) {
        CHECK_TEXT(err.text, text);
    }
}

static void reads_what_is_declared(void) {
    CHECK(run("{\"x\":[1,{}],\"data\":{\"id\":\"a\\u00e9\\ud83d\\ude00\",\"count\":3,"
              "\"items\":[{\"rank\":2},{\"rank\":1}],\"raw\":{ \"k\" : \"v w\" }}}"));
    CHECK(slice_equal(values[0].as.text, slice_of("a\xC3\xA9\xF0\x9F\x98\x80")));
    CHECK_INT(values[1].as.integer, 3);
    CHECK_INT(values[2].as.list.rows, 2);
    CHECK_INT(values[2].as.list.cells[0].as.integer, 2);
    CHECK(slice_equal(values[3].as.text, slice_of("{\"k\":\"v w\"}")));
}

static void takes_the_first_path_that_is_not_null(void) {
    CHECK(run("{\"data\":{\"id\":\"old\",\"new\":{\"id\":\"new\"}}}"));
    CHECK(slice_equal(values[0].as.text, slice_of("new")));
    CHECK(run("{\"data\":{\"new\":{\"id\":null},\"id\":\"old\"}}"));
    CHECK(slice_equal(values[0].as.text, slice_of("old")));
}

static void takes_the_last_of_a_repeated_key(void) {
    CHECK(run("{\"data\":{\"id\":\"a\",\"id\":\"b\"}}"));
    CHECK(slice_equal(values[0].as.text, slice_of("b")));
}

static void names_what_is_wrong(void) {
    refuses("", "not_json: ");
    refuses("null", "not_object: ");
    refuses("[]", "not_object: ");
    refuses("{\"data\":{\"id\":\"a\"}} x", "not_json: something follows");
    refuses("{\"data\":{\"id\":\"a\"}", "not_json: ");
    refuses("{\"data\":{\"id\":\"a\xff\"}}", "bad_utf8: ");
    refuses("{\"x\":\"\xc0\xaf\",\"data\":{\"id\":\"a\"}}", "bad_utf8: ");
    refuses("{\"data\":{\"id\":\"\\ud800\"}}", "not_json: a lone surrogate");
    refuses("{\"data\":{\"id\":\"a\\u0000b\"}}", "bad_string: data.new.id or data.id holds a NUL");
    refuses("{\"data\":{}}", "missing_field: data.new.id or data.id is not there");
    refuses("{\"data\":{\"id\":1}}", "wrong_type: data.new.id or data.id is a number");
    refuses("{\"data\":{\"id\":\"a\",\"count\":11}}", "out_of_range: data.count is 11");
    refuses("{\"data\":{\"id\":\"a\",\"count\":1.5}}", "wrong_type: data.count is 1.5");
    refuses("{\"data\":{\"id\":\"a\",\"count\":NaN}}", "not_json: ");
    refuses("{\"data\":{\"id\":\"a\",\"items\":[{}]}}", "missing_field: data.items[0]");
}

static void refuses_bottomless_documents(void) {
    char document[400];
    memset(document, '[', 200);
    memset(document + 200, ']', 200);
    document[399] = '\0';
    char wrapped[500];
    snprintf(wrapped, sizeof wrapped, "{\"x\":%s}", document);
    refuses(wrapped, "too_deep: ");
}

static void run_with_arena(void (*body)(void)) {
    arena = arena_create(1024);
    body();
    arena_destroy(arena);
}

#define CASE(name)                                                                                 \
    static void case_##name(void) {                                                                \
        run_with_arena(name);                                                                      \
    }
CASE(reads_what_is_declared)
CASE(takes_the_first_path_that_is_not_null)
CASE(takes_the_last_of_a_repeated_key)
CASE(names_what_is_wrong)
CASE(refuses_bottomless_documents)

static const struct test_case cases[] = {
    {"reads what is declared", case_reads_what_is_declared},
    {"takes the first path that is not null", case_takes_the_first_path_that_is_not_null},
    {"takes the last of a repeated key", case_takes_the_last_of_a_repeated_key},
    {"names what is wrong", case_names_what_is_wrong},
    {"refuses bottomless documents", case_refuses_bottomless_documents},
};

TEST_MAIN(cases)
