/* extract: declared fields are extracted and checked; problems are named. */
#include "extract/extract.h"
#include "test.h"

#define PATHS(...)                                                                                 \
    .paths = (const char *const[]){__VA_ARGS__},                                                   \
    .path_count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

enum {
    ID,
    COUNT,
    ITEMS,
    RAW,
    STATUS,
    SCORE,
    FLAG,
    AT,
    UUID,
    NAMES,
    WHOLE,
    BIG,
    DAY,
    ANY,
    FIELD_COUNT
};

static const struct extract_field parts[] = {
    {.name = "tag", .type = FIELD_STRING, PATHS("tag")},
};
static const struct extract_field element[] = {
    {.name = "rank", .type = FIELD_INTEGER, PATHS("rank")},
    {.name = "essay", .type = FIELD_STRING, .optional = true, PATHS("ref.id", "id")},
    {.name = "parts",
     .type = FIELD_LIST,
     .optional = true,
     PATHS("parts"),
     .element = parts,
     .element_count = 1},
};
static const struct extract_field fields[FIELD_COUNT] = {
    [ID] = {.name = "id", .type = FIELD_STRING, PATHS("data.new.id", "data.id")},
    [COUNT] = {.name = "count",
               .type = FIELD_INTEGER,
               .optional = true,
               PATHS("data.count"),
               .has_min = true,
               .has_max = true,
               .min = -3,
               .max = 10},
    [ITEMS] = {.name = "items",
               .type = FIELD_LIST,
               .optional = true,
               PATHS("data.items"),
               .element = element,
               .element_count = 3},
    [RAW] = {.name = "raw", .type = FIELD_JSON, .optional = true, PATHS("data.raw")},
    [STATUS] = {.name = "status",
                .type = FIELD_STRING,
                .optional = true,
                PATHS("data.status"),
                .choices = (const char *const[]){"done", "broken"},
                .choice_values = (const char *const[]){"COMPLETED", "FAILED"},
                .choice_count = 2},
    [SCORE] = {.name = "score", .type = FIELD_NUMBER, .optional = true, PATHS("data.score")},
    [FLAG] = {.name = "flag", .type = FIELD_BOOLEAN, .optional = true, PATHS("data.flag")},
    [AT] = {.name = "at", .type = FIELD_TIMESTAMP, .optional = true, PATHS("data.at")},
    [UUID] = {.name = "uuid", .type = FIELD_UUID, .optional = true, PATHS("data.uuid")},
    [NAMES] = {.name = "names", .type = FIELD_STRINGS, .optional = true, PATHS("data.names")},
    [BIG] = {.name = "big",
             .type = FIELD_BIGINT,
             .optional = true,
             PATHS("data.big"),
             .has_min = true,
             .min = -9007199254740992.0},
    [DAY] = {.name = "day", .type = FIELD_DATE, .optional = true, PATHS("data.day")},
    [ANY] = {.name = "any", .type = FIELD_INTEGER, .optional = true, PATHS("data.any")},
    [WHOLE] = {.name = "whole", .type = FIELD_JSON, .optional = true, PATHS("data.new")},
};

static struct extract_value values[FIELD_COUNT];
static struct err err;
static struct arena *arena;
static struct extract_plan *plan;
static char *document_copy; /* kept until the next run: values point into it */

static bool run_bytes(struct slice document) {
    free(document_copy);
    document_copy = malloc(document.len ? document.len : 1);
    memcpy(document_copy, document.data, document.len);
    err_clear(&err);
    arena_reset(arena);
    memset(values, 0, sizeof values);
    return extract_run(plan, (struct slice){document_copy, document.len}, arena, values, &err);
}

static bool run(const char *document) {
    return run_bytes(slice_of(document));
}

/* A document whose data holds `rest` beside a good id. */
static bool run_with(const char *rest) {
    char document[4096];
    snprintf(document, sizeof document, "{\"data\":{\"id\":\"a\",%s}}", rest);
    return run(document);
}

static void refuses(const char *document, const char *text) {
    CHECK(!run(document));
    if (strncmp(err.text, text, strlen(text)) != 0) {
        CHECK_TEXT(err.text, text);
    }
    CHECK_INT(err.kind, ERR_INPUT);
}

static void refuses_with(const char *rest, const char *text) {
    CHECK(!run_with(rest));
    if (strncmp(err.text, text, strlen(text)) != 0) {
        CHECK_TEXT(err.text, text);
    }
}

