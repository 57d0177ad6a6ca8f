/* Members of a request's body that a route does not declare. Most useful under AddressSanitizer. */
#include "scripts.h"

static struct scripts scripts;
static struct script_generation *generation;
static struct err err;

static void load(void) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "routes/r.lua",
                  "return { path = '/x', method = 'POST', auth = false,\n"
                  "body = { fields = { note = { 'note', optional = true },\n"
                  "  name = { 'customer.name', optional = true } } },\n"
                  "handle = function() return { status = 204 } end }");
    generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
}

/* What the body is refused with, "" if it is taken. Its bytes end where their memory does. */
static const char *refusal(const char *body) {
    size_t count, len = strlen(body);
    struct arena *arena = arena_create(4096);
    char *bytes = malloc(len);
    memcpy(bytes, body, len);
    struct script_request request = {.body = {bytes, len}};
    err_clear(&err);
    bool taken =
        script_read_inputs(script_generation_routes(generation, &count), &request, arena, &err);
    CHECK(taken == !err.text[0]);
    arena_destroy(arena);
    free(bytes);
    return err.text;
}

static void a_member_that_no_field_declares_is_refused(void) {
    load();
    CHECK_TEXT(refusal("{\"note\":\"a\",\"customer\":{\"name\":\"b\"}}"), "");
    CHECK_HAS(refusal("{\"not\":1}"), "Unknown field \"not\": did you mean \"note\"?");
    CHECK_HAS(refusal("{\"customer\":{\"nam\":1}}"), "Unknown field \"customer.nam\"");
    script_generation_unref(generation);
    scripts_end(&scripts);
}

static void a_name_that_continues_after_a_nul_is_another_name(void) {
    load();
    CHECK_HAS(refusal("{\"note\\u0000\":1}"), "Unknown field \"note");
    CHECK_HAS(refusal("{\"note\\u0000, far behind the end of the declared name\":1}"), "Unknown");
    CHECK_HAS(refusal("{\"customer\":{\"\\u0000\":1}}"), "Unknown field \"customer.");
    script_generation_unref(generation);
    scripts_end(&scripts);
}

static void a_name_with_a_dot_is_no_path(void) {
    load();
    CHECK_HAS(refusal("{\"customer.name\":\"a\"}"),
              "Unknown field \"customer.name\": no name has a dot: nest it in an object");
    script_generation_unref(generation);
    scripts_end(&scripts);
}

static const struct test_case cases[] = {
    {"a member that no field declares is refused", a_member_that_no_field_declares_is_refused},
    {"a name that continues after a NUL is another name",
     a_name_that_continues_after_a_nul_is_another_name},
    {"a name with a dot is no path", a_name_with_a_dot_is_no_path},
};

TEST_MAIN(cases)
