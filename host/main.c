/* main: arguments, configuration, logging; then one command. */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "log.h"

static const char usage[] =
    "usage: aggregator VERB [OPTIONS]\n"
    "\n"
    "  run                      follow Kafka, keep the view in Postgres, answer HTTP\n"
    "  check                    check configuration, scripts, and the view against the schema\n"
    "  migrate                  apply the migrations that the database lacks\n"
    "  test [PATH…]             run the specs of the scripts, default spec/unit; needs no server.\n"
    "                           --real: bindings instead of their doubles; --coverage: say which\n"
    "                           lines did not run; --coverage-min=PERCENT: fail below it\n"
    "  status                   what the program that runs here is doing\n"
    "  resume                   go on after consumption stopped: too many events were rejected\n"
    "  replay --topic TOPIC     rewind a topic while the service runs: --from-time TIME (ISO "
    "8601)\n"
    "                           or --from-offset N; --partition N: only that one\n"
    "  rejected list            the events set aside: --topic, --reason, --limit N\n"
    "  rejected show ID         one of them whole; ID is TOPIC/PARTITION/OFFSET\n"
    "  rejected retry ID… | --topic TOPIC | --reason REASON | --all\n"
    "                           through the present scripts\n"
    "  rejected drop ID… | …    forget them\n"
    "  version                  print the version\n"
    "\n"
    "  --config FILE      the configuration, default ./config.lua; every key is explained there,\n"
    "                     with the environment variable that overrides it\n"
    "  --log=json|text    text: lines for people\n"
    "  --log-level=LEVEL  debug, info, warning or error\n"
    "  --yes              do not ask\n"
    "\n"
    "SIGTERM or SIGINT ends `run` in order; a second one ends it at once.\n";

struct arguments {
    const char *verb;
    const char *config_path;
    const char *log_format;
    const char *log_level;
    struct command command;
};

/* Options that hold a text: name and where it goes. */
static const struct {
    const char *name;
    size_t offset;
} texts[] = {
    {"config", offsetof(struct arguments, config_path)},
    {"log", offsetof(struct arguments, log_format)},
    {"log-level", offsetof(struct arguments, log_level)},
    {"coverage-min", offsetof(struct arguments, command.coverage_min)},
    {"topic", offsetof(struct arguments, command.topic)},
    {"reason", offsetof(struct arguments, command.reason)},
    {"from-time", offsetof(struct arguments, command.from_time)},
    {"from-offset", offsetof(struct arguments, command.from_offset)},
    {"partition", offsetof(struct arguments, command.partition)},
    {"limit", offsetof(struct arguments, command.limit)},
};
#define TEXT_COUNT (sizeof texts / sizeof *texts)
enum {
    OPTION_HELP = TEXT_COUNT,
    OPTION_ALL,
    OPTION_YES,
    OPTION_REAL,
    OPTION_COVERAGE,
    OPTION_COUNT
};

static void list_options(struct option options[OPTION_COUNT + 1]) {
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        options[i] = (struct option){texts[i].name, required_argument, NULL, (int)i};
    }
    options[OPTION_HELP] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    options[OPTION_REAL] = (struct option){"real", no_argument, NULL, OPTION_REAL};
    options[OPTION_COVERAGE] = (struct option){"coverage", no_argument, NULL, OPTION_COVERAGE};
    options[OPTION_ALL] = (struct option){"all", no_argument, NULL, OPTION_ALL};
    options[OPTION_YES] = (struct option){"yes", no_argument, NULL, OPTION_YES};
    options[OPTION_COUNT] = (struct option){0};
}

/* The exit status, or -1 to go on. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments) {
    struct option options[OPTION_COUNT + 1];
    int option;
    list_options(options);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option >= 0 && option < (int)TEXT_COUNT) {
            *(const char **)((char *)arguments + texts[option].offset) = optarg;
        } else if (option == OPTION_REAL) {
            arguments->command.real = true;
        } else if (option == OPTION_COVERAGE) {
            arguments->command.coverage = true;
        } else if (option == OPTION_ALL) {
            arguments->command.all = true;
        } else if (option == OPTION_YES) {
            arguments->command.yes = true;
        } else {
            fputs(usage, option == OPTION_HELP ? stdout : stderr);
            return option == OPTION_HELP ? 0 : 2;
        }
    }
    if (optind == argc) {
        fputs(usage, stderr);
        return 2;
    }
    arguments->verb = argv[optind];
    arguments->command.words = argv + optind + 1;
    arguments->command.word_count = argc - optind - 1;
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

static int run_verb(struct arguments *arguments) {
    static const struct {
        const char *name;
        int (*run)(const struct command *command);
        bool takes_words;
    } verbs[] = {
        {"test", command_test, true},      {"run", command_run, false},
        {"check", command_check, false},   {"migrate", command_migrate, false},
        {"status", command_status, false}, {"resume", command_resume, false},
        {"replay", command_replay, false}, {"rejected", command_rejected, true},
    };
    struct err err = {0};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, arguments->verb) != 0) {
            continue;
        }
        if (arguments->command.word_count > 0 && !verbs[i].takes_words) {
            fprintf(stderr, "aggregator: %s takes no \"%s\"\n", arguments->verb,
                    arguments->command.words[0]);
            return 2;
        }
        struct config *config = config_load(arguments->config_path, &err);
        if (!config) {
            fprintf(stderr, "aggregator: %s\n", err.text);
            return 1;
        }
        int status = configure_log(arguments, config);
        arguments->command.config = config;
        status = status ? status : verbs[i].run(&arguments->command);
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
