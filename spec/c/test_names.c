/* Names that scripts misspell while they run: the error says file and line, what is wrong, the
 * nearest name and where to look. What is written plainly is found before (test_literals): here the
 * parameters come as `...`. */
#include <stdlib.h>

#include "scripts.h"

static struct err err;

static const char handler[] = "local M = {\n"
                              "  topics = { 't' },\n"
                              "  fields = {\n"
                              "    word = 'data.word', maybe = { 'data.maybe', optional = true },\n"
                              "    hidden = { 'data.word', check_only = true },\n"
                              "    marks = { 'data.marks', type = 'list', fields = { rank = "
                              "'rank', note = { 'note', optional "
                              "= true } } },\n"
                              "  },\n"
                              "}\n"
                              "function M.handle(...) local event, view = ...\n"
                              "  %s\n"
                              "end\n"
                              "return M\n";
#define LINE "/handlers/h.lua:10: "
static const char document[] =
    "{\"event_id\":\"0123abcd-4567-89ef-0123-456789abcdef\",\"event_type\":\"t\","
    "\"source_service\":\"s\",\"event_timestamp\":\"2025-06-28T08:00:00Z\",\"data\":{\"word\":"
    "\"w\","
    "\"marks\":[{\"rank\":\"1\"}]}}";

/* The first line of the error of a handler with this body, "" where there is none. */
static const char *error_of(const char *body) {
    struct scripts scripts;
    struct arena *arena = arena_create(4096);
    scripts_begin(&scripts);
    scripts_write(&scripts, "handlers/h.lua", handler, body);
    scripts_write(&scripts, "lib/ranking.lua", "return {}");
    scripts_write(&scripts, "queries/batch_status.sql", "SELECT 1");
    scripts.config.postgres.url = "";
    struct script_generation *generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    struct script_instance *instance = script_instance_create(generation, &err);
    CHECK_OK(instance != NULL, &err);
    struct merge *merge = merge_create(script_generation_view(generation));
    struct extract_value *values = scripts_event(generation, arena, document);
    err_clear(&err);
    script_handle(instance, 0, values, merge, &err);
    err.text[strcspn(err.text, "\n")] = '\0';
    merge_destroy(merge);
    scripts_unload(&scripts, generation, instance);
    arena_destroy(arena);
    return err.text;
}

/* The error is `wanted`, behind the folder of the test, with every FOLDER in it cut out. */
static void says(const char *body, const char *wanted) {
    char got[sizeof err.text] = "";
    static const char folder[] = "/tmp/test_scripts.";
    size_t len = 0;
    for (const char *at = error_of(body); *at && len + 1 < sizeof got;) {
        if (strncmp(at, folder, sizeof folder - 1) == 0) {
            at += sizeof folder - 1 + 6; /* XXXXXX */
        } else {
            got[len++] = *at++;
        }
    }
    got[len] = '\0';
    CHECK_TEXT(got, wanted);
}

static void an_undeclared_field_suggests_the_nearest(void) {
    says("return event.wrod",
         LINE "event has no field \"wrod\": did you mean \"word\"? (`fields` of /handlers/h.lua)");
    says("return event.colour", LINE
         "event has no field \"colour\": there are correlation_id, event_id, event_type, marks, "
         "maybe, time, word (`fields` of /handlers/h.lua)");
    says("return event.marks[1].rnak", LINE "an item of marks has no field \"rnak\": did you mean "
                                            "\"rank\"? (`fields` of /handlers/h.lua)");
}

static void a_field_that_is_only_checked_says_so(void) {
    says("return event.hidden", LINE "event: field \"hidden\" is declared check_only: handlers "
                                     "cannot read it (`fields` of /handlers/h.lua)");
}

static void a_declared_field_that_is_absent_is_nil(void) {
    says("assert(event.maybe == nil and event.marks[1].note == nil and event[1] == nil)", "");
    says("event.marks[1].mine = 1; assert(event.marks[1].mine == 1)", "");
}

static void an_unknown_name_of_the_view_suggests_the_nearest(void) {
    says("view.thigns:merge('a', 'said', {})",
         LINE "the view has no table \"thigns\": did you mean \"things\"? (/view.lua)");
    says("view.things:merge('a', 'siad', {})",
         LINE "table \"things\" has no group \"siad\": did you mean \"said\"? (/view.lua)");
    says("view.things:merge('a', 'said', { wrod = 'x' })",
         LINE "group \"said\" has no column \"wrod\": did you mean \"word\"? (/view.lua)");
    says("view.things:marge('a')", LINE "things has no method \"marge\": did you mean \"merge\"?");
}

