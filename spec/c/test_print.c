/* print of scripts: a line of the log with its script and line, bounded; nothing in muted states;
 * plain lines for commands of authors. The cases share the limit, in their order. */
#include "captured.h"
#include "script/script_private.h"
#include "scripts.h"

static struct scripts scripts;
static struct script_generation *generation;
static struct script_instance *instance;

static void load(const char *body) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "routes/r.lua",
                  "return { path = '/{id}', handle = function(request)\n%s\n"
                  "return { status = 200, body = '{}' } end }",
                  body);
    instance = scripts_load(&scripts, &generation);
    captured_begin();
}

static enum script_result answer(void) {
    struct script_response response;
    struct err err = {0};
    struct script_pair id = {slice_of("id"), slice_of("7")};
    struct script_request request = {.params = &id, .param_count = 1, .correlation_id = "c"};
    enum script_result result = script_answer(instance, &request, &response, &err);
    script_response_free(&response);
    return result;
}

static void unload(void) {
    captured_end();
    scripts_unload(&scripts, generation, instance);
}

static void a_line_of_the_log_names_script_and_line(void) {
    load("print('id', request.params.id, nil, 1.5, {}, true)");
    CHECK_INT(answer(), SCRIPT_OK);
    const char *line = captured_take();
    CHECK_HAS(line, "\"level\":\"info\",\"message\":\"script printed\"");
    CHECK_HAS(line, "/routes/r.lua\",\"line\":2,\"text\":\"id\\t7\\tnil\\t1.5\\ttable\\ttrue\"}");
    unload();
}

static void a_long_text_is_cut(void) {
    load("print(('x'):rep(5000))");
    CHECK_INT(answer(), SCRIPT_OK);
    const char *text = strstr(captured_take(), "\"text\":\"");
    CHECK(text != NULL);
    CHECK_INT(text ? strspn(text + 8, "x") : 0, 2048);
    unload();
}

static void a_muted_state_and_a_higher_level_print_nothing(void) {
    load("print('x')");
    script_instance_mute(instance, "test");
    CHECK_INT(answer(), SCRIPT_OK);
    script_instance_mute(instance, NULL);
    log_configure(LOG_WARNING, false);
    CHECK_INT(answer(), SCRIPT_OK);
    CHECK_TEXT(captured_take(), "");
    unload();
}

/* Two lines were written before. */
static void the_rest_is_counted(void) {
    load("for i = 1, 20 do print(i) end");
    CHECK_INT(answer(), SCRIPT_OK);
    const char *lines = captured_take();
    CHECK_HAS(lines, "\"text\":\"8\"");
    CHECK(strstr(lines, "\"text\":\"9\"") == NULL);
    print_flush(INT64_MAX);
    CHECK_HAS(captured_take(),
              "\"message\":\"lines that scripts printed were left out of the log\",\"count\":12}");
    print_flush(INT64_MAX);
    CHECK_TEXT(captured_take(), "");
    unload();
}

static void an_error_of_tostring_is_the_scripts(void) {
    load("print(setmetatable({}, { __tostring = function() return {} end }))");
    CHECK_INT(answer(), SCRIPT_ERROR);
    unload();
}

static void authors_get_plain_lines_also_of_muted_states(void) {
    script_print_plainly();
    load("for i = 1, 20 do print('a\\tb\\27', i) end");
    script_instance_mute(instance, "test");
    CHECK_INT(answer(), SCRIPT_OK);
    const char *lines = captured_take();
    CHECK_HAS(lines, "/routes/r.lua:2: a\tb\\u001B\t1\n");
    CHECK_HAS(lines, "/routes/r.lua:2: a\tb\\u001B\t20\n");
    unload();
}

static const struct test_case cases[] = {
    {"a line of the log names script and line", a_line_of_the_log_names_script_and_line},
    {"a long text is cut", a_long_text_is_cut},
    {"a muted state and a higher level print nothing",
     a_muted_state_and_a_higher_level_print_nothing},
    {"the rest is counted", the_rest_is_counted},
    {"an error of tostring is the script's", an_error_of_tostring_is_the_scripts},
    {"authors get plain lines, also of muted states", authors_get_plain_lines_also_of_muted_states},
};

TEST_MAIN(cases)
