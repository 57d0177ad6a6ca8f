/* test: runs the busted specs in files, or folders of *_spec.lua. Needs no server and no
 * secret. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "script/script.h"
#include "spec/spec.h"
#include "base/terminal.h"
#include "base/watch.h"
#include "base/xalloc.h"

#define DEFAULT_SPECS "spec/unit"
#define SUPPORT "spec/support"

struct files {
    char **paths;
    size_t count;
};

/* Static, because nftw takes no context. */
static struct files found;

static void test_add_path(struct files *files, const char *path) {
    files->paths = xrealloc(files->paths, (files->count + 1) * sizeof *files->paths);
    files->paths[files->count++] = xstrdup(path);
}

static int test_visit(const char *path, const struct stat *status, int type, struct FTW *walk) {
    static const char ending[] = "_spec.lua";
    size_t len = strlen(path), end = sizeof ending - 1;
    (void)status;
    (void)walk;
    if (type == FTW_F && len > end && strcmp(path + len - end, ending) == 0) {
        test_add_path(&found, path);
    }
    return 0;
}

static int test_compare_paths(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Adds a file of any name, or the specs of a folder, sorted. */
static bool test_find_specs(const char *path, struct err *err) {
    struct stat status;
    size_t before = found.count;
    if (stat(path, &status) != 0) {
        return err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(status.st_mode)) {
        test_add_path(&found, path);
        return true;
    }
    if (nftw(path, test_visit, 16, FTW_PHYS) != 0) {
        return err_set(err, ERR_INPUT, "%s cannot be read: %s", path, strerror(errno));
    }
    if (found.count == before) {
        return err_set(err, ERR_INPUT, "%s: no file in it ends in _spec.lua", path);
    }
    qsort(found.paths + before, found.count - before, sizeof *found.paths, test_compare_paths);
    return true;
}

static bool test_find_all(char *const *paths, size_t count, struct err *err) {
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        ok = test_find_specs(paths[i], err);
    }
    return count > 0 ? ok : test_find_specs(DEFAULT_SPECS, err);
}

static void test_free_files(void) {
    for (size_t i = 0; i < found.count; i++) {
        free(found.paths[i]);
    }
    free(found.paths);
    found = (struct files){0};
}

static bool test_run_all(const struct config *config, const struct spec_options *options,
                         double coverage_min, struct spec_totals *totals, struct err *err) {
    struct spec_run *run = spec_run_create(config, options, err);
    if (!run) {
        return false;
    }
    for (size_t i = 0; i < found.count; i++) {
        spec_run_file(run, found.paths[i], totals);
    }
    if (options->coverage && !spec_run_coverage(run, coverage_min)) {
        totals->failed++;
    }
    spec_run_destroy(run);
    return true;
}

/* An error may contain an argument, so terminal controls in it are escaped. */
static void test_print_error(const struct err *err) {
    struct buffer line = {0};
    buffer_append_format(&line, "test: %s\n", err->text);
    terminal_print(stderr, buffer_slice(&line));
    buffer_free(&line);
}

static int test_run_once(const struct command *command) {
    struct spec_options options = {
        .support = SUPPORT,
        .real = command->real,
        .coverage = command->coverage || command->coverage_min >= 0,
    };
    struct spec_totals totals = {0};
    struct err err = {0};
    bool ok = (command->word_count > 0 || command_check_folder(command, &err)) &&
              test_find_all(command->words, (size_t)command->word_count, &err) &&
              test_run_all(command->config, &options, command->coverage_min, &totals, &err);
    test_free_files();
    if (!ok) {
        test_print_error(&err);
        return 1;
    }
    printf("%d passed, %d failed", totals.passed, totals.failed);
    printf(totals.skipped ? ", %d skipped\n" : "\n", totals.skipped);
    return totals.failed == 0 ? 0 : 1;
}

/* ---- on changes --------------------------------------------------------------------------- */

/* Re-reads the configuration. */
static int test_run_again(void *context) {
    struct command command = *(const struct command *)context;
    struct err err = {0};
    struct config *config = config_load(command.config_path, &err);
    if (!config) {
        test_print_error(&err);
        return 1;
    }
    command.config = config;
    int status = test_run_once(&command);
    config_unref(config);
    return status;
}

static int test_run_on_changes(const struct command *command) {
    const struct config *config = command->config;
    const char *shared[] = {config->scripts.root, config->scripts.sql, SUPPORT, "spec/fixtures"};
    size_t shared_count = sizeof shared / sizeof *shared, files = config->files.count,
           count = (size_t)command->word_count;
    const char **paths = xcalloc(shared_count + files + count + 2, sizeof *paths);
    struct command again = *command;
    memcpy(paths, shared, sizeof shared);
    memcpy(paths + shared_count, config->files.items, files * sizeof *paths);
    memcpy(paths + shared_count + files, command->words, count * sizeof *paths);
    if (count == 0) {
        paths[shared_count + files] = DEFAULT_SPECS;
    }
    int status = watch_run(paths, test_run_again, &again);
    free(paths);
    return status;
}

int command_test(const struct command *command) {
    script_print_plainly();
    return (command->watch ? test_run_on_changes : test_run_once)(command);
}
