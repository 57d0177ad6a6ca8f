/* command_test: runs the specs of the scripts. Needs no server and no secret. */
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "script/spec.h"
#include "xalloc.h"

static const char usage[] =
    "usage: aggregator test [--real] [--coverage] [--coverage-min=PERCENT] [PATH...]\n"
    "\n"
    "Runs the busted specs in PATH, files or folders of *_spec.lua, default spec/unit, in the\n"
    "sandbox and under the limits that scripts have in production, each file in a fresh state.\n"
    "\n"
    "  --real              the real bindings instead of the doubles of spec/support/doubles\n"
    "  --coverage          say which lines of the scripts did not run\n"
    "  --coverage-min=N    fail where less than N percent ran\n";

struct arguments {
    struct spec_options options;
    double coverage_min;
};

struct files {
    char **paths;
    size_t count;
};

/* nftw takes no context: the list under way. */
static struct files found;

static void add_path(struct files *files, const char *path) {
    files->paths = xrealloc(files->paths, (files->count + 1) * sizeof *files->paths);
    files->paths[files->count++] = xstrdup(path);
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *walk) {
    static const char ending[] = "_spec.lua";
    size_t len = strlen(path), end = sizeof ending - 1;
    (void)status;
    (void)walk;
    if (type == FTW_F && len > end && strcmp(path + len - end, ending) == 0) {
        add_path(&found, path);
    }
    return 0;
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A file is taken whatever its name; a folder gives its specs, sorted. */
static bool find_specs(const char *path, struct err *err) {
    struct stat status;
    size_t before = found.count;
    if (stat(path, &status) != 0) {
        return err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(status.st_mode)) {
        add_path(&found, path);
        return true;
    }
    if (nftw(path, visit, 16, FTW_PHYS) != 0) {
        return err_set(err, ERR_INPUT, "%s cannot be read: %s", path, strerror(errno));
    }
    if (found.count == before) {
        return err_set(err, ERR_INPUT, "%s: no file in it ends in _spec.lua", path);
    }
    qsort(found.paths + before, found.count - before, sizeof *found.paths, compare_paths);
    return true;
}

static bool find_all(char *const *paths, size_t count, struct err *err) {
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        ok = find_specs(paths[i], err);
    }
    return count > 0 ? ok : find_specs("spec/unit", err);
}

static void free_files(void) {
    for (size_t i = 0; i < found.count; i++) {
        free(found.paths[i]);
    }
    free(found.paths);
    found = (struct files){0};
}

static bool run_all(const struct config *config, const struct arguments *arguments,
                    struct spec_totals *totals, struct err *err) {
    struct spec_run *run = spec_run_create(config, &arguments->options, err);
    if (!run) {
        return false;
    }
    for (size_t i = 0; i < found.count; i++) {
        spec_run_file(run, found.paths[i], totals);
    }
    if (arguments->options.coverage && !spec_run_coverage(run, arguments->coverage_min)) {
        totals->failed++;
    }
    spec_run_destroy(run);
    return true;
}

static bool read_percent(const char *text, double *percent) {
    char *end;
    *percent = strtod(text, &end);
    return end != text && *end == '\0' && *percent >= 0 && *percent <= 100;
}

/* -1 to go on, or the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments) {
    static const struct option options[] = {
        {"real", no_argument, NULL, 'r'},
        {"coverage", no_argument, NULL, 'c'},
        {"coverage-min", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    optind = 0; /* getopt starts anew, and complains itself */
    opterr = 1;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        arguments->options.real |= option == 'r';
        arguments->options.coverage |= option == 'c' || option == 'm';
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (option == '?' || (option == 'm' && !read_percent(optarg, &arguments->coverage_min))) {
            fputs(usage, stderr);
            return 2;
        }
    }
    return -1;
}

int command_test(const struct config *config, int argc, char **argv) {
    struct arguments arguments = {.options = {.support = "spec/support"}};
    struct spec_totals totals = {0};
    struct err err = {0};
    int status = parse_arguments(argc, argv, &arguments);
    if (status >= 0) {
        return status;
    }
    bool ok = find_all(argv + optind, (size_t)(argc - optind), &err) &&
              run_all(config, &arguments, &totals, &err);
    free_files();
    if (!ok) {
        fprintf(stderr, "test: %s\n", err.text);
        return 1;
    }
    printf("%d passed, %d failed", totals.passed, totals.failed);
    printf(totals.skipped ? ", %d skipped\n" : "\n", totals.skipped);
    return totals.failed == 0 ? 0 : 1;
}
