/* An outage that a handler passes on is told from its own errors: raised or returned, as a failure
 * or as its message. */
#include "handler.h"

/* Nothing listens at http://127.0.0.1:1/. */
static void load(const char *body) {
    scripts_begin(&scripts);
    scripts.config.scripts.handler_timeout_ms = 300;
    scripts_write(&scripts, "handlers/t.lua",
                  "local http = require('http')\n"
                  "local function ask() return http.request({ url = 'http://127.0.0.1:1/' }) end\n"
                  "return { topics = { 't' }, fields = { id = 'data.id' },\n"
                  "handle = function(event, view)\nif not http then return ask() end\n%s\nend }",
                  body);
    handler_open();
}

static void gives(const char *body, enum script_result want) {
    load(body);
    enum script_result result = handle();
    if (result != want) {
        TEST_FAIL("%s: result %d, want %d: %s", body, result, want, err.text);
    }
    unload();
}

static void passed_on(void) {
    static const char *const bodies[] = {
        "local _, failure = ask(); error(failure)",
        "local _, failure = ask(); error(failure.message)",
        "local _, failure = ask(); error('essay service: ' .. failure.message)",
        "return ask()",
        "assert(ask())",
        "local _, failure = ask(); assert(false, failure.message)",
        "local ok, raised = pcall(function() error(select(2, ask())) end); error(raised)",
        "error({ kind = 'unavailable', message = 'the essay service answers 503' })",
        "return nil, { kind = 'timeout', message = 'the essay service answers late' }",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        gives(bodies[i], SCRIPT_OUTAGE);
    }
}

static void said(void) {
    load("error({ kind = 'unavailable', message = 'the essay service answers 503' })");
    CHECK_INT(handle(), SCRIPT_OUTAGE);
    CHECK(strstr(err.text, "the essay service answers 503") != NULL);
    CHECK_INT(err.kind, ERR_UNAVAILABLE);
    unload();
}

static void own_errors(void) {
    static const char *const bodies[] = {
        "ask(); error('a slip')",
        "ask(); local t; t.x = 1",
        "error('unavailable')",
        "error({ kind = 'input', message = 'no such essay' })",
        "return nil, { kind = 'input', message = 'no such essay' }",
        "error({ kind = 'unavailable' })",
        "error({ message = 'unavailable' })",
        "error(setmetatable({}, { __index = function() return 'unavailable' end }))",
        "error({ kind = {}, message = function() end })",
        "return 'unavailable'",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        gives(bodies[i], SCRIPT_ERROR);
    }
}

static void overcome(void) {
    gives("local answer, failure = ask(); if not answer then return 'ignored' end", SCRIPT_IGNORED);
    gives("ask()", SCRIPT_OK);
    gives("return nil, 'a second value'", SCRIPT_ERROR);
}

static void each_call_anew(void) {
    load("local _, failure = ask(); error(failure)");
    CHECK_INT(handle(), SCRIPT_OUTAGE);
    CHECK_INT(handle(), SCRIPT_OUTAGE);
    unload();
}

static void time_over(void) {
    gives("ask(); while true do end", SCRIPT_OUTAGE);
    gives("while true do end", SCRIPT_TIMEOUT);
}

static void muted(void) {
    load("return ask()");
    script_instance_mute(instance, "this is a test");
    CHECK_INT(handle(), SCRIPT_ERROR);
    unload();
}

static const struct test_case cases[] = {
    {"an outage that is passed on in any way is an outage", passed_on},
    {"the unavailable system is named", said},
    {"an error of the handler is no outage", own_errors},
    {"a handler that overcomes an outage has handled the event", overcome},
    {"a second outage is one again", each_call_anew},
    {"a time limit is an outage only after a failure", time_over},
    {"a muted handler meets none", muted},
};
TEST_MAIN(cases)
