/* extract: bounds of lengths, fields that another one makes required, objects. */
#include "extract/extract.h"
#include "test.h"

static const char *const id_paths[] = {"id"};
static const char *const old_paths[] = {"old.id"};
static const char *const note_paths[] = {"note"};
static const char *const names_paths[] = {"names"};
static const char *const block_paths[] = {"block"};

enum { ID, OLD, NOTE, NAMES, BLOCK, FIELDS };
static const struct extract_field fields[FIELDS] = {
    [ID] = {.name = "id", .paths = id_paths, .path_count = 1, .has_min = true, .min = 1},
    [OLD] = {.name = "old", .optional = true, .paths = old_paths, .path_count = 1},
    [NOTE] = {.name = "note",
              .required_if = "old",
              .paths = note_paths,
              .path_count = 1,
              .has_max = true,
              .max = 3},
    [NAMES] = {.name = "names",
               .type = FIELD_STRINGS,
               .optional = true,
               .paths = names_paths,
               .path_count = 1,
               .has_min = true,
               .min = 1},
    [BLOCK] = {.name = "block",
               .type = FIELD_OBJECT,
               .optional = true,
               .paths = block_paths,
               .path_count = 1},
};

static struct extract_value values[FIELDS];
static struct err err;

/* The reason, or "" where the document is taken. */
static const char *reason_of(const char *document) {
    struct arena *arena = arena_create(1024);
    struct extract_plan *plan = extract_plan_create(fields, FIELDS, &err);
    CHECK(plan != NULL);
    err_clear(&err);
    CHECK(extract_run(plan, slice_of(document), arena, values, &err) == (err.text[0] == '\0'));
    extract_plan_destroy(plan);
    arena_destroy(arena);
    return err.text;
}

static void bounds_the_length_of_a_string(void) {
    CHECK_TEXT(reason_of("{\"id\":\"a\"}"), "");
    CHECK_TEXT(reason_of("{\"id\":\"\"}"), "out_of_range: id is 0 bytes long");
    CHECK_TEXT(reason_of("{\"id\":\"a\",\"note\":\"abc\"}"), "");
    CHECK_TEXT(reason_of("{\"id\":\"a\",\"note\":\"\\u00e5\\u00e5\"}"),
               "out_of_range: note is 4 bytes long");
}

static void bounds_the_length_of_each_of_a_list(void) {
    CHECK_TEXT(reason_of("{\"id\":\"a\",\"names\":[]}"), "");
    CHECK_TEXT(reason_of("{\"id\":\"a\",\"names\":[\"x\",\"y\"]}"), "");
    CHECK(strncmp(reason_of("{\"id\":\"a\",\"names\":[\"x\",\"\"]}"), "out_of_range: names", 19) ==
          0);
}

static void requires_a_field_if_another_is_present(void) {
    const char *missing = "missing_field: note is missing";
    CHECK_TEXT(reason_of("{\"id\":\"a\",\"old\":{\"id\":\"o\"}}"), missing);
    CHECK_TEXT(reason_of("{\"id\":\"a\",\"note\":null,\"old\":{\"id\":\"o\"}}"), missing);
    CHECK_TEXT(reason_of("{\"id\":\"a\",\"note\":\"n\",\"old\":{\"id\":\"o\"}}"), "");
    CHECK_TEXT(reason_of("{\"id\":\"a\",\"old\":{\"id\":null}}"), "");
    CHECK_TEXT(reason_of("{\"id\":\"a\"}"), "");
}

static void tells_objects_from_other_values(void) {
    CHECK_TEXT(reason_of("{\"id\":\"a\",\"block\":{\"x\":1}}"), "");
    CHECK(values[BLOCK].present);
    CHECK_TEXT(reason_of("{\"id\":\"a\",\"block\":null}"), "");
    CHECK(!values[BLOCK].present);
    CHECK_TEXT(reason_of("{\"id\":\"a\",\"block\":[]}"),
               "wrong_type: block is a list, not an object");
}

static void refuses_a_condition_on_no_field(void) {
    const struct extract_field alone[] = {
        {.name = "note", .required_if = "nobody", .paths = note_paths, .path_count = 1}};
    CHECK(extract_plan_create(alone, 1, &err) == NULL);
    CHECK_TEXT(err.text, "field note: required_if names no field \"nobody\"");
}

static const struct test_case cases[] = {
    {"bounds the length of a string", bounds_the_length_of_a_string},
    {"bounds the length of each string of a list", bounds_the_length_of_each_of_a_list},
    {"requires a field if another is present", requires_a_field_if_another_is_present},
    {"tells objects from other values", tells_objects_from_other_values},
    {"refuses a condition on no field", refuses_a_condition_on_no_field},
};

TEST_MAIN(cases)
