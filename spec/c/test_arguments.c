/* The command line: valid options are parsed, and everything else is refused before anything runs.
 */
#include "command/arguments.h"
#include "command/help.h"
#include "explain/explain.h"
#include "test.h"

#define WORDS_MAX 80

static struct arguments arguments;
static struct command *const command = &arguments.command;
static struct err err;

/* Reads `aggregator LINE`; words end at blanks, '' is an empty one. */
static bool read_line(const char *line) {
    static char text[4096];
    static char *argv[WORDS_MAX + 2];
    int argc = 1;
    err = (struct err){0};
    snprintf(text, sizeof text, "%s", line);
    argv[0] = "aggregator";
    for (char *word = strtok(text, " "); word && argc < WORDS_MAX; word = strtok(NULL, " ")) {
        argv[argc++] = strcmp(word, "''") == 0 ? "" : word;
    }
    argv[argc] = NULL;
    return arguments_read(argc, argv, &arguments, &err);
}

static void check_refused(const char *line, const char *said) {
    if (read_line(line)) {
        TEST_FAIL("not refused: %s", line);
        return;
    }
    CHECK_INT(err.kind, ERR_INPUT);
    CHECK_HAS(err.text, said);
}

/* ---- the table ----------------------------------------------------------------------------- */

static void for_each_option(void (*visit)(const struct command_spec *spec,
                                          const struct option_spec *option)) {
    for (size_t i = 0; commands_at(i); i++) {
        for (size_t o = 0; o < COMMAND_MAX_OPTIONS && commands_at(i)->options[o].name; o++) {
            visit(commands_at(i), &commands_at(i)->options[o]);
        }
    }
}

static const struct command_spec *foreign_to;

static void refuse_foreign(const struct command_spec *spec, const struct option_spec *option) {
    char line[160], said[160];
    if (commands_option(foreign_to, option->name, strlen(option->name))) {
        return;
    }
    (void)spec;
    snprintf(line, sizeof line, "%s --%s%s", foreign_to->name, option->name,
             option->value ? " 1" : "");
    snprintf(said, sizeof said, "%s takes no option --%s", foreign_to->name, option->name);
    check_refused(line, said);
    CHECK(arguments.spec == foreign_to);
}

static void every_command_refuses_the_options_of_others(void) {
    for (size_t i = 0; commands_at(i); i++) {
        foreign_to = commands_at(i);
        for_each_option(refuse_foreign);
    }
    check_refused("rejected drop --topic T --partition 99 --yes",
                  "rejected drop takes no option --partition");
}

static void look_in_texts(const struct command_spec *spec, const struct option_spec *option) {
    struct buffer help = {0};
    char name[64];
    snprintf(name, sizeof name, "--%s%s%s", option->name, option->value ? " " : "",
             option->value && option->kind != OPTION_SINCE ? option->value : "");
    static const char earlier[] = "the name of --"; /* another option's, which the usage has */
    if (!option->help || strncmp(option->help, earlier, sizeof earlier - 1) != 0) {
        CHECK_HAS(spec->synopsis, name);
    }
    help_command(spec, &help);
    CHECK_HAS(help.data, name);
    buffer_free(&help);
    CHECK(option->help && *option->help);
    CHECK(!option->value == (option->kind == OPTION_SWITCH));
}

/* Words of a synopsis that begin with -- are options of the command. */
static void check_synopsis(const struct command_spec *spec) {
    for (const char *at = spec->synopsis; (at = strstr(at, "--")); at += 2) {
        CHECK(commands_option(spec, at + 2, strcspn(at + 2, " ]|)")) != NULL);
    }
    for (size_t i = 0; i < COMMAND_MAX_ARGUMENTS && spec->arguments[i].name; i++) {
        CHECK_HAS(spec->synopsis, spec->arguments[i].name);
    }
}

static void usage_and_help_name_all_that_a_command_takes(void) {
    for_each_option(look_in_texts);
    for (size_t i = 0; commands_at(i); i++) {
        check_synopsis(commands_at(i));
    }
}

static void check_width(const char *text) {
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        size_t columns = 0;
        for (size_t i = 0; line[i] && line[i] != '\n'; i++) {
            columns += ((unsigned char)line[i] & 0xC0) != 0x80;
        }
        if (columns > 80) {
            TEST_FAIL("%zu columns: %.*s", columns, (int)strcspn(line, "\n"), line);
        }
    }
}

