/* script pool: few states for many threads, replaced after a limit. Also run under ThreadSanitizer.
 */
#include <pthread.h>

#include "base/metrics.h"
#include "base/recent_requests.h"
#include "scripts.h"

static struct scripts scripts;
static struct script_generation *generation;
static struct script_pool *pool;
static struct err err;

static void begin_with_states(int states, const char *body) {
    scripts_begin(&scripts);
    scripts.config.http.states = states;
    scripts_write(&scripts, "routes/r.lua",
                  "local calls = 0\nreturn { method = 'GET', path = '/r/{id}', handle = "
                  "function(request) calls = calls + 1; %s\nend }",
                  body);
    generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    pool = generation ? script_pool_create(generation, &err) : NULL;
    if (!pool) {
        printf("    %s\n", err.text);
        exit(1);
    }
}

static void begin(const char *body) {
    begin_with_states(2, body);
}

static void end(void) {
    script_pool_destroy(pool);
    script_generation_unref(generation);
    scripts_end(&scripts);
}

struct reply {
    enum script_result result;
    int status;
    char body[64];
    struct err err;
};

static struct reply answer(const char *id, int timeout_ms) {
    struct script_pair param = {slice_of("id"), slice_of(id)};
    struct script_request request = {.params = &param, .param_count = 1, .correlation_id = "test"};
    struct script_response response;
    struct reply reply = {0};
    reply.result = script_pool_answer(pool, &request, timeout_ms, &response, &reply.err);
    reply.status = response.status;
    snprintf(reply.body, sizeof reply.body, "%.*s", (int)response.body.len,
             response.body.data ? response.body.data : "");
    free((char *)response.body.data);
    free(response.tags);
    return reply;
}

static void *answer_many(void *argument) {
    for (int i = 0; i < 200; i++) {
        char id[32];
        snprintf(id, sizeof id, "%s-%d", (const char *)argument, i);
        struct reply reply = answer(id, 10000);
        CHECK_INT(reply.result, SCRIPT_OK);
        CHECK_TEXT(reply.body, id);
    }
    return NULL;
}

static void each_request_gets_its_own_response(void) {
    static char *const names[] = {"a", "b", "c", "d", "e", "f"};
    pthread_t threads[6];
    begin("return { status = 200, body = request.params.id }");
    for (size_t i = 0; i < 6; i++) {
        pthread_create(&threads[i], NULL, answer_many, names[i]);
    }
    for (size_t i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
    }
    end();
}

static void a_request_for_a_state_is_recent_for_a_second(void) {
    CHECK(!recent_requests_any()); /* the first test */
    begin("return { body = {} }");
    CHECK(!recent_requests_any());
    answer("x", 1000);
    CHECK(recent_requests_any());
    end();
}

static void a_state_that_hit_a_limit_is_replaced(void) {
    begin("if request.params.id == 'loop' then while true do end end "
          "if request.params.id == 'full' then local t = {} while true do t[#t + 1] = {} end end "
          "return { status = 200, body = tostring(calls) }");
    scripts.config.scripts.route_timeout_ms = 50;
    for (int i = 0; i < 3; i++) {
        CHECK_INT(answer("loop", 1000).result, SCRIPT_TIMEOUT);
        scripts.config.scripts.route_timeout_ms = 10000;
        CHECK_INT(answer("full", 1000).result, SCRIPT_ERROR);
        scripts.config.scripts.route_timeout_ms = 50;
    }
    scripts.config.scripts.route_timeout_ms = 10000;
    struct reply reply = answer("ok", 1000);
    CHECK_INT(reply.result, SCRIPT_OK);
    CHECK_TEXT(reply.body, "1"); /* fresh: no call before */
    end();
}

static _Atomic bool stop;

static void *loop_in_thread(void *argument) {
    (void)argument;
    while (!stop) {
        CHECK_INT(answer("loop", 10000).result, SCRIPT_TIMEOUT);
    }
    return NULL;
}

static void waiting_for_a_state_ends_in_time(void) {
    begin("while true do end");
    scripts.config.scripts.route_timeout_ms = 300;
    pthread_t threads[3]; /* one more than there are states */
    struct reply mine = {0};
    stop = false;
    for (size_t i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, loop_in_thread, NULL);
    }
    for (int i = 0; i < 20 && !strstr(mine.err.text, "no Lua state came free"); i++) {
        mine = answer("loop", 20);
    }
    CHECK_INT(mine.result, SCRIPT_TIMEOUT);
    CHECK_INT(mine.err.kind, ERR_BUSY);
    CHECK_HAS(mine.err.text, "no Lua state came free in 20 ms");
    stop = true;
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    end();
}

static double waiting(void) {
    return metric_value(metric_single(METRIC_GAUGE, SCRIPT_WAITING_METRIC, ""));
}

struct asker {
    pthread_t thread;
    bool loops_first; /* and asks again */
    char place[8];    /* how manieth its answer was of a fresh state */
};

static void *ask_in_thread(void *argument) {
    struct asker *asker = argument;
    if (asker->loops_first) {
        CHECK_INT(answer("loop", 10000).result, SCRIPT_TIMEOUT);
    }
    snprintf(asker->place, sizeof asker->place, "%.7s", answer("", 10000).body);
    return NULL;
}