static void reads_what_is_declared(void) {
    CHECK_OK(run("{\"x\":[1,{}],\"data\":{\"id\":\"a\\u00e9\\ud83d\\ude00\",\"count\":3,"
                 "\"items\":[{\"rank\":2},{\"rank\":1}],\"raw\":{ \"k\" : \"v w\" },"
                 "\"status\":\"done\",\"score\":2.998155,\"flag\":true,"
                 "\"at\":\"1970-01-01T00:00:01Z\",\"names\":[\"x\",\"\\\"\"],"
                 "\"uuid\":\"{0123ABCD-4567-89ef-0123-456789abcdef}\"}}"),
             &err);
    CHECK_SLICE(values[ID].as.text, "a\xC3\xA9\xF0\x9F\x98\x80");
    CHECK_INT(values[COUNT].as.integer, 3);
    CHECK_INT(values[ITEMS].as.list.rows, 2);
    CHECK_INT(values[ITEMS].as.list.cells[0].as.integer, 2);
    CHECK_INT(values[ITEMS].as.list.cells[3].as.integer, 1);
    CHECK_SLICE(values[RAW].as.text, "{\"k\":\"v w\"}");
    CHECK_SLICE(values[STATUS].as.text, "COMPLETED");
    CHECK(values[SCORE].as.number == 2.998155);
    CHECK_INT(values[FLAG].as.integer, 1);
    CHECK_INT(values[AT].as.integer, 1000000);
    CHECK_INT(values[UUID].as.uuid[1], 0x23);
    CHECK_INT(values[NAMES].as.strings.count, 2);
    CHECK_SLICE(values[NAMES].as.strings.items[1], "\"");
    CHECK(!values[WHOLE].present);
}

static void absent_and_null_are_equal(void) {
    CHECK_OK(run_with("\"count\":null,\"items\":null,\"raw\":null"), &err);
    for (int i = COUNT; i < FIELD_COUNT; i++) {
        CHECK(!values[i].present);
    }
    refuses("{\"data\":{\"id\":null}}", "missing_field: data.new.id or data.id is missing");
    refuses("{\"data\":null}", "missing_field: data.new.id or data.id");
    refuses("{\"data\":[{\"id\":\"a\"}]}", "missing_field: data.new.id or data.id");
    refuses("{}", "missing_field: data.new.id or data.id");
}

static void takes_the_first_path_that_is_not_null(void) {
    CHECK_OK(run("{\"data\":{\"id\":\"old\",\"new\":{\"id\":\"new\"}}}"), &err);
    CHECK_SLICE(values[ID].as.text, "new");
    CHECK_OK(run("{\"data\":{\"new\":{\"id\":\"new\"},\"id\":\"old\"}}"), &err);
    CHECK_SLICE(values[ID].as.text, "new");
    CHECK_OK(run("{\"data\":{\"new\":{\"id\":null},\"id\":\"old\"}}"), &err);
    CHECK_SLICE(values[ID].as.text, "old");
    CHECK_OK(run("{\"data\":{\"new\":7,\"id\":\"old\"}}") ||
                 strncmp(err.text, "wrong_type: data.new is a number", 31) == 0,
             &err);
    CHECK_SLICE(values[ID].as.text, "old");
}

static void takes_the_last_of_a_repeated_key(void) {
    CHECK_OK(run("{\"data\":{\"id\":\"a\",\"id\":\"b\"}}"), &err);
    CHECK_SLICE(values[ID].as.text, "b");
    CHECK_OK(run("{\"data\":{\"id\":\"a\",\"i\\u0064\":\"b\"}}"), &err);
    CHECK_SLICE(values[ID].as.text, "b");
    refuses("{\"data\":{\"id\":\"a\",\"id\":null}}", "missing_field: data.new.id or data.id");
    CHECK_OK(run_with("\"count\":99,\"count\":1"), &err);
    CHECK_INT(values[COUNT].as.integer, 1);
}

