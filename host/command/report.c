#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUN_ENV ".run/env"       /* of tools/run, in the checkout */
#define RUN_MARK "TOOLS_RUN_ENV" /* that file sets it */

/* The setting with the address, by a word of the error. */
static const struct report_system {
    const char *word, *section, *key;
} report_systems[] = {
    {"admin.socket", "admin", "socket"},
    {"Postgres", "postgres", "url"},
    {"kafka", "kafka", "brokers"},
    {"Kafka", "kafka", "brokers"},
};

static const struct report_system *report_find_system(const struct err *err) {
    bool unreachable = err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT;
    for (size_t i = 0;
         unreachable && !err->sqlstate[0] && i < sizeof report_systems / sizeof *report_systems;
         i++) {
        if (strstr(err->text, report_systems[i].word)) {
            return &report_systems[i];
        }
    }
    return NULL;
}

void command_report(const struct command *command, const char *name, const struct err *err) {
    const struct report_system *system = report_find_system(err);
    fprintf(stderr, "aggregator: %s: %s\n", name, err->text);
    if (!system || !command->config) {
        return;
    }
    fprintf(stderr, "  its address is the setting %s.%s (%s)", system->section, system->key,
            config_place_of(command->config, system->section, system->key));
    if (!getenv(RUN_MARK) && access(RUN_ENV, R_OK) == 0) {
        fputs("; tools/run is running here: `. " RUN_ENV "` sets the addresses of its servers",
              stderr);
    }
    fputc('\n', stderr);
}