static void an_unknown_name_of_a_module_suggests_the_nearest(void) {
    says("require('lib.rankings')", LINE "module \"lib.rankings\" is neither a binding nor a file "
                                         "under scripts/: did you mean \"lib.ranking\"?");
    says("require('reddis')", LINE "module \"reddis\" is neither a binding nor a file under "
                                   "scripts/: did you mean \"redis\"?");
    says("require('zlib')", LINE "module \"zlib\" is neither a binding nor a file under scripts/");
    says("require('log').warn('x')", LINE "log has no \"warn\": did you mean \"warning\"?");
}

static void an_unknown_global_suggests_the_nearest(void) {
    says("return tostrng(1)",
         LINE "global \"tostrng\" is not declared: did you mean \"tostring\"?");
    says("return json.null", LINE "global \"json\" is not declared: write local json = "
                                  "require(\"json\")");
    says("return os.time()",
         LINE "global \"os\" is not available to scripts: for durations use require(\"clock\"); "
              "take times from the event, settings from config.lua");
    says("return jit.off()", LINE "global \"jit\" is not available to scripts: `scripts.compile` "
                                  "and `scripts.interpreted` decide what is compiled");
    says("return colour", LINE "global \"colour\" is not declared: write local");
}

static void an_unknown_query_suggests_the_nearest(void) {
    says("require('pg').query('batch_statu')",
         LINE "pg.query: no query \"batch_statu\": did you mean \"batch_status\"? (it would be "
              "sql/queries/batch_statu.sql)");
}

static struct slice given_traceparent;

/* The error of a route with this body. */
static void route_with_says(const char *keys, const char *body, const char *wanted) {
    struct scripts scripts;
    struct script_pair param = {slice_of("batch_id"), slice_of("b")};
    struct script_request request = {.params = &param,
                                     .param_count = 1,
                                     .correlation_id = "c",
                                     .traceparent = given_traceparent};
    struct script_response response = {0};
    scripts_begin(&scripts);
    scripts_write(
        &scripts, "routes/r.lua",
        "return { path = '/{batch_id}', %s handle = function(...) local request = ... %s end }",
        keys, body);
    struct script_generation *generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    struct script_instance *instance = script_instance_create(generation, &err);
    CHECK_OK(instance != NULL, &err);
    err_clear(&err);
    script_answer(instance, &request, &response, &err);
    CHECK_HAS(err.text, wanted);
    free((char *)response.body.data);
    free(response.tags);
    scripts_unload(&scripts, generation, instance);
}

static void route_says(const char *body, const char *wanted) {
    route_with_says("", body, wanted);
}

static void a_cached_route_cannot_read_an_undeclared_query(void) {
    static const char cached[] = "cache = { key = '{batch_id}' },";
    route_with_says(
        cached, "return { status = 200, body = request.query.n or '{}' }",
        "routes/r.lua:1: request: \"query\" is not available: a cached route declares its "
        "`query`, and names it in `cache.vary`");
    route_with_says(cached, "return { status = 200, body = request.params.batch_id }", "");
}

static void an_unknown_name_of_a_request_suggests_the_nearest(void) {
    route_says("return request.params.bacth_id",
               "routes/r.lua:1: request.params has no \"bacth_id\": did you mean \"batch_id\"? "
               "(/{batch_id})");
    route_says("return request.parms", "request has no \"parms\": did you mean \"params\"?");
    route_says("return { status = 200, body = request.query.anything or request.params.batch_id }",
               "");
}

static void a_request_has_its_traceparent_or_nil(void) {
    route_says("error(tostring(request.traceparent))", ": nil");
    given_traceparent = slice_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    route_says("error(request.traceparent)", given_traceparent.data);
    given_traceparent = (struct slice){0};
}

static const struct test_case cases[] = {
    {"an undeclared field suggests the nearest", an_undeclared_field_suggests_the_nearest},
    {"a field that is only checked says so", a_field_that_is_only_checked_says_so},
    {"a declared field that is absent is nil", a_declared_field_that_is_absent_is_nil},
    {"an unknown name of the view suggests the nearest",
     an_unknown_name_of_the_view_suggests_the_nearest},
    {"an unknown name of a module suggests the nearest",
     an_unknown_name_of_a_module_suggests_the_nearest},
    {"an unknown global suggests the nearest", an_unknown_global_suggests_the_nearest},
    {"an unknown query suggests the nearest", an_unknown_query_suggests_the_nearest},
    {"a cached route cannot read an undeclared query",
     a_cached_route_cannot_read_an_undeclared_query},
    {"a request has its traceparent or nil", a_request_has_its_traceparent_or_nil},
    {"an unknown name of a request suggests the nearest",
     an_unknown_name_of_a_request_suggests_the_nearest},
};

TEST_MAIN(cases)