/* Python's json makes a new dictionary of the second one: nothing of the first is left. */
static void a_repeated_object_replaces_the_first_whole(void) {
    CHECK_OK(run("{\"data\":{\"id\":\"a\",\"count\":1},\"data\":{\"id\":\"b\"}}"), &err);
    CHECK_SLICE(values[ID].as.text, "b");
    CHECK(!values[COUNT].present);
    refuses("{\"data\":{\"id\":\"a\"},\"data\":{\"count\":1}}", "missing_field: ");
    refuses("{\"data\":{\"id\":\"a\"},\"data\":{}}", "missing_field: ");
    refuses("{\"data\":{\"id\":\"a\"},\"data\":7}", "missing_field: ");
    refuses("{\"data\":{\"id\":\"a\"},\"data\":null}", "missing_field: ");
    CHECK_OK(run("{\"data\":{\"id\":\"old\",\"new\":{\"id\":\"new\"},\"new\":{}}}"), &err);
    CHECK_SLICE(values[ID].as.text, "old");
    CHECK_SLICE(values[WHOLE].as.text, "{}");
    CHECK_OK(run("{\"data\":{\"new\":{\"id\":\"new\"}},\"data\":{\"id\":\"old\"},"
                 "\"data\":{\"new\":{\"id\":\"newer\"}}}"),
             &err);
    CHECK_SLICE(values[ID].as.text, "newer");
    CHECK_OK(run_with("\"items\":[{\"rank\":1,\"ref\":{\"id\":\"x\"},\"ref\":{},\"id\":\"y\"}]"),
             &err);
    CHECK_SLICE(values[ITEMS].as.list.cells[1].as.text, "y");
}

static void keys_match_unescaped_and_whole(void) {
    CHECK_OK(run("{\"\\u0064ata\":{\"\\u0069d\":\"a\"}}"), &err);
    CHECK_SLICE(values[ID].as.text, "a");
    refuses("{\"data\":{\"ID\":\"a\",\"idx\":\"a\",\"i\":\"a\",\"\":\"a\"}}", "missing_field: ");
    refuses("{\"data.id\":\"a\"}", "missing_field: ");
    refuses("{\"data\":{\"id\\u0000\":\"a\"}}", "missing_field: ");
}

static void names_malformed_documents(void) {
    refuses("", "not_json: the text ends where a value should be, at byte 0");
    refuses("null", "not_object: ");
    refuses("[]", "not_object: ");
    refuses("\"x\"", "not_object: ");
    refuses("nul", "not_json: ");
    refuses("{\"data\":{\"id\":\"a\"}} x", "not_json: something follows the value, at byte 20");
    refuses("{\"data\":{\"id\":\"a\"}}{}", "not_json: something follows");
    refuses("{\"data\":{\"id\":\"a\"}", "not_json: the text ends within a container, at byte 18");
    refuses("{\"data\":{\"id\":\"a\xff\"}}", "bad_utf8: bytes that are not UTF-8, at byte 16");
    refuses("{\"x\":\"\xc0\xaf\",\"data\":{\"id\":\"a\"}}", "bad_utf8: ");
    refuses("{\"data\":{\"id\":\"\\ud800\"}}", "not_json: a lone surrogate");
    refuses("{\"data\":{\"id\":\"a\",\"count\":NaN}}", "not_json: ");
    refuses("\xEF\xBB\xBF{\"data\":{\"id\":\"a\"}}", "not_json: ");
    CHECK(!run_bytes((struct slice){"{\"data\":{\"id\":\"a\"}}\0", 21}));
    CHECK_HAS(err.text, "not_json: something follows");
}

static void names_the_problem_of_a_field(void) {
    refuses("{\"data\":{\"id\":\"a\\u0000b\"}}", "bad_string: data.new.id or data.id holds a NUL");
    refuses("{\"data\":{\"id\":1}}",
            "wrong_type: data.new.id or data.id is a number, not a string");
    refuses("{\"data\":{\"id\":{}}}", "wrong_type: data.new.id or data.id is an object");
    refuses_with("\"count\":11", "out_of_range: data.count is 11");
    refuses_with("\"count\":-4", "out_of_range: data.count is -4");
    refuses_with("\"count\":1.5", "wrong_type: data.count is 1.5, not a whole number");
    refuses_with("\"count\":\"3\"", "wrong_type: data.count is a string, not a number");
    refuses_with("\"count\":99999999999999999999", "out_of_range: data.count does not fit 64 bits");
    refuses_with("\"count\":1e400", "out_of_range: data.count does not fit a double");
    refuses_with("\"score\":-1e999", "out_of_range: data.score does not fit a double");
    refuses_with("\"status\":\"DONE\"", "unknown_value: data.status is \"DONE\"");
    refuses_with("\"status\":\"\"", "unknown_value: data.status is \"\"");
    refuses_with("\"flag\":1", "wrong_type: data.flag is a number, not a boolean");
    refuses_with("\"at\":1751097625", "wrong_type: data.at is a number, not a string");
    refuses_with("\"at\":\"2025-02-30T00:00:00Z\"", "wrong_type: data.at is \"2025-02-30T");
    refuses_with(
        "\"at\":\"0000-12-31T00:00:00Z\"",
        "wrong_type: data.at is \"0000-12-31T00:00:00Z\", not a time of the years 1 to 9999");
    refuses_with("\"uuid\":\"x\"", "wrong_type: data.uuid is \"x\", not a UUID");
    refuses_with("\"raw\":\"{}\"", "wrong_type: data.raw is a string, not an object or a list");
    refuses_with("\"names\":{}", "wrong_type: data.names is an object, not a list of strings");
    refuses_with("\"names\":[\"a\",null]", "wrong_type: data.names[1] is null, not a string");
    refuses_with("\"items\":{}", "wrong_type: data.items is an object, not a list");
}

