/* explore_cache: the cache's protocol under every interleaving. A scheduler drives the real code of
 * host/cache and host/pipeline/announcer.c, of two processes, with the scripts that Redis runs,
 * from one place where it waits to the next, and looks at every state that can be reached
 * (explore/world.h).
 *
 * In every state, no response is older than a commit whose invalidation its process had received
 * before the request. In a final state, every process serves the contents of the database, and
 * caches them.
 *
 *     explore_cache [--long] [--only NAME] [--seconds N] [--mutation NAME]
 *
 * A scenario has an initial state and a limit for each kind of event; the search covers all of its
 * states. One that the time limit ends fails, but in the long form: its scenarios are too large to
 * be searched to the end. Then guards are removed one at a time (explore/mutations.h), and the
 * search must find a violation. Exits with 2 where an option, a scenario or a guard is unknown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "explore/search.h"

#define SHORT_TABLE_BITS 22
#define LONG_TABLE_BITS 27
/* Of CPU time, for a scenario. Each of the short form takes seconds: its limit bounds a search that
 * a change made much larger, and leaves room for a busy machine. */
#define SHORT_SECONDS 60
#define LONG_SECONDS 15
#define USAGE_STATUS 2
#define BIT(tags) (1 << (tags))

struct scenario {
    const char *name;
    int processes, keys, commits;
    bool warm;             /* every process has an answer for every key, and Redis, too */
    bool nothing;          /* neither database nor Redis are there yet */
    bool inherits_nothing; /* a worker's query for what it inherits fails */
    bool is_long;          /* not of the short form */
    int may[BUDGETS];
};

static const struct scenario scenarios[] = {
#include "explore/scenarios.h"
};
#define SCENARIOS (sizeof scenarios / sizeof *scenarios)

static struct search search;
static int passed, failed;

struct options {
    bool is_long;
    const char *only, *mutation;
    int64_t seconds; /* for a scenario; -1: not set */
};

static int64_t seconds_of(const struct options *options, int64_t unset) {
    return options->seconds < 0 ? unset : options->seconds;
}

/* ---- one scenario -------------------------------------------------------------------------- */

static void warm_up(const struct scenario *scenario, const struct steps_setting *setting) {
    for (int process = 0; process < scenario->processes; process++) {
        for (int key = 0; key < scenario->keys; key++) {
            process_ask(process * ACTORS_A_PROCESS + FIRST_READER, key);
            steps_settle(setting);
        }
    }
}

static void set_up(const struct scenario *scenario) {
    struct steps_setting setting = {scenario->keys, scenario->commits, scenario->processes};
    world_clear();
    server_forget_scripts();
    database_tells_workers = !scenario->inherits_nothing;
    world->server.up = world->database_up = true;
    world->server.time_s = 1000000;
    world->server.run = 1;
    for (int process = 0; process < PROCESSES; process++) {
        world->owner[process] = process;
    }
    for (int process = 0; process < scenario->processes; process++) {
        process_start(process);
    }
    if (scenario->nothing) {
        world->server.up = world->database_up = false;
    } else {
        steps_settle(&setting);
    }
    if (scenario->warm) {
        warm_up(scenario, &setting);
    }
    memcpy(world->left, scenario->may, sizeof world->left);
    search.setting = setting;
}

static void explore(const struct scenario *scenario, int64_t seconds) {
    memset(&search, 0, sizeof search);
    set_up(scenario);
    search.seconds = seconds;
    search.most_deep = DEPTH;
    search_run(&search);
}

static void print_trace(void) {
    printf("    %s\n", search.violation);
    for (int i = 0; i < search.trace_length; i++) {
        printf("    %3d  %s\n", i + 1, search.trace[i]);
    }
}

static void shorten(int64_t seconds) {
    if (search.violation[0]) {
        search.seconds = seconds;
        search_run_shortest(&search);
    }
}

static void run_scenario(const struct scenario *scenario, const struct options *options) {
    int64_t started_us = clock_monotonic_us();
    explore(scenario, seconds_of(options, options->is_long ? LONG_SECONDS : SHORT_SECONDS));
    double took_s = (double)(clock_monotonic_us() - started_us) / 1e6;
    bool complete = search.complete && !search.violation[0];
    bool ok = !search.violation[0] && (complete || options->is_long);
    printf(
        "%s %-46s %9lld states of %lld bytes, %10lld steps, %7lld quiet, depth %3d, %s, %.1f s\n",
        ok ? "ok  " : "FAIL", scenario->name, (long long)search.states,
        (long long)(search.bytes / search.states), (long long)search.steps, (long long)search.quiet,
        search.deepest, complete ? "complete" : "not complete", took_s);
    if (search.violation[0]) {
        shorten(20);
        print_trace();
    }
    ok ? passed++ : failed++;
}