static void every_help_fits_a_terminal(void) {
    for (size_t i = 0; i == 0 || commands_at(i - 1); i++) {
        struct buffer help = {0};
        if (commands_at(i)) {
            help_command(commands_at(i), &help);
            CHECK(strncmp(help.data, "usage: aggregator ", 18) == 0);
        } else {
            help_list(NULL, &help);
        }
        check_width(help.data);
        buffer_free(&help);
    }
}

static void every_command_has_a_help(void) {
    char line[128];
    for (size_t i = 0; commands_at(i); i++) {
        snprintf(line, sizeof line, "%s -h", commands_at(i)->name);
        CHECK(read_line(line) && command->help && arguments.spec == commands_at(i));
        snprintf(line, sizeof line, "--help %s", commands_at(i)->name);
        CHECK(read_line(line) && command->help);
    }
    CHECK(read_line("rejected --help") && !arguments.spec);
    CHECK_TEXT(arguments.group, "rejected");
    CHECK(read_line("-h") && command->help && !arguments.spec && !arguments.group);
    CHECK(read_line("run --version") && command->version);
}

static void errors_are_followed_by_the_usage_of_the_command(void) {
    struct buffer usage = {0};
    CHECK(!read_line("replay"));
    help_usage(arguments.spec, arguments.group, &usage);
    CHECK_HAS(usage.data, "usage: aggregator replay --topic TOPIC");
    CHECK_HAS(usage.data, "`aggregator help replay` says more");
    buffer_free(&usage);
}

/* ---- options ------------------------------------------------------------------------------- */

static void give_twice(const struct command_spec *spec, const struct option_spec *option) {
    char line[160];
    char value[64] = "=1";
    if (option->kind == OPTION_SWITCH) {
        value[0] = '\0';
    } else if (option->kind >= OPTION_TIME) {
        snprintf(value, sizeof value, "=2026-01-31T08:00:00Z");
    } else if (option->kind == OPTION_WORD) {
        snprintf(value, sizeof value, "=%s", option->words[0]);
    }
    if (option->kind == OPTION_TEXTS) {
        return;
    }
    snprintf(line, sizeof line, "%s --%s%s --%s%s", spec->name, option->name, value, option->name,
             value);
    check_refused(line, "is given twice");
}

static void a_repeated_option_is_refused(void) {
    for_each_option(give_twice);
    check_refused("run --config a --config b", "--config is given twice");
}

static void give_bad_values(const struct command_spec *spec, const struct option_spec *option) {
    static const char *const bad[] = {"", "=", " ''", " --yes"};
    char line[160];
    if (!option->value) {
        snprintf(line, sizeof line, "%s --%s=yes", spec->name, option->name);
        check_refused(line, "takes no value");
        return;
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(line, sizeof line, "%s --%s%s", spec->name, option->name, bad[i]);
        check_refused(line, i == 1 || i == 2 ? "is empty" : " needs ");
    }
}

static void a_missing_value_is_refused(void) {
    for_each_option(give_bad_values);
    CHECK(read_line("tap --contains=--yes"));
    CHECK_TEXT(command->contains, "--yes");
}

static void give_bad_number(const struct command_spec *spec, const struct option_spec *option) {
    static const char *const bad[] = {"x", "1x",  "1.5", "+1",  "-1",
                                      "-", "0x1", "1e3", "\t1", "99999999999999999999"};
    char line[160];
    for (size_t i = 0; option->kind == OPTION_WHOLE && i < sizeof bad / sizeof *bad; i++) {
        snprintf(line, sizeof line, "%s --%s=%s", spec->name, option->name, bad[i]);
        check_refused(line, "say a whole number from ");
        CHECK_HAS(err.text, option->name);
    }
}

static void numbers_are_whole_and_in_range(void) {
    for_each_option(give_bad_number);
    check_refused("replay --topic t --partition 2147483648 --from-offset 0",
                  "--partition is \"2147483648\": say a whole number from 0 to 2147483647");
    check_refused("rejected list --limit 0", "from 1 to 1000000");
    CHECK(read_line("replay --topic t --partition 2147483647 --from-offset 9223372036854775807"));
    CHECK_INT(command->partition, 2147483647);
    CHECK_INT(command->from_offset, INT64_MAX);
}

