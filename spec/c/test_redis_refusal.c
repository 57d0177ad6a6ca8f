/* redis_refusal: which reason an error of Redis has, in the texts of its releases. */
#include "bindings/redis_refusal.h"

#include "base/log.h"
#include "base/metrics.h"
#include "test.h"

/* The reason of all refusals of the last 15 seconds that is shown is the first of the unit's table:
 * this one has them in the reverse order. */
static const struct {
    const char *label, *error, *shown;
} table[] = {
    {"busy", "BUSY Redis is busy running a script. You can only call SCRIPT KILL.",
     "Redis is loading, or busy with a script"},
    {"busy", "LOADING Redis is loading the dataset in memory",
     "Redis is loading, or busy with a script"},
    {"disk",
     "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist.",
     "Redis cannot save to disk and rejects writes"},
    {"disk", "ERR Error running script (call to f_0): @user_script:1: -MISCONF Errors writing",
     "Redis cannot save to disk and rejects writes"},
    {"memory", "OOM command not allowed when used memory > 'maxmemory'.", "Redis is out of memory"},
    {"memory", "ERR Error running script (call to f_0): @user_script: 1: -OOM command not allowed",
     "Redis is out of memory"},
    {"replica", "READONLY You can't write against a read only replica.",
     "Redis is a read-only replica"},
    {"replica", "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
     "Redis is a read-only replica"},
    {"cluster", "CROSSSLOT Keys in request don't hash to the same slot",
     "Redis is a cluster: commands with several keys fail"},
    {"cluster", "MOVED 3999 127.0.0.1:6381", "Redis is a cluster: commands with several keys fail"},
    {"cluster", "ASK 3999 127.0.0.1:6381", "Redis is a cluster: commands with several keys fail"},
    {"cluster", "TRYAGAIN Multiple keys request during rehashing of slot",
     "Redis is a cluster: commands with several keys fail"},
    {"cluster", "CLUSTERDOWN Hash slot not served",
     "Redis is a cluster: commands with several keys fail"},
    {"cluster",
     "ERR Error running script: Lua script attempted to access a non local key in a cluster node",
     "Redis is a cluster: commands with several keys fail"},
    {"login", "NOAUTH Authentication required.", "Redis refuses the login"},
    {"login", "WRONGPASS invalid username-password pair or user is disabled.",
     "Redis refuses the login"},
    {"right", "NOPERM User ras has no permissions to run the 'config|get' command",
     "the Redis user lacks a right: the command config|get"},
};

static double counted(const char *label) {
    return metric_value(metric_cell(
        metric_family(METRIC_COUNTER, "ras_redis_refusals_total", "", "reason"), label));
}

static void an_error_that_is_no_refusal_is_not_noted(void) {
    static const char *const errors[] = {
        "ERR unknown command 'BUSY'",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "ERR the word OOM in an argument",
        "ERR syntax error",
    };
    char text[REDIS_REFUSAL_TEXT_CAP];
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        CHECK(!redis_refusal_note(errors[i]));
        CHECK(!redis_refusal_now(text));
    }
}

static void an_error_has_its_reason(void) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[REDIS_REFUSAL_TEXT_CAP] = "";
        double before = counted(table[i].label);
        bool is_replica = strcmp(table[i].label, "replica") == 0;
        CHECK_INT(redis_refusal_note(table[i].error), is_replica);
        CHECK(redis_refusal_now(text));
        CHECK_TEXT(text, table[i].shown);
        CHECK_INT(counted(table[i].label) - before, 1);
    }
}

static void a_refusal_that_has_ended_is_forgotten(void) {
    char text[REDIS_REFUSAL_TEXT_CAP];
    redis_refusal_note("NOAUTH Authentication required.");
    redis_refusal_forget();
    CHECK(!redis_refusal_now(text));
    redis_refusal_note("LOADING Redis is loading the dataset in memory");
    CHECK(redis_refusal_now(text));
    CHECK_TEXT(text, "Redis is loading, or busy with a script");
}

static const struct test_case cases[] = {
    {"an error that is no refusal is not noted", an_error_that_is_no_refusal_is_not_noted},
    {"an error has its reason", an_error_has_its_reason},
    {"a refusal that has ended is forgotten", a_refusal_that_has_ended_is_forgotten},
};

int main(int argc, char **argv) {
    log_configure(LOG_ERROR, false);
    return test_run(cases, sizeof cases / sizeof *cases, argc, argv);
}