/* A thread that returns a state and asks again queues behind all waiters. */
static void a_state_goes_to_the_longest_waiter(void) {
    struct asker first = {.loops_first = true}, others[3] = {0};
    begin_with_states(1, "while request.params.id == 'loop' do end "
                         "return { status = 200, body = tostring(calls) }");
    scripts.config.scripts.route_timeout_ms = 1000;
    pthread_create(&first.thread, NULL, ask_in_thread, &first);
    WAIT_UNTIL(answer("", 1).result == SCRIPT_TIMEOUT);
    for (size_t i = 0; i < 3; i++) {
        pthread_create(&others[i].thread, NULL, ask_in_thread, &others[i]);
        WAIT_UNTIL(waiting() == (double)i + 1);
    }
    for (size_t i = 0; i < 3; i++) {
        char place[8] = {(char)('1' + i)};
        pthread_join(others[i].thread, NULL);
        CHECK_TEXT(others[i].place, place);
    }
    pthread_join(first.thread, NULL);
    CHECK_TEXT(first.place, "4");
    CHECK(waiting() == 0);
    end();
}

static void invalid_responses_are_errors(void) {
    static const struct {
        const char *body, *reason;
    } answers[] = {
        {"", "it returned a nil, which is no response"},
        {"return 5", "it returned a number, which is no response"},
        {"return {}", "`status` of its response is a whole number from 200 to 599, not a nil"},
        {"return { status = 200 }", "its response has neither `body` nor `error`"},
        {"return { status = 99, body = 'x' }", "a whole number from 200 to 599, not 99"},
        {"return { status = 'x', body = 'x' }", "a whole number from 200 to 599, not a string"},
        {"return { status = 200, body = {} }", "`body` of its response is a string, not a table"},
        {"return { status = 200, body = '', type = 'a' }", "has `type` without `error`"},
        {"return { status = 200, body = '', headers = 1 }",
         "`headers` of its response is a table, not a number"},
        {"return { status = 200, body = '', headers = { 'a' } }",
         "`headers` of its response maps names to strings, not a number to a string"},
        {"return { status = 200, body = '', headers = { A = 1 } }", "not a string to a number"},
        {"return { status = 200, body = '', headers = { ['A B'] = 'c' } }",
         "has the name \"A B\": a name has letters, digits and -_ only"},
        {"return { status = 200, body = '', headers = { ['A\\0'] = 'c' } }", "has the name \"A\""},
        {"return { status = 200, body = '', headers = { A = 'b\\r\\nC: d' } }",
         "the header A of its response holds the byte 13"},
        {"return { status = 200, body = '', headers = { A = '\\0' } }", "the byte 0"},
        {"return { status = 200, body = '', headers = { ['content-LENGTH'] = '1' } }",
         "has content-LENGTH, which the program sets: remove it"},
        {"return { status = 200, body = '', headers = { connection = 'close' } }",
         "has connection, which the program sets"},
        {"return { status = 200, body = '', headers = { a = '1', A = '1' } }",
         "twice, in two spellings"},
        {"return { status = 200, body = '', headers = { a = ('x'):rep(9000) } }",
         "has more than 8192 bytes"},
        {"return { status = 400, error = 'x', headers = { ['Content-Type'] = 'text/html' } }",
         "has `error` and a Content-Type: an error is JSON"},
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        begin(answers[i].body);
        struct reply reply = answer("x", 1000);
        if (reply.result != SCRIPT_ERROR) {
            TEST_FAIL("%s: result %d", answers[i].body, reply.result);
        }
        CHECK_HAS(reply.err.text, "routes/r.lua: ");
        CHECK_HAS(reply.err.text, answers[i].reason);
        end();
    }
}

static void an_error_is_sent_as_json(void) {
    begin("return { status = 404, error = 'No \"such\" id' }");
    struct reply gone = answer("gone", 1000);
    CHECK_INT(gone.status, 404);
    CHECK_TEXT(gone.body, "{\"error\":\"No \\\"such\\\" id\"}");
    end();
}

static void a_routes_unavailable_comes_back_as_its_failure(void) {
    static const struct {
        const char *failure;
        enum err_kind kind;
        const char *sqlstate, *text;
    } outages[] = {
        {"'the essay service is away'", ERR_UNAVAILABLE, "", "the essay service is away"},
        {"{ kind = 'unavailable', message = 'too many clients', sqlstate = '53300' }",
         ERR_UNAVAILABLE, "53300", "too many clients"},
        {"{ kind = 'timeout', message = 'no answer' }", ERR_TIMEOUT, "", "no answer"},
        {"{ kind = {}, message = 7 }", ERR_UNAVAILABLE, "", "routes/r.lua: "},
    };
    for (size_t i = 0; i < sizeof outages / sizeof *outages; i++) {
        char body[256];
        snprintf(body, sizeof body, "return { unavailable = %s, tags = { 'x' } }",
                 outages[i].failure);
        begin(body);
        struct reply away = answer("x", 1000);
        CHECK_INT(away.result, SCRIPT_OUTAGE);
        CHECK_INT(away.status, 0);
        CHECK_INT(away.err.kind, outages[i].kind);
        CHECK_TEXT(away.err.sqlstate, outages[i].sqlstate);
        CHECK_HAS(away.err.text, outages[i].text);
        end();
    }
}

static const struct test_case cases[] = {
    {"a request for a state is recent for a second", a_request_for_a_state_is_recent_for_a_second},
    {"each request gets its own response", each_request_gets_its_own_response},
    {"a state that hit a limit is replaced", a_state_that_hit_a_limit_is_replaced},
    {"waiting for a state ends in time", waiting_for_a_state_ends_in_time},
    {"a state goes to the longest waiter", a_state_goes_to_the_longest_waiter},
    {"invalid responses are errors", invalid_responses_are_errors},
    {"an error is sent as JSON", an_error_is_sent_as_json},
    {"a route's unavailable comes back as its failure",
     a_routes_unavailable_comes_back_as_its_failure},
};

TEST_MAIN(cases)