static void whole_numbers_of_64_bits_are_exact(void) {
    static const struct {
        const char *text;
        int64_t value;
    } table[] = {{"9223372036854775807", INT64_MAX},
                 {"\"9223372036854775807\"", INT64_MAX},
                 {"9007199254740993", 9007199254740993},
                 {"-9007199254740992", -9007199254740992},
                 {"\"-0\"", 0},
                 {"\"\\u0037\"", 7},
                 {"1e3", 1000}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char rest[64];
        snprintf(rest, sizeof rest, "\"big\":%s", table[i].text);
        CHECK_OK(run_with(rest), &err);
        CHECK_INT(values[BIG].as.integer, table[i].value);
    }
    refuses_with("\"big\":-9007199254740993", "out_of_range: data.big is -9007199254740993");
    refuses_with("\"big\":9223372036854775808", "out_of_range: data.big does not fit 64 bits");
    refuses_with("\"big\":\"9223372036854775808\"",
                 "wrong_type: data.big is \"9223372036854775808\", not a whole number of 64 bits");
    refuses_with("\"big\":\"\"", "wrong_type: data.big is \"\", not a whole number");
    refuses_with("\"big\":\" 7\"", "wrong_type: data.big is \" 7\", not a whole number");
    refuses_with("\"big\":\"-\"", "wrong_type: data.big is \"-\", not a whole number");
    refuses_with("\"big\":1.5", "wrong_type: data.big is 1.5, not a whole number");
    refuses_with("\"big\":true", "wrong_type: data.big is a boolean, not a number");
}

static void a_number_that_lua_would_round_is_refused(void) {
    CHECK_OK(run_with("\"any\":9007199254740991"), &err);
    CHECK_INT(values[ANY].as.integer, 9007199254740991);
    refuses_with("\"any\":9007199254740993",
                 "out_of_range: data.any is 9007199254740993, which no Lua number holds exactly: a "
                 "field of the type bigint takes it");
    refuses_with("\"any\":-9007199254740992", "out_of_range: data.any is -9007199254740992");
    refuses_with("\"any\":9007199254740993.0", "out_of_range: data.any does not fit");
}

static void dates_are_read(void) {
    CHECK_OK(run_with("\"day\":\"2025-06-28\""), &err);
    CHECK_INT(values[DAY].as.integer, 20267);
    refuses_with(
        "\"day\":\"2025-02-30\"",
        "wrong_type: data.day is \"2025-02-30\", not a date of the years 1 to 9999, such as "
        "2025-06-28");
    refuses_with("\"day\":20250628", "wrong_type: data.day is a number, not a string");
}

static void names_the_row_that_is_wrong(void) {
    refuses_with("\"items\":[{}]", "missing_field: data.items[0]: rank is missing");
    refuses_with("\"items\":[{\"rank\":1},{\"rank\":\"x\"}]",
                 "wrong_type: data.items[1]: rank is a string");
    refuses_with("\"items\":[{\"rank\":1},7]", "not_object: data.items[1]: ");
    refuses_with("\"items\":[{\"rank\":1},null]", "not_object: data.items[1]: ");
    refuses_with("\"items\":[{\"rank\":1,\"parts\":[{\"tag\":\"a\"},{\"tag\":3}]}]",
                 "wrong_type: data.items[0]: parts[1]: tag is a number, not a string");
}

