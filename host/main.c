/* main: arguments, configuration, logging; then one command. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "log.h"

static const char usage[] =
    "usage: aggregator VERB [--config FILE] [--log=json|text] [--log-level=LEVEL]\n"
    "\n"
    "  run       follow Kafka, keep the view in Postgres, answer HTTP\n"
    "  check     check configuration, scripts, and the view against the database's schema\n"
    "  migrate   apply the migrations that the database lacks\n"
    "  version   print the version\n"
    "\n"
    "  --config FILE   the configuration, default ./config.lua; every key is explained there,\n"
    "                  with the environment variable that overrides it\n"
    "  --log=text      lines for people instead of JSON\n"
    "\n"
    "SIGTERM or SIGINT ends `run` in order; a second one ends it at once.\n";

struct arguments {
    const char *verb;
    const char *config_path;
    const char *log_format;
    const char *log_level;
};

static int parse_arguments(int argc, char **argv, struct arguments *arguments) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"log", required_argument, NULL, 'l'},
        {"log-level", required_argument, NULL, 'L'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            arguments->config_path = optarg;
            break;
        case 'l':
            arguments->log_format = optarg;
            break;
        case 'L':
            arguments->log_level = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind + 1 != argc) {
        fputs(usage, stderr);
        return 2;
    }
    arguments->verb = argv[optind];
    return -1;
}

static int configure_log(const struct arguments *arguments, const struct config *config) {
    const char *format = arguments->log_format ? arguments->log_format : config->log.format;
    const char *name = arguments->log_level ? arguments->log_level : config->log.level;
    enum log_level level;
    if (strcmp(format, "json") != 0 && strcmp(format, "text") != 0) {
        fprintf(stderr, "aggregator: --log is \"%s\": say json or text\n", format);
        return 2;
    }
    if (!log_level_parse(name, &level)) {
        fprintf(stderr, "aggregator: log level \"%s\": say debug, info, warning or error\n", name);
        return 2;
    }
    log_configure(level, strcmp(format, "text") == 0);
    return 0;
}

static int run_verb(const struct arguments *arguments) {
    static const struct {
        const char *name;
        int (*run)(const struct config *config);
    } verbs[] = {{"run", command_run}, {"check", command_check}, {"migrate", command_migrate}};
    struct err err = {0};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, arguments->verb) != 0) {
            continue;
        }
        struct config *config = config_load(arguments->config_path, &err);
        if (!config) {
            fprintf(stderr, "aggregator: %s\n", err.text);
            return 1;
        }
        int status = configure_log(arguments, config);
        status = status ? status : verbs[i].run(config);
        config_destroy(config);
        return status;
    }
    fprintf(stderr, "aggregator: no command \"%s\"\n\n%s", arguments->verb, usage);
    return 2;
}

int main(int argc, char **argv) {
    struct arguments arguments = {.config_path = "config.lua"};
    int status = parse_arguments(argc, argv, &arguments);
    if (status >= 0) {
        return status;
    }
    if (strcmp(arguments.verb, "version") == 0) {
        puts("aggregator " AGGREGATOR_VERSION);
        return 0;
    }
    return run_verb(&arguments);
}
