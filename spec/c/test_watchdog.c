/* The watchdog: a script that hangs in a C function is detected, logged, and at last a reason to
 * exit; a slow call or a stopped process is not. The test sets the time of each look. */
#include "base/clock.h"
#include "base/metrics.h"
#include "script/script_private.h"
#include "script/watchdog.h"
#include "scripts.h"

#define LOOK_US 500000LL
#define EVENT_ID "0123abcd-4567-89ef-0123-456789abcdef"

static struct scripts scripts;
static struct script_generation *generation;
static int64_t now_us; /* the time that looks get */

/* ---- a handler that hangs until it is let go ----------------------------------------------- */

static struct {
    pthread_t thread;
    struct script_instance *instance;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool hangs, let_go;
    enum script_result result;
} call = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int hang(lua_State *L) {
    (void)L;
    pthread_mutex_lock(&call.lock);
    call.hangs = true;
    pthread_cond_broadcast(&call.changed);
    while (!call.let_go) {
        pthread_cond_wait(&call.changed, &call.lock);
    }
    pthread_mutex_unlock(&call.lock);
    return 0;
}

/* Makes the function a module of the state, as a binding would be. */
static void add_module(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, "aggregator.modules");
    lua_pushcfunction(L, hang);
    lua_setfield(L, -2, "hang");
    lua_pop(L, 1);
}

static void *handle(void *unused) {
    struct arena *arena = arena_create(4096);
    struct merge *merge = merge_create(script_generation_view(generation));
    struct err err = {0};
    (void)unused;
    call.result = script_handle(call.instance, 0, scripts_event(generation, arena, SCRIPTS_EVENT),
                                merge, &err);
    merge_destroy(merge);
    arena_destroy(arena);
    return NULL;
}

/* One handler with a limit of a second, unready 2 s beyond it, the end 10 s beyond. */
static void begin(void) {
    struct err err = {0};
    scripts_begin(&scripts);
    scripts.config.scripts.handler_timeout_ms = 1000;
    scripts.config.scripts.stuck_unready_s = 2;
    scripts.config.scripts.stuck_exit_s = 10;
    scripts_write(&scripts, "handlers/t.lua",
                  "return { topics = { 't' }, fields = { id = 'data.id' },\n"
                  "handle = function(event, view) require('hang')() end }");
    generation = script_generation_load(&scripts.config, 1, &err);
    CHECK_OK(generation != NULL, &err);
    call.instance = script_instance_create(generation, &err);
    CHECK_OK(call.instance != NULL, &err);
    add_module(call.instance->host.L);
}

/* A thread that is in the handler when this returns. */
static void hang_once(void) {
    call.hangs = call.let_go = false;
    CHECK(pthread_create(&call.thread, NULL, handle, NULL) == 0);
    pthread_mutex_lock(&call.lock);
    while (!call.hangs) {
        pthread_cond_wait(&call.changed, &call.lock);
    }
    pthread_mutex_unlock(&call.lock);
}

static void begin_hanging(void) {
    begin();
    hang_once();
    now_us = clock_monotonic_us();
    watchdog_look(now_us); /* sees that it has begun */
}

static void let_go(void) {
    pthread_mutex_lock(&call.lock);
    call.let_go = true;
    pthread_cond_broadcast(&call.changed);
    pthread_mutex_unlock(&call.lock);
    CHECK(pthread_join(call.thread, NULL) == 0);
}

static void end(void) {
    script_instance_destroy(call.instance);
    script_generation_unref(generation);
    scripts_end(&scripts);
}

/* Looks as the thread does; true: the process is to end. */
static bool look_for_s(double seconds) {
    bool fatal = false;
    for (int64_t left_us = (int64_t)(seconds * 1e6); left_us > 0; left_us -= LOOK_US) {
        now_us += LOOK_US;
        fatal = watchdog_look(now_us) || fatal;
    }
    return fatal;
}

static double stuck_metric(void) {
    return metric_value(metric_single(METRIC_GAUGE, "ras_stuck_scripts", ""));
}

static bool is_stuck(void) {
    struct buffer json = {0};
    bool none = watchdog_report(&json);
    CHECK(none == slice_equal(buffer_slice(&json), slice_of("[]")));
    buffer_free(&json);
    return !none;
}