static void whole_numbers_may_be_written_as_fractions(void) {
    CHECK_OK(run_with("\"count\":3.0"), &err);
    CHECK_INT(values[COUNT].as.integer, 3);
    CHECK_OK(run_with("\"count\":1e1"), &err);
    CHECK_INT(values[COUNT].as.integer, 10);
    CHECK_OK(run_with("\"count\":-0"), &err);
    CHECK_INT(values[COUNT].as.integer, 0);
}

static void json_keeps_its_strings_and_drops_its_spaces(void) {
    CHECK_OK(run_with("\"raw\": [ 1 , \" a \\\" \\\\\" , { \"k\" :\t\"\\n\" } ,\n-1.50 ]"), &err);
    CHECK_SLICE(values[RAW].as.text, "[1,\" a \\\" \\\\\",{\"k\":\"\\n\"},-1.50]");
}

static void an_empty_list_is_present(void) {
    CHECK_OK(run_with("\"items\":[],\"names\":[ ],\"raw\":[]"), &err);
    CHECK(values[ITEMS].present && values[ITEMS].as.list.rows == 0);
    CHECK(values[NAMES].present && values[NAMES].as.strings.count == 0);
    CHECK_SLICE(values[RAW].as.text, "[]");
}

static void an_invalid_field_leaves_the_others_readable(void) {
    CHECK(!run_with("\"count\":\"x\",\"status\":\"?\",\"flag\":true,\"names\":[\"n\"]"));
    CHECK_HAS(err.text, "wrong_type: data.count");
    CHECK(values[ID].present && !values[COUNT].present && !values[STATUS].present);
    CHECK(values[FLAG].present && values[NAMES].present);
    CHECK_SLICE(values[ID].as.text, "a");
}

static void a_quoted_value_ends_at_a_character(void) {
    char rest[400] = "\"status\":\"";
    for (int i = 0; i < 60; i++) {
        strcat(rest, "\xE2\x82\xAC");
    }
    strcat(rest, "\"");
    CHECK(!run_with(rest));
    size_t len = strlen(err.text);
    CHECK(strncmp(err.text + len - 4, "\xE2\x82\xAC\"", 4) == 0);
}

static void refuses_documents_nested_too_deep(void) {
    char document[400] = "{\"x\":";
    memset(document + 5, '[', 100);
    memset(document + 105, ']', 100);
    strcpy(document + 205, "}");
    refuses(document, "too_deep: ");
}

static void paths_without_parts_are_refused(void) {
    static const char *const bad[] = {"", ".", "a..b", ".a", "a."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct extract_field field = {.name = "f", .paths = &bad[i], .path_count = 1};
        CHECK(!extract_plan_create(&field, 1, &err));
        CHECK_HAS(err.text, "empty part");
    }
    struct extract_field field = {.name = "f"};
    CHECK(!extract_plan_create(&field, 1, &err));
    CHECK_HAS(err.text, "field f has no path");
}

static void a_plan_without_fields_only_validates(void) {
    struct extract_plan *empty = extract_plan_create(NULL, 0, &err);
    struct arena *own = arena_create(256);
    CHECK_OK(extract_run(empty, slice_of("{\"a\":[1]}"), own, NULL, &err), &err);
    CHECK(!extract_run(empty, slice_of("{\"a\":[1}"), own, NULL, &err));
    arena_destroy(own);
    extract_plan_destroy(empty);
}

