/* main: arguments, configuration, logging; then one command. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "log.h"
#include "xalloc.h"

static const char usage[] =
    "usage: aggregator VERB [--config FILE] [--log=json|text] [--log-level=LEVEL]\n"
    "\n"
    "  run       follow Kafka, keep the view in Postgres, answer HTTP\n"
    "  check     check configuration, scripts, and the view against the database's schema\n"
    "  migrate   apply the migrations that the database lacks\n"
    "  verify    compare the view with a rebuild from Kafka's log: `aggregator verify --help`\n"
    "  explain   which events made a row, and which lost: `aggregator explain --help`\n"
    "  rebuild   mend the view from Kafka's log: `aggregator rebuild --help`\n"
    "  version   print the version\n"
    "\n"
    "  --config FILE   the configuration, default ./config.lua; every key is explained there,\n"
    "                  with the environment variable that overrides it\n"
    "  --log=text      lines for people instead of JSON\n"
    "\n"
    "SIGTERM or SIGINT ends `run` in order; a second one ends it at once.\n";

struct arguments {
    const char *config_path;
    const char *log_format;
    const char *log_level;
    bool help;
    char **rest; /* the verb and what is left for it, a NULL behind */
    int rest_count;
};

/* Options that every verb knows are taken, wherever they stand; the others are left to the verb. */
static void parse_arguments(int argc, char **argv, struct arguments *arguments) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"log", required_argument, NULL, 'l'},
        {"log-level", required_argument, NULL, 'L'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "-c:h", options, NULL)) != -1) {
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
            arguments->help = true;
            break;
        default:
            arguments->rest[arguments->rest_count++] = option == 1 ? optarg : argv[optind - 1];
        }
    }
    while (optind < argc) { /* behind a -- */
        arguments->rest[arguments->rest_count++] = argv[optind++];
    }
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

static const struct verb {
    const char *name;
    int (*run)(const struct config *config);
    int (*run_with)(const struct config *config, int argc, char **argv);
} verbs[] = {
    {"run", command_run, NULL},         {"check", command_check, NULL},
    {"migrate", command_migrate, NULL}, {"verify", NULL, command_verify},
    {"rebuild", NULL, command_rebuild}, {"explain", NULL, command_explain},

};

static int run_verb(const struct verb *verb, const struct arguments *arguments) {
    struct err err = {0};
    if (verb->run && arguments->rest_count > 1) {
        fprintf(stderr, "aggregator: %s does not know \"%s\"\n\n%s", verb->name, arguments->rest[1],
                usage);
        return 2;
    }
    struct config *config = config_load(arguments->config_path, &err);
    if (!config) {
        fprintf(stderr, "aggregator: %s\n", err.text);
        return 1;
    }
    int status = configure_log(arguments, config);
    if (status == 0) {
        status = verb->run ? verb->run(config)
                           : verb->run_with(config, arguments->rest_count, arguments->rest);
    }
    config_destroy(config);
    return status;
}

static int dispatch(struct arguments *arguments) {
    const char *name = arguments->rest_count > 0 ? arguments->rest[0] : "";
    const struct verb *verb = NULL;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        verb = strcmp(verbs[i].name, name) == 0 ? &verbs[i] : verb;
    }
    if (arguments->help && (!verb || !verb->run_with)) {
        fputs(usage, stdout);
        return 0;
    }
    if (strcmp(name, "version") == 0) {
        puts("aggregator " AGGREGATOR_VERSION);
        return 0;
    }
    if (!verb) {
        fprintf(stderr, "aggregator: no command \"%s\"\n\n%s", name, usage);
        return 2;
    }
    if (arguments->help) {
        arguments->rest[arguments->rest_count++] = "--help"; /* the verb has its own */
    }
    return run_verb(verb, arguments);
}

int main(int argc, char **argv) {
    struct arguments arguments = {.config_path = "config.lua"};
    arguments.rest = xcalloc((size_t)argc + 2, sizeof *arguments.rest);
    parse_arguments(argc, argv, &arguments);
    int status = dispatch(&arguments);
    free(arguments.rest);
    return status;
}