/* ---- cases --------------------------------------------------------------------------------- */

static void a_call_that_hangs_is_stuck_and_at_last_fatal(void) {
    begin_hanging();
    CHECK(!look_for_s(2.5)); /* its limit is a second, and two are its grace */
    CHECK(!is_stuck());
    CHECK(stuck_metric() == 0);
    CHECK(!look_for_s(1));
    CHECK(is_stuck());
    CHECK(stuck_metric() == 1);
    CHECK(!look_for_s(7));
    CHECK(look_for_s(1));
    let_go();
    end();
}

static void a_stuck_call_is_logged_with_file_and_event(void) {
    struct buffer json = {0};
    begin_hanging();
    look_for_s(4);
    CHECK(!watchdog_report(&json));
    CHECK_HAS(json.data, "\"script\":\"handlers/t\"");
    CHECK_HAS(json.data, "/handlers/t.lua\"");
    CHECK_HAS(json.data, "\"event_id\":\"" EVENT_ID "\"");
    CHECK_HAS(json.data, "\"running_ms\":4000,\"limit_ms\":1000}");
    buffer_free(&json);
    let_go();
    end();
}

static void it_may_hang_forever_if_so_configured(void) {
    begin_hanging();
    scripts.config.scripts.stuck_exit_s = 0;
    CHECK(!look_for_s(1000));
    CHECK(is_stuck());
    let_go();
    end();
}

static void a_stuck_call_that_ends_is_forgotten(void) {
    begin_hanging();
    look_for_s(4);
    CHECK(is_stuck());
    let_go();
    CHECK(call.result == SCRIPT_OK);
    look_for_s(0.5);
    CHECK(!is_stuck());
    CHECK(stuck_metric() == 0);
    end();
}

static void a_discarded_state_is_forgotten(void) {
    begin_hanging();
    look_for_s(4);
    CHECK(is_stuck());
    let_go();
    script_instance_destroy(call.instance);
    call.instance = NULL;
    CHECK(!is_stuck());
    end();
}

static void time_in_which_the_process_was_stopped_does_not_count(void) {
    begin_hanging();
    for (int i = 0; i < 2; i++) {
        now_us += 3600 * 1000000LL;
        CHECK(!watchdog_look(now_us));
        CHECK(!is_stuck());
    }
    let_go();
    end();
}

/* No look sees the state idle: together they last longer than one may. */
static void many_calls_are_not_a_long_one(void) {
    begin();
    now_us = clock_monotonic_us();
    for (int i = 0; i < 10; i++) {
        hang_once();
        CHECK(!look_for_s(2));
        CHECK(!is_stuck());
        let_go();
    }
    end();
}

/* With the thread, for ThreadSanitizer: states come, run and go while it looks and others ask. */
static void states_come_and_go_while_it_looks(void) {
    struct err err = {0};
    struct watchdog *watchdog = watchdog_start(&err);
    CHECK_OK(watchdog != NULL, &err);
    for (int i = 0; i < 20; i++) {
        begin();
        call.let_go = true;
        CHECK(pthread_create(&call.thread, NULL, handle, NULL) == 0);
        CHECK(!watchdog_look(clock_monotonic_us()));
        CHECK(!is_stuck());
        CHECK(pthread_join(call.thread, NULL) == 0);
        end();
    }
    watchdog_stop(watchdog);
}

static const struct test_case cases[] = {
    {"a call that hangs is stuck and at last fatal", a_call_that_hangs_is_stuck_and_at_last_fatal},
    {"a stuck call is logged with file and event", a_stuck_call_is_logged_with_file_and_event},
    {"it may hang forever if so configured", it_may_hang_forever_if_so_configured},
    {"a stuck call that ends is forgotten", a_stuck_call_that_ends_is_forgotten},
    {"a discarded state is forgotten", a_discarded_state_is_forgotten},
    {"time in which the process was stopped does not count",
     time_in_which_the_process_was_stopped_does_not_count},
    {"many calls are not a long one", many_calls_are_not_a_long_one},
    {"states come and go while it looks", states_come_and_go_while_it_looks},
};

TEST_MAIN(cases)
