/* main: reads arguments and configuration, sets up the log, runs one command. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/socket.h"
#include "bindings/pg.h"
#include "command/arguments.h"
#include "command/help.h"
#include "config/environment_file.h"
#include "config/location.h"
#include "config/renewal.h"
#include "config/show.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/terminal.h"
#include "base/xalloc.h"
#include "upgrade/predecessor.h"

#define SETTINGS_TIMEOUT_MS 30000

static int main_refuse_usage(const struct arguments *arguments, const struct err *err) {
    struct buffer text = {0};
    buffer_append_format(&text, "aggregator: %s\n", err->text);
    help_usage(arguments->spec, arguments->group, &text);
    terminal_print(stderr, buffer_slice(&text)); /* escapes: arguments may hold any byte */
    buffer_free(&text);
    return 2;
}

static int main_print_help(const struct arguments *arguments) {
    struct buffer text = {0};
    if (arguments->spec) {
        help_command(arguments->spec, &text);
    } else {
        help_list(arguments->group, &text);
    }
    return help_print(&text);
}

static int main_fail_start(const struct err *err) {
    predecessor_fail(err->text);
    fprintf(stderr, "aggregator: %s\n", err->text);
    return 1;
}

/* The program recovers from a statement that the pooler has lost. A command, as long as `rebuild`,
 * would fail by it: it asks each connection what the pooler keeps. */
static void main_set_prepare(const struct command_spec *spec, const struct config *config) {
    const char *word = config->postgres.prepare;
    bool recovers = strcmp(spec->name, "run") == 0;
    pg_set_prepare(strcmp(word, "always") == 0 && recovers ? PG_PREPARE_ALWAYS
                   : strcmp(word, "never") == 0            ? PG_PREPARE_NEVER
                                                           : PG_PREPARE_AUTO);
}

static int main_configure_log(const struct command *command, const struct config *config) {
    const char *format = command->log_format ? command->log_format : config->log.format;
    const char *name = command->log_level ? command->log_level : config->log.level;
    enum log_level level;
    if (strcmp(format, "json") != 0 && strcmp(format, "text") != 0) {
        fprintf(stderr, "aggregator: log.format is \"%s\": set json or text\n", format);
        return 2;
    }
    if (!log_level_parse(name, &level)) {
        fprintf(stderr,
                "aggregator: log.level is \"%s\": set debug, info, warning (or warn), error (or "
                "critical)\n",
                name);
        return 2;
    }
    log_configure(level, strcmp(format, "text") == 0);
    return 0;
}

static int main_run_with(const struct command_spec *spec, struct command *command,
                         const struct config *config) {
    renewal_begin(command->config_path, config);
    main_set_prepare(spec, config);
    int status = main_configure_log(command, config);
    command->config = config;
    command->socket = command->socket ? command->socket : config->admin.socket;
    status = status ? status : signals_status(spec->run(command));
    config_unref(config);
    return status;
}

/* The settings of the program at the socket; NULL: err. */
static struct config *main_take_settings(const char *socket, struct err *err) {
    struct buffer json = {0};
    struct config *config = admin_call(socket, "settings", SETTINGS_TIMEOUT_MS, &json, err)
                                ? config_of_settings(buffer_slice(&json), err)
                                : NULL;
    buffer_free(&json);
    return config;
}

static int main_run_with_settings(const struct command_spec *spec, struct command *command) {
    struct err err = {0};
    struct config *config = main_take_settings(command->socket, &err);
    if (!config) {
        return main_fail_start(&err);
    }
    main_set_prepare(spec, config);
    int status = main_configure_log(command, config);
    command->config = config;
    status = status ? status : signals_status(spec->run(command));
    config_unref(config);
    return status;
}

/* A mistake in the configuration must not keep an operator from the running program. */
static int main_run_without(const struct command_spec *spec, struct command *command,
                            const struct err *err) {
    char *found = command->socket ? NULL : config_find_socket(command->config_path);
    command->socket = command->socket ? command->socket : found;
    fprintf(stderr,
            "aggregator: %s\naggregator: the configuration is wrong; %s %s (--socket PATH: "
            "at another)\n",
            err->text,
            spec->takes_settings ? "the settings are those of the running program at"
                                 : "the running program is asked at",
            command->socket);
    int status = spec->takes_settings ? main_run_with_settings(spec, command)
                                      : signals_status(spec->run(command));
    free(found);
    return status;
}

static int main_run_configured(const struct command_spec *spec, struct command *command) {
    struct err err = {0};
    struct buffer path = {0};
    config_find(command->config_path, &path);
    command->config_path = path.data;
    struct config *config =
        environment_file_read(path.data, &err) ? config_load(path.data, &err) : NULL;
    bool reaches = spec->asks_program || spec->takes_settings || command->running;
    command->config_problem = err.text;
    int status = config                       ? main_run_with(spec, command, config)
                 : spec->takes_config_problem ? signals_status(spec->run(command))
                 : reaches                    ? main_run_without(spec, command, &err)
                                              : main_fail_start(&err);
    command->config_problem = NULL;
    buffer_free(&path);
    return status;
}

/* arguments_read moves the pointers. */
static char **main_copy_arguments(int argc, char **argv) {
    char **copy = xcalloc((size_t)argc + 1, sizeof *copy);
    memcpy(copy, argv, (size_t)argc * sizeof *copy);
    return copy;
}

static int main_run(int argc, char **argv) {
    struct arguments arguments;
    struct err err = {0};
    if (!descriptors_reserve()) {
        return 1; /* there is no descriptor to report it */
    }
    signals_init();
    predecessor_meet();
    static char **given; /* kept for an upgrade */
    given = main_copy_arguments(argc, argv);
    if (!arguments_read(argc, argv, &arguments, &err)) {
        return main_refuse_usage(&arguments, &err);
    }
    arguments.command.argv = given;
    if (arguments.command.help) {
        return main_print_help(&arguments);
    }
    if (arguments.command.version) {
        return command_version(&arguments.command);
    }
    if (!arguments.spec->is_raw && !terminal_guard_output(&err)) {
        return main_fail_start(&err);
    }
    return arguments.spec->without_config ? arguments.spec->run(&arguments.command)
                                          : main_run_configured(arguments.spec, &arguments.command);
}

/* Status 1 has its own error text, which often says the same. */
static int main_finish_output(int status) {
    if (terminal_finish_output() || status == 1) {
        return status;
    }
    fprintf(stderr, "aggregator: standard output cannot be written: %s\n", strerror(errno));
    return 1;
}

int main(int argc, char **argv) {
    return main_finish_output(main_run(argc, argv));
}
