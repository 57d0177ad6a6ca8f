/* commands_of_service: the table of the commands that run, check and reach the service. */
#include "commands_table.h"

#include "conflicts.h"

static const char *const findings_formats[] = {"text", "json", "github", NULL};

static const struct command_spec specs[] = {
    {
        .name = "run",
        .run = command_run,
        .synopsis = "[--watch]",
        .summary = "follow Kafka, keep the view in Postgres, answer HTTP",
        .help = "Runs until SIGTERM or SIGINT. SIGHUP reloads scripts and settings.",
        .status = "0 ended by a signal, 1 could not start, 70 a call did not end in time, 130 a "
                  "second signal, or 45 s after the drain (http.drain_delay_ms + "
                  "http.drain_timeout_ms)",
        .options = {SWITCH("watch", watch,
                           "reload whenever a script or query changes: for authors")},
        .is_raw = true,
    },
    {
        .name = "check",
        .run = command_check,
        .takes_config_problem = true,
        .synopsis = "[--format text|json|github]",
        .summary = "check configuration, scripts, and the view against the schema",
        .help = "Reads configuration and scripts, and asks the database whether it has what they "
                "name. Changes nothing and touches no queue. Warnings do not change the status.",
        .options = {{.name = "format",
                     .value = "text|json|github",
                     .kind = OPTION_WORD,
                     .words = findings_formats,
                     .offset = FIELD(format),
                     .help = "text; json: one object with every finding; github: annotations of a "
                             "workflow, at file and line. Default: text"}},
    },
    {
        .name = "config",
        .run = command_config,
        .synopsis = "[SETTING] [--running] [--changed] [--describe] [--json]",
        .summary = "print every setting, its value, and where that comes from",
        .help = "Prints each setting with its value and its source: the default, FILE:LINE with "
                "the environment variables that are read there, or the variable "
                "AGGREGATOR_SECTION_KEY that overrides every file. Secrets show as ***. The "
                "environment is that of this command: --running asks the running program for its "
                "own, also if the configuration on the disk is wrong, and prints what differs.",
        .arguments = {{.name = "SETTING",
                       .is_optional = true,
                       .help = "a setting, as http.port, which is described; or a section, as "
                               "http; default: all"}},
        .options = {SWITCH("running", running,
                           "the settings of the running program, and which differ on the disk"),
                    SWITCH("changed", changed, "without the settings that have their defaults"),
                    SWITCH("describe", describe,
                           "of each what it is, its default, range and variable, and whether a "
                           "reload or a restart applies a change"),
                    SWITCH("json", json, "everything, as one JSON object")},
    },
    {
        .name = "migrate",
        .run = command_migrate,
        .synopsis = "[--redo] [--yes]",
        .summary = "apply the migrations that the database lacks",
        .help = "Applies them in the order of their numbers, each in one transaction. Concurrent "
                "runs wait for one another.",
        .options = {SWITCH(
                        "redo", redo,
                        "first take back the newest migration, by the lines `-- undo: STATEMENT` "
                        "that it had when it was applied, and apply its text of now, or neither: "
                        "for a draft that has changed, on one's own database. The rows of tables "
                        "and columns that it makes are lost"),
                    YES},
        .conflict = conflicts_migrate,
    },
    {
        .name = "status",
        .run = command_status,
        .asks_program = true,
        .synopsis = "[--json]",
        .summary = "print the state of the running program",
        .help = "Prints health and reasons, rates, lag, scripts, outbox, rejected events, the last "
                "problems, and what to do. Asks the program over its admin socket (admin.socket). "
                "NO_COLOR: without colours.",
        .status = "0 healthy, 1 no program answers, 3 degraded: it works in part, 4 not ready",
        .options = {SWITCH("json", json, "everything, as one JSON object")},
        .is_raw = true,
    },
    {
        .name = "top",
        .run = command_top,
        .asks_program = true,
        .synopsis = "[--once]",
        .summary = "show what the running program does, once a second",
        .help =
            "Rates, lag, latency, scripts and the last problems, on a terminal of 80 columns or "
            "more. Keys: q quits, p pauses, s sorts by the next column, 1 to 4 choose the page: "
            "overview, partitions, scripts, problems. It asks the admin socket alone.",
        .options = {SWITCH("once", once, "print one page, of one second, and end: for pipes")},
        .is_raw = true,
    },
    {
        .name = "health",
        .run = command_health,
        .asks_program = true,
        .synopsis = "[PROBE]",
        .summary = "ask the running program whether it is healthy: for a container",
        .help = "Answers as the probe does over HTTP, by the admin socket (admin.socket). Prints "
                "JSON.",
        .status = "0 the probe is 200, 1 it is 503, or no program answers",
        .arguments = {{.name = "PROBE",
                       .is_optional = true,
                       .help = "alive: /healthz (the default); ready: /readyz; read: /readyz/read; "
                               "consume: /readyz/consume"}},
    },
    {
        .name = "reload",
        .run = command_reload,
        .asks_program = true,
        .synopsis = "[--drop] [--shadow-run|--canary [--events N] [--accept PERCENT]]",
        .summary = "replace the running scripts and settings by those on the disk",
        .help = "Replaces all of them or nothing; SIGHUP does the same. Prints JSON.",
        .status = "0 the scripts and settings on the disk run, 1 they were refused",
        .options =
            {
                SWITCH("drop", drop,
                       "even where topics or paths that run now are missing on the "
                       "disk"),
                SWITCH("shadow-run", shadow_run,
                       "first run both script sets on the newest events of the log, and replace "
                       "only if no more differs than is accepted"),
                SWITCH("canary", shadow_run, "the former name of --shadow-run"),
                EVENTS("with --shadow-run: number of events; default: scripts.canary_events"),
                WHOLE("accept", "PERCENT", accept, 0, 100, -1,
                      "with --shadow-run: the share of rows and published messages that may "
                      "differ, and "
                      "of events that may be newly rejected; default: "
                      "scripts.canary_accept_percent; 100: any"),
            },
        .conflict = conflicts_reload,
    },
    {
        .name = "upgrade",
        .run = command_upgrade,
        .asks_program = true,
        .synopsis = "",
        .summary = "have the installed program take over from the running one",
        .help = "Starts the program that is installed now at the path of the running one, with the "
                "same arguments. It inherits the listening sockets and takes over once it is "
                "ready; the running process drains and ends. No request fails. A downgrade is the "
                "same command. Prints JSON.",
        .status = "0 replaced, 1 nothing was changed: the running process goes on",
    },
    {
        .name = "diff",
        .run = command_diff,
        .asks_program = true,
        .synopsis = "[--interpreted] [--events N] [--json]",
        .summary = "compare the scripts on the disk with the running ones",
        .help = "Gives the newest events of the log to the scripts that run and to those on the "
                "disk, outside the live view, and prints what differs in the rows, in what is "
                "rejected and in what handlers and reactions would publish. Changes and publishes "
                "nothing.",
        .status = "0 equal, 1 different, 2 failed",
        .options = {SWITCH("interpreted", interpreted,
                           "compare the scripts on the disk, interpreted, with the same scripts, "
                           "compiled"),
                    EVENTS("number of events; default: scripts.canary_events"),
                    SWITCH("json", json, "everything, as one JSON object")},
    },
    {
        .name = "rollback",
        .run = command_rollback,
        .asks_program = true,
        .synopsis = "[GENERATION|HASH]",
        .summary = "go back to scripts that ran before",
        .help = "Prints JSON.",
        .status = "0 replaced, 1 nothing was changed",
        .arguments = {{.name = "GENERATION|HASH",
                       .is_optional = true,
                       .help = "a number of `status`, or eight or more digits of a hash; default: "
                               "the scripts that ran before the present ones"}},
    },
    {
        .name = "resume",
        .run = command_resume,
        .asks_program = true,
        .synopsis = "",
        .summary = "close breakers, and read waiting topics now",
    },
};

const struct command_set commands_of_service = {"The service", specs, sizeof specs / sizeof *specs};