static void other_values_are_checked(void) {
    check_refused("replay --topic t --from-time yesterday", "2026-01-31T08:00:00Z");
    check_refused("replay --topic t --from-time 1969-12-31T00:00:00Z",
                  "--from-time is \"1969-12-31T00:00:00Z\": say a time of the years 1970 to 9999");
    check_refused("replay --topic t --from-time beginning", "--from-time is");
    check_refused("explain x --since yesterday", "--since is \"yesterday\"");
    check_refused("test --coverage-min 101", "a number from 0 to 100");
    check_refused("test --coverage-min nan", "a number from 0 to 100");
    check_refused("test --coverage-min -1", "a number from 0 to 100");
    check_refused("run --log xml", "--log is \"xml\": say json, text");
    check_refused("run --log-level loud", "--log-level is \"loud\": say debug, info");
    CHECK(read_line("explain x --since beginning"));
    CHECK_INT(command->since_us, EXPLAIN_SINCE_BEGINNING);
    CHECK(read_line("explain x --since 1970-01-01T00:00:01Z"));
    CHECK_INT(command->since_us, 1000000);
    CHECK(read_line("run --log-level=WARNING"));
    CHECK_TEXT(command->log_level, "warning");
    CHECK(read_line("test --coverage-min 99.5") && command->coverage_min == 99.5);
}

static void omitted_options_have_their_defaults(void) {
    CHECK(read_line("explain x"));
    CHECK_INT(command->since_us, EXPLAIN_SINCE_ROWS);
    CHECK_INT(command->limit, 20);
    CHECK(!command->config_path);
    CHECK(!command->json && !command->table && !command->log_format);
    CHECK(read_line("rejected list"));
    CHECK_INT(command->limit, 50);
    CHECK(read_line("reload"));
    CHECK_INT(command->accept, -1);
    CHECK(read_line("test") && command->coverage_min < 0);
    CHECK(read_line("replay --topic t --from-offset 0"));
    CHECK_INT(command->partition, -1);
    CHECK_INT(command->from_time_us, -1);
}

static void abbreviated_names_are_refused_with_the_nearest_name(void) {
    check_refused("replay --topic t --from-off 3", "did you mean \"--from-offset\"?");
    check_refused("rejected drop --al --yes", "did you mean \"--all\"?");
    check_refused("run --wathc", "run takes no option --wathc: did you mean \"--watch\"?");
    check_refused("run --confg x", "did you mean \"--config\"?");
    check_refused("run -x", "run takes no option -x");
    check_refused("run -hx", "run takes no option -hx");
}

static void options_follow_the_commands_name(void) {
    check_refused("--topic t replay --from-offset 0", "--topic stands before the command");
    check_refused("rejected --yes drop x", "--yes stands before the command");
    CHECK(read_line("--config other.lua --log=text rejected --log-level debug drop --yes a/0/1"));
    CHECK_TEXT(command->config_path, "other.lua");
    CHECK_TEXT(command->log_format, "text");
    CHECK_TEXT(command->log_level, "debug");
    CHECK(command->yes && command->word_count == 1);
}

static void topics_may_be_repeated_within_bounds(void) {
    char line[1024] = "tap";
    CHECK(read_line("tap --topic a --topic=b --limit 3"));
    CHECK_INT(command->topics.count, 2);
    CHECK_TEXT(command->topics.items[1], "b");
    for (int i = 0; i <= COMMAND_TEXTS_MAX; i++) {
        strcat(line, " --topic=t");
    }
    check_refused(line, "more than 64 times");
}

