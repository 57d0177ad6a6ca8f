/* main: arguments, configuration, logging; then one command. */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "command/command.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/nearest.h"
#include "base/signals.h"
#include "base/terminal.h"

static const char usage[] =
    "usage: aggregator VERB [OPTIONS]\n"
    "\n"
    "  run                      follow Kafka, keep the view in Postgres, answer HTTP.\n"
    "                           --watch: reload whenever a script or query changes (for authors)\n"
    "  check                    check configuration, scripts, and the view against the schema\n"
    "  migrate                  apply the migrations that the database lacks\n"
    "  test [PATH…]             run the specs of the scripts, default spec/unit; needs no server.\n"
    "                           --real: bindings instead of their doubles; --coverage: say which\n"
    "                           lines did not run; --coverage-min=PERCENT: fail below it; "
    "--watch:\n"
    "                           again whenever a script, query, spec or config.lua changes\n"
    "  types                    print the events, tables and queries of the service for editors;\n"
    "                           says more with --help\n"
    "  try [HANDLER] FILE|-     what the scripts make of the events of a file; needs no server,\n"
    "                           touches nothing; try --help says more\n"
    "  tap [--topic TOPIC]      events as they come to Kafka, and what the scripts make of them;\n"
    "                           moves no offset; tap --help says more\n"
    "  new handler NAME         write a handler, an event and a spec that passes: --topic TOPIC\n"
    "  new route NAME           write a route, its query and a spec that passes: --path PATH\n"
    "  repl                     a console with the modules of scripts; Postgres is read-only\n"
    "  status                   what the program that runs here is doing\n"
    "  reload                   replace the running scripts and settings by those on the disk, if "
    "all\n"
    "                           of them are good; SIGHUP does the same\n"
    "                           --drop: even where topics or paths that run now are missing\n"
    "                           --canary: not before both have handled the newest events of the "
    "log\n"
    "                           and what they make of them differs by no more than is accepted;\n"
    "                           reload --help says more\n"
    "  diff                     that comparison alone; diff --help says more\n"
    "  rollback [N]             back to the scripts that ran before, to generation N of `status`, "
    "or to a\n"
    "                           hash\n"
    "  resume                   go on after consumption stopped: too many events were rejected\n"
    "  replay --topic TOPIC     rewind a topic while the service runs: --from-time TIME (ISO "
    "8601)\n"
    "                           or --from-offset N; --partition N: only that one\n"
    "  rejected list            the events set aside: --topic, --reason, --limit N\n"
    "  rejected show ID         one of them whole; ID is TOPIC/PARTITION/OFFSET\n"
    "  rejected retry ID… | --topic TOPIC | --reason REASON | --all\n"
    "                           through the present scripts\n"
    "  rejected drop ID… | …    forget them\n"
    "  explain ID               which events made the rows of an id, and which lost against them\n"
    "  verify                   compare the view with one built anew from Kafka's log\n"
    "  rebuild                  the same, and mend the view; new, repl, explain, verify and\n"
    "                           rebuild say more with --help\n"
    "  version                  print the version\n"
    "\n"
    "  --config FILE      the configuration, default ./config.lua; every key is explained there,\n"
    "                     with the environment variable that overrides it\n"
    "  --log=json|text    text: lines for people\n"
    "  --log-level=LEVEL  debug, info, warning or error\n"
    "  --yes              do not ask\n"
    "\n"
    "SIGTERM or SIGINT ends `run`, `verify` and `rebuild` in order; a second one ends them at "
    "once.\n";

struct arguments {
    const char *verb;
    bool help;
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
    {"table", offsetof(struct arguments, command.table)},
    {"path", offsetof(struct arguments, command.path)},
    {"since", offsetof(struct arguments, command.since)},
    {"batch", offsetof(struct arguments, command.batch)},
    {"contains", offsetof(struct arguments, command.contains)},
    {"events", offsetof(struct arguments, command.events)},
    {"accept", offsetof(struct arguments, command.accept)},
};
#define TEXT_COUNT (sizeof texts / sizeof *texts)
/* Options that are there or not. */
static const struct {
    const char *name;
    size_t offset;
} switches[] = {
    {"help", offsetof(struct arguments, help)},
    {"all", offsetof(struct arguments, command.all)},
    {"yes", offsetof(struct arguments, command.yes)},
    {"json", offsetof(struct arguments, command.json)},
    {"from-beginning", offsetof(struct arguments, command.from_beginning)},
    {"keep-shadow", offsetof(struct arguments, command.keep_shadow)},
    {"real", offsetof(struct arguments, command.real)},
    {"coverage", offsetof(struct arguments, command.coverage)},
    {"watch", offsetof(struct arguments, command.watch)},
    {"canary", offsetof(struct arguments, command.canary)},
    {"drop", offsetof(struct arguments, command.drop)},
};
#define SWITCH_COUNT (sizeof switches / sizeof *switches)
#define OPTION_COUNT (TEXT_COUNT + SWITCH_COUNT)

