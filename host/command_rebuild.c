/* command_rebuild: `aggregator verify` and `aggregator rebuild`. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "rebuild/rebuild.h"

static const char verify_usage[] =
    "usage: aggregator verify [--limit N] [--keep-shadow]\n"
    "\n"
    "Builds the view anew from Kafka's log, beside the live one, and compares. Changes nothing.\n"
    "Exit status: 0 equal, 1 different or failed.\n"
    "\n"
    "  --limit N      print at most N rows of each table, default 20\n"
    "  --keep-shadow  leave the schema " SHADOW_SCHEMA " behind, to look at\n";

static const char rebuild_usage[] =
    "usage: aggregator rebuild [--yes] [--limit N] [--keep-shadow]\n"
    "\n"
    "As `aggregator verify`, and then makes the live view equal, in one transaction. Consumption\n"
    "goes on meanwhile. Rows that the log can no longer give are kept.\n"
    "\n"
    "  --yes          do not ask before the view is changed\n"
    "  --limit N      print at most N rows of each table, default 20\n"
    "  --keep-shadow  leave the schema " SHADOW_SCHEMA " behind, to look at\n";

struct arguments {
    bool yes;
    bool keep_shadow;
    int64_t limit;
};

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, const char *usage, bool may_change,
                 struct arguments *arguments) {
    static const struct option options[] = {
        {"yes", no_argument, NULL, 'y'},
        {"keep-shadow", no_argument, NULL, 'k'},
        {"limit", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    char *end = NULL;
    *arguments = (struct arguments){.limit = 20};
    optind = 0; /* main has read its own */
    while ((option = getopt_long(argc, argv, "yh", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        arguments->yes |= option == 'y';
        arguments->keep_shadow |= option == 'k';
        if (option == 'l') {
            arguments->limit = strtoll(optarg, &end, 10);
        }
        if (option == '?' || (option == 'y' && !may_change) || (end && *end) ||
            arguments->limit < 0) {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    return -1;
}

static int fail(const char *verb, const struct err *err) {
    fprintf(stderr, "aggregator: %s: %s\n", verb, err->text);
    return 1;
}

int command_verify(const struct config *config, int argc, char **argv) {
    struct arguments arguments;
    int status = parse(argc, argv, verify_usage, false, &arguments);
    if (status >= 0) {
        return status;
    }
    struct rebuild_options options = {config, arguments.limit, arguments.keep_shadow, stdout};
    struct rebuild rebuild;
    struct err err = {0};
    signal(SIGPIPE, SIG_IGN);
    bool ok =
        rebuild_open(&rebuild, &options, &err) && rebuild_compare(&rebuild, false, false, &err);
    if (ok) {
        printf(rebuild.different ? "%" PRId64 " rows differ\n" : "the view is what the log says\n",
               rebuild.different);
    }
    status = ok ? rebuild.different > 0 : fail("verify", &err);
    rebuild_close(&rebuild);
    return status;
}

/* ---- rebuild ------------------------------------------------------------------------------- */

static bool confirmed(int64_t rows) {
    char answer[16];
    if (!isatty(STDIN_FILENO)) {
        puts("nothing is changed: say --yes");
        return false;
    }
    printf("Change %" PRId64 " rows of the live view? [y/N] ", rows);
    fflush(stdout);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int mend(struct rebuild *rebuild, bool yes, struct err *err) {
    if (!rebuild_compare(rebuild, yes, false, err)) {
        return fail("rebuild", err);
    }
    if (rebuild->different == 0) {
        puts("the view is what the log says: nothing to change");
        return 0;
    }
    /* Asked without holding anything: what is changed is compared anew. */
    if (!yes) {
        if (!confirmed(rebuild->different)) {
            return 1;
        }
        if (!rebuild_compare(rebuild, true, true, err)) {
            return fail("rebuild", err);
        }
    }
    printf("%" PRId64 " rows mended\n", rebuild->different);
    return 0;
}

int command_rebuild(const struct config *config, int argc, char **argv) {
    struct arguments arguments;
    int status = parse(argc, argv, rebuild_usage, true, &arguments);
    if (status >= 0) {
        return status;
    }
    struct rebuild_options options = {config, arguments.limit, arguments.keep_shadow, stdout};
    struct rebuild rebuild;
    struct err err = {0};
    signal(SIGPIPE, SIG_IGN);
    status = rebuild_open(&rebuild, &options, &err) ? mend(&rebuild, arguments.yes, &err)
                                                    : fail("rebuild", &err);
    rebuild_close(&rebuild);
    return status;
}