/* Each after each: the order of one document's keys is the guess at the next one's. */
static void earlier_documents_do_not_change_what_is_read(void) {
    static const char *const documents[] = {
        "{\"data\": {\"id\": \"a\", \"count\": 3, \"flag\": true, \"status\": \"done\"}}",
        "{\"data\": {\"status\": \"done\", \"flag\": true, \"count\": 3, \"id\": \"a\"}}",
        "{\"data\":{\"count\":3,\"id\":\"a\",\"status\":\"done\",\"flag\":true}}",
        "{\n  \"data\" : {\n\"id\"\t:\n\"a\" ,\"count\":  3, \"flag\": true,\"status\": \"done\" "
        "}}",
        "{\"x\": 1, \"data\": {\"idea\": {\"id\": \"b\"}, \"id\": \"a\", \"i\": [], \"count\": 3, "
        "\"\": 0, \"flag\": true, \"status \": \"x\", \"status\": \"done\"}, \"y\": null}",
        "{\"data\": {\"id\": \"b\", \"\\u0069d\": \"a\", \"count\": 1, \"count\": 3, \"flag\": "
        "true, "
        "\"status\": \"done\"}}",
        "{\"data\": {\"id\": \"b\"}, \"data\": {\"id\": \"a\", \"count\": 3, \"flag\": true, "
        "\"status\": \"done\"}}",
    };
    size_t count = sizeof documents / sizeof *documents;
    for (size_t i = 0; i < count * count * 2; i++) {
        CHECK_OK(run(documents[i % 2 ? i / 2 / count : i / 2 % count]), &err);
        CHECK_SLICE(values[ID].as.text, "a");
        CHECK_INT(values[COUNT].as.integer, 3);
        CHECK_INT(values[FLAG].as.integer, 1);
        CHECK_SLICE(values[STATUS].as.text, "COMPLETED");
        CHECK(!values[AT].present && !values[RAW].present);
    }
}

/* Also if documents spell them in several ways. */
static void names_beyond_plain_ascii_match(void) {
    const struct extract_field odd[] = {
        {.name = "quote", .type = FIELD_INTEGER, PATHS("a\"b")},
        {.name = "slash", .type = FIELD_INTEGER, PATHS("a\\b")},
        {.name = "accent", .type = FIELD_INTEGER, PATHS("\xC3\xA9")},
    };
    static const char *const documents[] = {
        "{\"a\\\"b\": 1, \"a\\\\b\": 2, \"\xC3\xA9\": 3}",
        "{\"a\\u0022b\": 1, \"a\\u005cb\": 2, \"\\u00e9\": 3}",
    };
    struct extract_plan *own = extract_plan_create(odd, 3, &err);
    for (int turn = 0; turn < 4; turn++) {
        struct extract_value found[3] = {0};
        err_clear(&err);
        CHECK_OK(extract_run(own, slice_of(documents[turn % 2]), arena, found, &err), &err);
        for (int i = 0; i < 3; i++) {
            CHECK_INT(found[i].as.integer, i + 1);
        }
    }
    CHECK(!extract_run(own, slice_of("{\"a\"b\": 1}"), arena, (struct extract_value[3]){0}, &err));
    CHECK_HAS(err.text, "not_json: ");
    extract_plan_destroy(own);
}

static const struct test_case cases[] = {
    {"whole numbers of 64 bits are exact", whole_numbers_of_64_bits_are_exact},
    {"a number that Lua would round is refused", a_number_that_lua_would_round_is_refused},
    {"dates are read", dates_are_read},
    {"reads what is declared", reads_what_is_declared},
    {"absent and null are equal", absent_and_null_are_equal},
    {"takes the first path that is not null", takes_the_first_path_that_is_not_null},
    {"takes the last of a repeated key", takes_the_last_of_a_repeated_key},
    {"a repeated object replaces the first whole", a_repeated_object_replaces_the_first_whole},
    {"keys match unescaped and whole", keys_match_unescaped_and_whole},
    {"earlier documents do not change what is read", earlier_documents_do_not_change_what_is_read},
    {"names beyond plain ASCII match", names_beyond_plain_ascii_match},
    {"names malformed documents", names_malformed_documents},
    {"names the problem of a field", names_the_problem_of_a_field},
    {"names the row that is wrong", names_the_row_that_is_wrong},
    {"whole numbers may be written as fractions", whole_numbers_may_be_written_as_fractions},
    {"json keeps its strings and drops its spaces", json_keeps_its_strings_and_drops_its_spaces},
    {"an empty list is present", an_empty_list_is_present},
    {"an invalid field leaves the others readable", an_invalid_field_leaves_the_others_readable},
    {"a quoted value ends at a character", a_quoted_value_ends_at_a_character},
    {"refuses documents nested too deep", refuses_documents_nested_too_deep},
    {"paths without parts are refused", paths_without_parts_are_refused},
    {"a plan without fields only validates", a_plan_without_fields_only_validates},
};

/* The plan and its arena serve every case. */
int main(int argc, char **argv) {
    plan = extract_plan_create(fields, FIELD_COUNT, &err);
    arena = arena_create(1024);
    int status = test_run(cases, sizeof cases / sizeof *cases, argc, argv);
    extract_plan_destroy(plan);
    arena_destroy(arena);
    free(document_copy);
    return status;
}