/* ---- mutations ----------------------------------------------------------------------------- */

struct finding {
    const char *scenario; /* NULL: none finds that the guard is missing */
    bool complete;        /* every scenario was searched to its end, or to the violation */
};

static struct finding find_mutation(int64_t seconds) {
    struct finding finding = {.complete = true};
    mutation_applied = false;
    for (size_t i = 0; i < SCENARIOS && !finding.scenario; i++) {
        if (!scenarios[i].is_long) {
            explore(&scenarios[i], seconds);
            finding.scenario = search.violation[0] ? scenarios[i].name : NULL;
            finding.complete &= search.complete || finding.scenario;
        }
    }
    return finding;
}

static void run_mutation(enum mutation of, int64_t seconds, bool with_trace) {
    const char *text, *name = mutation_name(of, &text);
    mutation = of;
    struct finding finding = find_mutation(seconds);
    const char *where = finding.scenario;
    bool ok = mutation_applied && (mutation_is_covered(of) ? !where && finding.complete : !!where);
    printf("%s %s: %s: %s%s\n", ok ? "ok  " : "FAIL", name, text,
           !mutation_applied  ? "nothing was taken out, the code is another"
           : where            ? "found by: "
           : finding.complete ? "nothing is found"
                              : "nothing is found, but not all was searched",
           where ? where : "");
    if (where && with_trace) {
        shorten(5);
        print_trace();
    }
    mutation = NO_MUTATION;
    ok ? passed++ : failed++;
}

/* ---- the command --------------------------------------------------------------------------- */

static void refuse(const char *what, const char *name) {
    fprintf(stderr,
            "explore_cache: %s '%s'\n"
            "usage: explore_cache [--long] [--only NAME] [--seconds N] [--mutation NAME]\n",
            what, name);
    exit(USAGE_STATUS);
}

static int64_t read_seconds(const char *text) {
    char *end;
    long long seconds = strtoll(text, &end, 10);
    if (end == text || *end || seconds < 0) {
        refuse("--seconds takes a number, not", text);
    }
    return seconds;
}

static struct options read_options(int argc, char **argv) {
    struct options options = {.seconds = -1};
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(name, "--long") == 0) {
            options.is_long = true;
            continue;
        }
        if (!value) {
            refuse("an option that is unknown, or without its value:", name);
        } else if (strcmp(name, "--only") == 0) {
            options.only = value;
        } else if (strcmp(name, "--mutation") == 0) {
            options.mutation = value;
        } else if (strcmp(name, "--seconds") == 0) {
            options.seconds = read_seconds(value);
        } else {
            refuse("unknown option", name);
        }
        i++;
    }
    return options;
}

static void run_scenarios(const struct options *options) {
    bool any = false;
    for (size_t i = 0; i < SCENARIOS; i++) {
        bool chosen = options->only ? strstr(scenarios[i].name, options->only) != NULL
                                    : scenarios[i].is_long == options->is_long;
        if (chosen) {
            any = true;
            run_scenario(&scenarios[i], options);
        }
    }
    if (!any) {
        refuse("no scenario has in its name", options->only);
    }
}

static void run_mutations(const struct options *options) {
    bool any = false;
    for (int of = NO_MUTATION + 1; of < MUTATIONS; of++) {
        const char *text;
        bool named = options->mutation && strcmp(mutation_name(of, &text), options->mutation) == 0;
        bool all = !options->mutation && !options->only;
        any |= named;
        if (named || (all && (options->is_long || !mutation_is_covered(of)))) {
            run_mutation(of, seconds_of(options, SHORT_SECONDS), named || options->is_long);
        }
    }
    if (options->mutation && !any) {
        refuse("no mutation is named", options->mutation);
    }
}

int main(int argc, char **argv) {
    struct options options = read_options(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    world_make();
    server_make();
    search_make(options.is_long ? LONG_TABLE_BITS : SHORT_TABLE_BITS);
    if (!options.mutation) {
        run_scenarios(&options);
    }
    run_mutations(&options);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