static void list_options(struct option options[OPTION_COUNT + 1]) {
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        options[i] = (struct option){texts[i].name, required_argument, NULL, (int)i};
    }
    for (size_t i = 0; i < SWITCH_COUNT; i++) {
        options[TEXT_COUNT + i] =
            (struct option){switches[i].name, no_argument, NULL, (int)(TEXT_COUNT + i)};
    }
    options[OPTION_COUNT] = (struct option){0};
}

/* --topic may be said again. */
static bool note_topic(struct command *command) {
    if (command->topic_count == COMMAND_TOPICS_MAX) {
        fprintf(stderr, "aggregator: more than %d times --topic\n", COMMAND_TOPICS_MAX);
        return false;
    }
    command->topics[command->topic_count++] = command->topic;
    return true;
}

static bool parse_arguments(int argc, char **argv, struct arguments *arguments) {
    struct option options[OPTION_COUNT + 1];
    int option;
    list_options(options);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option < 0 || option >= (int)OPTION_COUNT) {
            return false; /* getopt has said which */
        }
        if (option < (int)TEXT_COUNT) {
            *(const char **)((char *)arguments + texts[option].offset) = optarg;
            if (texts[option].offset == offsetof(struct arguments, command.topic) &&
                !note_topic(&arguments->command)) {
                return false;
            }
        } else {
            *(bool *)((char *)arguments + switches[option - (int)TEXT_COUNT].offset) = true;
        }
    }
    if (optind < argc) {
        arguments->verb = argv[optind];
        arguments->command.words = argv + optind + 1;
        arguments->command.word_count = argc - optind - 1;
    }
    return true;
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
    int (*run)(const struct command *command);
    bool takes_words;
    const char *usage; /* NULL: the program's */
    bool raw_output;   /* prints terminal controls of its own, and nothing that events hold */
} verbs[] = {
    {"run", command_run, false, NULL, true},
    {"check", command_check, false, NULL, false},
    {"migrate", command_migrate, false, NULL, false},
    {"test", command_test, true, NULL, true},
    {"types", command_types, false, command_types_usage, false},
    {"try", command_try, true, command_try_usage, false},
    {"tap", command_tap, false, command_tap_usage, false},
    {"new", command_new, true, command_new_usage, false},
    {"repl", command_repl, false, command_repl_usage, true},
    {"status", command_status, false, NULL, false},
    {"resume", command_resume, false, NULL, false},
    {"reload", command_reload, false, command_reload_usage, false},
    {"diff", command_diff, false, command_diff_usage, false},
    {"rollback", command_rollback, true, NULL, false},
    {"replay", command_replay, false, NULL, false},
    {"rejected", command_rejected, true, NULL, false},
    {"explain", command_explain, true, command_explain_usage, false},
    {"verify", command_verify, false, command_verify_usage, false},
    {"rebuild", command_rebuild, false, command_rebuild_usage, false},
};

static const struct verb *find_verb(const char *name) {
    for (size_t i = 0; name && i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

static int refuse_verb(const char *name) {
    const char *names[sizeof verbs / sizeof *verbs];
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        names[i] = verbs[i].name;
    }
    const char *nearest = nearest_name(name, names, sizeof verbs / sizeof *verbs);
    if (nearest) {
        fprintf(stderr, "aggregator: no command \"%s\": did you mean \"%s\"?\n", name, nearest);
    } else {
        fprintf(stderr, "aggregator: no command \"%s\"\n\n%s", name, usage);
    }
    return 2;
}

static int run_verb(const struct verb *verb, struct arguments *arguments) {
    struct err err = {0};
    if (arguments->command.word_count > 0 && !verb->takes_words) {
        fprintf(stderr, "aggregator: %s takes no \"%s\"\n", verb->name,
                arguments->command.words[0]);
        return 2;
    }
    if (!verb->raw_output && !terminal_guard_output(&err)) {
        fprintf(stderr, "aggregator: %s\n", err.text);
        return 1;
    }
    struct config *config = config_load(arguments->config_path, &err);
    if (!config) {
        fprintf(stderr, "aggregator: %s\n", err.text);
        return 1;
    }
    int status = configure_log(arguments, config);
    arguments->command.config = config;
    arguments->command.config_path = arguments->config_path;
    status = status ? status : signals_status(verb->run(&arguments->command));
    config_unref(config);
    return status;
}

int main(int argc, char **argv) {
    struct arguments arguments = {.config_path = "config.lua"};
    if (!descriptors_reserve()) {
        return 1; /* nobody can be told */
    }
    signals_init();
    bool good = parse_arguments(argc, argv, &arguments);
    const struct verb *verb = find_verb(arguments.verb);
    if (arguments.help) {
        fputs(verb && verb->usage ? verb->usage : usage, stdout);
        return 0;
    }
    if (!good || !arguments.verb) {
        fputs(usage, stderr);
        return 2;
    }
    if (strcmp(arguments.verb, "version") == 0) {
        puts("aggregator " AGGREGATOR_VERSION);
        return 0;
    }
    if (!verb) {
        return refuse_verb(arguments.verb);
    }
    return run_verb(verb, &arguments);
}
