/* A muted state: handlers run in full and reach no outside system; the systems they call are
 * recorded. */
#include <fcntl.h>

#include "handler.h"
#include "sockets.h"

static int listener;
static char urls[2][64];

/* The address of every outside system. It accepts nothing: a connection waits to be counted.
 */
static void open_listener(void) {
    int port;
    listener = listen_any(&port);
    CHECK(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
    snprintf(urls[0], sizeof urls[0], "postgresql://ras@127.0.0.1:%d/x", port);
    snprintf(urls[1], sizeof urls[1], "redis://127.0.0.1:%d", port);
}

static bool was_touched(void) {
    return accept(listener, NULL, NULL) >= 0;
}

/* A handler with this body, which merges `word` into the group `said`. */
static void load(const char *body) {
    open_listener();
    scripts_begin(&scripts);
    scripts.config.postgres.url = urls[0];
    scripts.config.postgres.connect_timeout_ms = 200;
    scripts.config.redis.url = urls[1];
    scripts.config.redis.timeout_ms = 200;
    scripts.config.scripts.handler_timeout_ms = 300;
    scripts_write(&scripts, "queries/one.sql", "SELECT 1 AS one");
    scripts_write(&scripts, "handlers/t.lua",
                  "local pg, redis = require('pg'), require('redis')\n"
                  "local http, clock = require('http'), require('clock')\n"
                  "local log, json, metrics = require('log'), require('json'), require('metrics')\n"
                  "local function use() return pg, redis, http, clock, log, json, metrics "
                  "end\nreturn { topics = { 't' }, fields = { id = 'data.id' },\n"
                  "handle = function(event, view) use()\n%s\nend }",
                  body);
    handler_open();
}

/* Handled muted, the body succeeds, touches nothing and rests on `binding`; NULL: on nothing. */
static void rests_on(const char *body, const char *binding) {
    load(body);
    script_instance_mute(instance, "this is a test");
    if (handle() != SCRIPT_OK) {
        TEST_FAIL("%s: %s", body, err.text);
    }
    const char *found = script_instance_rests_on(instance);
    if (!found != !binding || (found && strcmp(found, binding) != 0)) {
        TEST_FAIL("%s: rests on %s, want %s", body, found ? found : "nothing",
                  binding ? binding : "nothing");
    }
    CHECK(!was_touched());
    unload();
    close(listener);
}

static void questions(void) {
    static const struct {
        const char *call, *binding;
    } cases[] = {
        {"pg.query('one', {})", "pg"},
        {"pg.transaction(function() error('it runs') end)", "pg"},
        {"redis.call('SET', 'k', 'v', 'NX')", "redis"},
        {"redis.pipeline({ { 'INCR', 'k' } })", "redis"},
        {"http.request({ url = 'http://127.0.0.1:1/', method = 'POST', body = 'x' })", "http"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[512];
        snprintf(body, sizeof body,
                 "local got, failure = %s\nassert(got == nil and failure.kind == 'unavailable')\n"
                 "assert(failure.message == 'unavailable: this is a test', failure.message)",
                 cases[i].call);
        rests_on(body, cases[i].binding);
    }
    rests_on("clock.wall()", "clock");
    rests_on("clock.monotonic()", "clock");
    rests_on("assert(clock.rfc3339(0) == '1970-01-01T00:00:00.000000Z')", NULL);
}

static void hidden(void) {
    rests_on(
        "pcall(function() error(select(2, http.request({ url = 'http://127.0.0.1:1/' }))) end)\n"
        "view.things:merge(event.id, 'said', { word = 'in its place' })",
        "http");
}

static void published(void) {
    rests_on(
        "view:publish({ topic = 'x', key = 'k', identity = 'i', at = event.time, value = {} })",
        NULL);
}

static void nothing_asked(void) {
    rests_on("log.info('seen'); metrics.counter('seen_total', 'Seen.'):add(1)\n"
             "view.things:merge(event.id, 'said', { word = json.encode({ 1 }) })",
             NULL);
}

static void each_call_anew(void) {
    load("if event.id == 'a' and not pcall(error) then redis.call('GET', 'k') end");
    script_instance_mute(instance, "this is a test");
    CHECK_INT(handle(), SCRIPT_OK);
    CHECK_TEXT(script_instance_rests_on(instance), "redis");
    script_instance_mute(instance, NULL);
    CHECK_INT(handle(), SCRIPT_OK);
    CHECK(script_instance_rests_on(instance) == NULL);
    CHECK(was_touched());
    unload();
    close(listener);
}

static const struct test_case cases[] = {
    {"a call fails, reaches nothing and is recorded", questions},
    {"a failure that the handler hides is recorded", hidden},
    {"publishing rests on nothing", published},
    {"a handler without calls rests on nothing", nothing_asked},
    {"live handling rests on nothing, whatever the event before did", each_call_anew},
};
TEST_MAIN(cases)
