/* What LuaJIT would compile wrongly is left out of the compiler, and what the compiler gives up is
 * named. */
#include "script/compiler.h"
#include "script/script_private.h"
#include "script/survey.h"
#include "scripts.h"

#define GUARD_TRACES 2 /* the guard's own, when what calls it is interpreted */
#define EVENTS 3000    /* LuaJIT gives a loop up after a dozen attempts, each after more turns */

static struct scripts scripts;
static struct script_generation *generation;
static struct script_instance *instance;

/* A handler of one line, the second. */
static void run(const char *head, const char *body, int events) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "handlers/t.lua",
                  "%s\nreturn { topics = { 't' }, fields = { id = 'data.id' }, handle = "
                  "function(event, view) %s end }",
                  head, body);
    instance = scripts_load(&scripts, &generation);
    struct arena *arena = arena_create(4096);
    struct merge *merge = merge_create(script_generation_view(generation));
    struct extract_value *values = scripts_event(generation, arena, SCRIPTS_EVENT);
    for (int i = 0; i < events && !test_failed; i++) {
        struct err err = {0};
        CHECK_OK(script_handle(instance, 0, values, merge, &err) == SCRIPT_OK, &err);
        merge_discard(merge);
    }
    merge_destroy(merge);
    arena_destroy(arena);
}

static void unload(void) {
    scripts_unload(&scripts, generation, instance);
}

static int traces_of(const char *head, const char *body) {
    run(head, body, 200);
    int traces = compiler_measure(instance).traces;
    unload();
    return traces;
}

#define LOOP "local n = 0 for i = 1, 200 do n = n + get(i) end"

static void a_function_that_stores_under_an_outer_local_is_not_compiled(void) {
    CHECK(traces_of("local kept = 1 local function get(i) return kept + i end", LOOP) >
          GUARD_TRACES);
    CHECK_INT(traces_of("local kept = 1 local function get(i) kept = i return i end", LOOP),
              GUARD_TRACES);
    CHECK_INT(traces_of("local kept = 1 local function get(i) kept = 'x' return i end", LOOP),
              GUARD_TRACES);
    CHECK_INT(
        traces_of("local function get(i) local function set() i = {} end set() return 1 end", LOOP),
        GUARD_TRACES);
}

static void a_function_of_many_slots_is_not_compiled(void) {
    struct buffer head = {0};
    buffer_append_text(&head, "local t = {} local function get(i) ");
    for (int i = 0; i < 110; i++) {
        buffer_append_text(&head, "t.k, ");
    }
    buffer_append_text(&head, "t.k = nil return i end");
    CHECK_INT(traces_of(head.data, LOOP), GUARD_TRACES);
    buffer_free(&head);
}

static void a_file_with_a_metamethod_for_concat_is_not_compiled(void) {
    CHECK_INT(traces_of("local m = { __concat = 1 } local function get(i) return i end", LOOP),
              GUARD_TRACES);
    CHECK_INT(traces_of("local m = { ['__concat'] = 1 } local function get(i) return i end", LOOP),
              GUARD_TRACES);
}

static char *report(void) {
    struct buffer json = {0};
    survey_report(&json);
    return json.data;
}

static void a_loop_that_the_compiler_gave_up_is_named_with_its_line(void) {
    run("local tostring = tostring", "for i = 1, 100 do tostring(i) end", EVENTS);
    survey_note(instance);
    survey_note(instance);
    char *said = report();
    CHECK_HAS(said, "handlers/t.lua:2\",\"states\":1}");
    free(said);
    survey_forget(instance);
    said = report();
    CHECK_TEXT(said, "[]");
    free(said);
    unload();
}

/* The garbage collector halves a stack that is hardly used. */
static void the_stack_of_a_compiled_state_stays_large(void) {
    run("", "local t = {} for i = 1, 1000 do t[i] = {} end", 300);
    lua_State *L = instance->host.L;
    for (int i = 0; i < 5; i++) {
        lua_gc(L, LUA_GCCOLLECT, 0);
    }
    size_t before = instance->memory_used;
    CHECK(lua_checkstack(L, 5000));
    CHECK_INT(instance->memory_used, before);
    unload();
}

static const struct test_case cases[] = {
    {"a function that stores under an outer local is not compiled",
     a_function_that_stores_under_an_outer_local_is_not_compiled},
    {"a function of many slots is not compiled", a_function_of_many_slots_is_not_compiled},
    {"a file with a metamethod for concat is not compiled",
     a_file_with_a_metamethod_for_concat_is_not_compiled},
    {"a loop that the compiler gave up is named with its line",
     a_loop_that_the_compiler_gave_up_is_named_with_its_line},
    {"the stack of a compiled state stays large", the_stack_of_a_compiled_state_stays_large},
};

TEST_MAIN(cases)