static void contradicting_options_are_refused(void) {
    check_refused("replay --from-offset 1", "replay needs --topic TOPIC");
    check_refused("replay --topic t", "--from-time or --from-offset");
    check_refused("replay --topic t --from-offset 1 --from-time 2026-01-31T08:00:00Z",
                  "one of the two");
    check_refused("rejected drop", "say which events");
    check_refused("rejected retry --yes", "say which events");
    check_refused("rejected drop --all --topic t", "not several of these");
    check_refused("rejected drop --all t/0/1", "not several of these");
    check_refused("rejected drop --topic t t/0/1", "not several of these");
    check_refused("try", "try: say which FILE|- of events, or --path PATH, or --reaction");
    check_refused("try --reaction r", "needs --row FILE|- or --key KEY");
    check_refused("try --reaction r --row - --key k", "one of the two");
    check_refused("try --body - events", "need --path PATH");
    check_refused("try --reaction r --row - --stubs s", "--stubs is for events and requests");
    check_refused("try --row -", "--row and --key need --reaction");
    check_refused("try --reaction r --row - events", "one of these");
    check_refused("reload --accept 0", "need --shadow-run");
    check_refused("reload --events 5", "need --shadow-run");
    CHECK(read_line("rejected drop --topic t --reason r"));
    CHECK(read_line("reload --shadow-run --accept 0"));
    CHECK(read_line("reload --canary --accept 0"));
    CHECK(read_line("try --reaction r --row -"));
    CHECK(read_line("try --reaction r --key a --key b"));
    CHECK(read_line("try --path /x --header a:b --header c:d --stubs s"));
}

/* ---- arguments and commands ---------------------------------------------------------------- */

static void arguments_are_counted_and_not_empty(void) {
    static const struct {
        const char *line, *said;
    } bad[] = {
        {"run fast", "run takes no \"fast\""},
        {"rollback 1 2", "rollback takes no \"2\""},
        {"rollback ''", "argument 1 of rollback is empty"},
        {"explain", "explain needs ID"},
        {"explain a b c", "explain takes no \"c\""},
        {"rejected show", "rejected show needs ID"},
        {"rejected drop t/0/1 ''", "argument 2 of rejected drop is empty"},
        {"new route", "new route needs NAME"},
        {"new handler a b", "new handler takes no \"b\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check_refused(bad[i].line, bad[i].said);
    }
    CHECK(read_line("try -"));
    CHECK_TEXT(command->words[0], "-");
    CHECK(read_line("test -- --odd -h"));
    CHECK_INT(command->word_count, 2);
    CHECK_TEXT(command->words[1], "-h");
    CHECK(read_line("explain --json batch --limit 3 x"));
    CHECK_TEXT(command->words[0], "batch");
    CHECK_TEXT(command->words[1], "x");
}

static void unknown_commands_are_refused(void) {
    check_refused("", "say a command");
    check_refused("--config x", "say a command");
    check_refused("chekc", "no command \"chekc\": did you mean \"check\"?");
    check_refused("dance", "no command \"dance\"");
    check_refused("''", "no command \"\"");
    check_refused("rejected", "rejected needs a second word: there are rejected list, ");
    check_refused("rejected drp x", "no command \"rejected drp\": did you mean \"rejected drop\"?");
    check_refused("new handle x", "no command \"new handle\": did you mean \"new handler\"?");
    check_refused("run --port 1", "run takes no option --port: config.lua has the settings");
    check_refused("reject drop x", "did you mean \"rejected");
    check_refused("rejected drop2", "no command");
}

static const struct test_case cases[] = {
    {"every command refuses the options of others", every_command_refuses_the_options_of_others},
    {"usage and help name all that a command takes", usage_and_help_name_all_that_a_command_takes},
    {"every help fits a terminal", every_help_fits_a_terminal},
    {"every command has a help", every_command_has_a_help},
    {"errors are followed by the usage of the command",
     errors_are_followed_by_the_usage_of_the_command},
    {"a repeated option is refused", a_repeated_option_is_refused},
    {"a missing value is refused", a_missing_value_is_refused},
    {"numbers are whole and in range", numbers_are_whole_and_in_range},
    {"other values are checked", other_values_are_checked},
    {"omitted options have their defaults", omitted_options_have_their_defaults},
    {"abbreviated names are refused with the nearest name",
     abbreviated_names_are_refused_with_the_nearest_name},
    {"options follow the command's name", options_follow_the_commands_name},
    {"topics may be repeated within bounds", topics_may_be_repeated_within_bounds},
    {"contradicting options are refused", contradicting_options_are_refused},
    {"arguments are counted and not empty", arguments_are_counted_and_not_empty},
    {"unknown commands are refused", unknown_commands_are_refused},
};

TEST_MAIN(cases)
