/* commands: the table, and how it is searched. */
#include "commands.h"
#include "conflicts.h"

#include <string.h>

#include "shadow_run/shadow_run.h"
#include "explain/explain.h"
#include "rebuild/rebuild.h"

#define FIELD(name) offsetof(struct command, name)
#define SWITCH(called, field, said)                                                                \
    { .name = (called), .kind = OPTION_SWITCH, .offset = FIELD(field), .help = (said) }
#define TEXT(called, shown, field, said)                                                           \
    {                                                                                              \
        .name = (called), .value = (shown), .kind = OPTION_TEXT, .offset = FIELD(field),           \
        .help = (said)                                                                             \
    }
#define TEXTS(called, shown, field, said)                                                          \
    {                                                                                              \
        .name = (called), .value = (shown), .kind = OPTION_TEXTS, .offset = FIELD(field),          \
        .help = (said)                                                                             \
    }
#define WHOLE(called, shown, field, least, most, otherwise, said)                                  \
    {                                                                                              \
        .name = (called), .value = (shown), .kind = OPTION_WHOLE, .offset = FIELD(field),          \
        .min = (least), .max = (most), .fallback = (otherwise), .help = (said)                     \
    }
#define YES SWITCH("yes", yes, "do not ask")
#define EVENTS(said) WHOLE("events", "N", events, 1, CONFIG_CANARY_EVENTS_MAX, 0, said)
#define ROWS_SHOWN                                                                                 \
    WHOLE("limit", "N", limit, 0, INT32_MAX, 20, "print at most N rows of each table; default: 20")
#define KEEP_SHADOW                                                                                \
    SWITCH("keep-shadow", keep_shadow,                                                             \
           "leave the schema " REBUILD_SCHEMA " in the database, to look at")
#define REJECTED_ID "TOPIC/PARTITION/OFFSET, as `rejected list` prints it"
#define REJECTED_SELECTION                                                                         \
    TEXT("topic", "TOPIC", topic, "events of this topic"),                                         \
        TEXT("reason", "REASON", reason, "events rejected for this reason; with --topic: both"),   \
        SWITCH("all", all, "every rejected event")
#define MESSAGE_ID "a number, as `outbox list` prints it, or an identity"
#define MESSAGE_SELECTION                                                                          \
    TEXT("topic", "TOPIC", topic, "messages for this topic"),                                      \
        TEXT("key", "KEY", key, "messages with this key; with --topic: both"),                     \
        SWITCH("all", all, "every message")

/* ---- the table ------------------------------------------------------------------------------ */

static const char *const message_states[] = {"pending", "sent", "settled", "failed", NULL};
static const char *const findings_formats[] = {"text", "json", "github", NULL};
static const char *const log_formats[] = {"json", "text", NULL};
static const char *const log_levels[] = {"debug", "info",     "warning", "error",
                                         "warn",  "critical", NULL};

const struct option_spec command_common_options[] = {
    TEXT("config", "FILE", config_path,
         "the configuration; default: $AGGREGATOR_CONFIG; of an installed program "
         "/etc/aggregator/config.lua, else ./config.lua. `aggregator config` lists every setting"),
    TEXT("socket", "PATH", socket,
         "the admin socket of the running program, for commands that ask it; default: "
         "admin.socket, also if the rest of the configuration is wrong"),
    {.name = "log",
     .value = "json|text",
     .kind = OPTION_WORD,
     .words = log_formats,
     .offset = FIELD(log_format),
     .help = "the form of log lines; text: for people"},
    {.name = "log-level",
     .value = "LEVEL",
     .kind = OPTION_WORD,
     .words = log_levels,
     .offset = FIELD(log_level),
     .help = "debug, info, warning (or warn), error (or critical)"},
    SWITCH("help", help, "print this; also -h and `aggregator help COMMAND`"),
    SWITCH("version", version, "print the version"),
    {.name = NULL},
};

const struct command_spec commands[] = {
    {
        .name = "run",
        .run = command_run,
        .synopsis = "[--watch]",
        .summary = "follow Kafka, keep the view in Postgres, answer HTTP",
        .help = "Runs until SIGTERM or SIGINT. SIGHUP reloads scripts and settings.",
        .status = "0 ended by a signal, 1 could not start, 70 a call did not end in time, 130 a "
                  "second signal or 45 s after the first",
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
    {
        .name = "replay",
        .run = command_replay,
        .takes_settings = true,
        .synopsis = "--topic TOPIC (--from-time TIME | --from-offset N) [--partition N]",
        .summary = "rewind a topic while the service runs",
        .help = "Moves offsets back in the database; the service goes on from there within "
                "seconds. Prints for each partition how many offsets are read again. Rows do not "
                "change by it unless scripts have; effects of handlers happen again.",
        .options =
            {
                {.name = "topic",
                 .value = "TOPIC",
                 .kind = OPTION_TEXT,
                 .offset = FIELD(topic),
                 .is_required = true,
                 .help = "the topic that is rewound"},
                {.name = "from-time",
                 .value = "TIME",
                 .kind = OPTION_TIME,
                 .offset = FIELD(from_time_us),
                 .fallback = -1,
                 .help = "from the first record of that time on, as 2026-01-31T08:00:00Z"},
                WHOLE("from-offset", "N", from_offset, 0, INT64_MAX, -1,
                      "from this offset of each partition on"),
                WHOLE("partition", "N", partition, 0, INT32_MAX, -1,
                      "this partition only; default: all"),
            },
        .conflict = conflicts_replay,
    },
    {
        .name = "rejected list",
        .run = command_rejected_list,
        .takes_settings = true,
        .synopsis = "[--topic TOPIC] [--reason REASON] [--limit N]",
        .summary = "list events that could not be applied",
        .options =
            {
                TEXT("topic", "TOPIC", topic, "events of this topic only"),
                TEXT("reason", "REASON", reason, "events rejected for this reason only"),
                WHOLE("limit", "N", limit, 1, 1000000, 50, "print at most N; default: 50"),
            },
    },
    {
        .name = "rejected show",
        .run = command_rejected_show,
        .takes_settings = true,
        .synopsis = "ID…",
        .summary = "print some of them whole",
        .arguments = {{.name = "ID", .may_repeat = true, .help = REJECTED_ID}},
    },
    {
        .name = "rejected retry",
        .run = command_rejected_retry,
        .takes_settings = true,
        .synopsis = "(ID… | [--topic TOPIC] [--reason REASON] | --all) [--yes]",
        .summary = "send them to the present scripts again",
        .help = "Prints how many events are selected, by topic and reason, and asks where there "
                "are more than five. What is applied leaves the table. Effects of handlers "
                "happen.",
        .arguments = {{.name = "ID", .is_optional = true, .may_repeat = true, .help = REJECTED_ID}},
        .options = {REJECTED_SELECTION, YES},
        .conflict = conflicts_selection,
    },
    {
        .name = "rejected drop",
        .run = command_rejected_drop,
        .takes_settings = true,
        .synopsis = "(ID… | [--topic TOPIC] [--reason REASON] | --all) [--yes]",
        .summary = "delete them",
        .help = "Prints how many events are selected, by topic and reason, and asks where there "
                "are more than five. There is no way back.",
        .arguments = {{.name = "ID", .is_optional = true, .may_repeat = true, .help = REJECTED_ID}},
        .options = {REJECTED_SELECTION, YES},
        .conflict = conflicts_selection,
    },
    {
        .name = "outbox list",
        .run = command_outbox_list,
        .takes_settings = true,
        .synopsis = "[--topic TOPIC] [--key KEY] [--state STATE] [--limit N]",
        .summary = "list published and pending messages",
        .help = "The newest first: id, time, state, topic, key, identity, and what is wrong.",
        .options =
            {
                TEXT("topic", "TOPIC", topic, "messages for this topic only"),
                TEXT("key", "KEY", key, "messages with this key only"),
                {.name = "state",
                 .value = "STATE",
                 .kind = OPTION_WORD,
                 .words = message_states,
                 .offset = FIELD(state),
                 .help = "pending, sent, settled (not sent: too old, or dropped), or failed "
                         "(rejected by Kafka)"},
                WHOLE("limit", "N", limit, 1, 1000000, 50, "print at most N; default: 50"),
            },
    },
    {
        .name = "outbox show",
        .run = command_outbox_show,
        .takes_settings = true,
        .synopsis = "ID…",
        .summary = "print some of them whole",
        .arguments = {{.name = "ID", .may_repeat = true, .help = MESSAGE_ID}},
    },
    {
        .name = "outbox retry",
        .run = command_outbox_retry,
        .takes_settings = true,
        .synopsis = "(ID… | [--topic TOPIC] [--key KEY] | --all) [--yes]",
        .summary = "publish messages that Kafka rejected",
        .help = "Prints how many failed messages are selected, by topic, and asks where there are "
                "more than five. They become pending; one past outbox.horizon_hours is settled "
                "instead of sent.",
        .arguments = {{.name = "ID", .is_optional = true, .may_repeat = true, .help = MESSAGE_ID}},
        .options = {MESSAGE_SELECTION, YES},
        .conflict = conflicts_message,
    },
    {
        .name = "outbox drop",
        .run = command_outbox_drop,
        .takes_settings = true,
        .synopsis = "(ID… | [--topic TOPIC] [--key KEY] | --all) [--yes]",
        .summary = "do not publish them",
        .help = "Prints how many pending and failed messages are selected, by topic, and asks "
                "where there are more than five. They become settled: their facts are not "
                "published again. One that Kafka takes at this moment may still arrive.",
        .arguments = {{.name = "ID", .is_optional = true, .may_repeat = true, .help = MESSAGE_ID}},
        .options = {MESSAGE_SELECTION, YES},
        .conflict = conflicts_message,
    },
    {
        .name = "explain",
        .run = command_explain,
        .takes_settings = true,
        .synopsis = "[WORD] ID [--table TABLE] [--since TIME|beginning] [--limit N] [--json]",
        .summary = "print which events made the rows of an id, and what was published",
        .help = "Prints for each row that the id is a key of, or stands in a list of, and for "
                "each group of columns: which event wrote it (its id and time, topic, partition "
                "and offset, the scripts that handled it), which events lost against it, and "
                "which events that name the id were rejected. Then which reactions follow the "
                "rows, what was published of them, by which scripts, and whether the present "
                "scripts would publish the same. `explain outbox ID` begins with a message and "
                "prints the row of its reaction's query and the events behind it.",
        .status = "0 explained, 1 failed, 2 wrong usage, or no such table, word or message",
        .arguments = {{.name = "WORD",
                       .is_optional = true,
                       .help = "order: the id is one of a key column order or order_… only; "
                               "event: an event's; outbox: a message's, or its identity"},
                      {.name = "ID", .help = "of a row, an event or a message"}},
        .options =
            {
                TEXT("table", "TABLE", table, "rows of that table only"),
                {.name = "since",
                 .value = "TIME",
                 .kind = OPTION_SINCE,
                 .offset = FIELD(since_us),
                 .fallback = EXPLAIN_SINCE_ROWS,
                 .help = "read Kafka's log from that time on (2026-01-31T08:00:00Z), or from the "
                         "beginning; default: an hour before the oldest event that wrote one of "
                         "the rows"},
                WHOLE("limit", "N", limit, 0, INT32_MAX,
                      20, "print at most N events of each group; default: 20"),
                SWITCH("json", json, "everything, as one JSON object"),
            },
    },
    {
        .name = "verify",
        .run = command_verify,
        .takes_settings = true,
        .synopsis = "[--limit N] [--keep-shadow]",
        .summary = "compare the view with one built from Kafka's log",
        .help = "Builds the view from Kafka's log in a schema of its own, and compares. Changes "
                "nothing and asks no other system: rows that rest on such answers are listed, and "
                "not compared.",
        .status = "0 equal, 1 different or failed, 2 wrong usage",
        .options = {ROWS_SHOWN, KEEP_SHADOW},
    },
    {
        .name = "rebuild",
        .run = command_rebuild,
        .takes_settings = true,
        .synopsis = "[--limit N] [--keep-shadow] [--yes]",
        .summary = "the same, and repair the view",
        .help = "As `aggregator verify`; then prints how many rows would change, asks, and makes "
                "the live view equal in one transaction. Consumption goes on. Rows that the log "
                "can no longer give, or that rest on answers of other systems, are kept and "
                "listed.",
        .options = {ROWS_SHOWN, KEEP_SHADOW, YES},
    },
    {
        .name = "test",
        .run = command_test,
        .synopsis = "[PATH…] [--real] [--coverage] [--coverage-min PERCENT] [--watch]",
        .summary = "run the specs of the scripts; needs no server",
        .status = "0 all passed, 1 one failed, 2 wrong usage",
        .arguments = {{.name = "PATH",
                       .is_optional = true,
                       .may_repeat = true,
                       .help = "a spec, or a folder of *_spec.lua; default: spec/unit"}},
        .options =
            {
                SWITCH("real", real, "bindings instead of their doubles"),
                SWITCH("coverage", coverage, "say which lines did not run"),
                {.name = "coverage-min",
                 .value = "PERCENT",
                 .kind = OPTION_PERCENT,
                 .offset = FIELD(coverage_min),
                 .fallback = -1,
                 .help = "likewise, and fail where fewer of the lines ran"},
                SWITCH(
                    "watch", watch,
                    "run them again whenever a script, query, spec or config.lua changes"),
            },
        .is_raw = true,
    },
    {
        .name = "try",
        .run = command_try,
        .synopsis = "[HANDLER] FILE|- [--stubs FILE] [--json] | --path PATH [--method METHOD] "
                    "[--header 'NAME: VALUE']… [--body FILE|-] [--stubs FILE] [--json] | "
                    "--reaction NAME (--row FILE|- | --key KEY…) [--json]",
        .summary = "run the scripts on events, a request or rows; writes nothing",
        .help = "Gives the events of a file, or of standard input, to the handlers on the disk "
                "under the limits of production, and prints for each its fields as the handler "
                "gets them, its merges, what it touches and publishes, or why it is rejected; then "
                "the rows, the SQL that would write them, and which reactions would be asked for "
                "which keys. Needs no server: what a handler asks of pg, redis, kafka or http "
                "fails with the kind \"unavailable\".\n"
                "With --path, sends a request to the route on the disk that has the path, and "
                "prints the response as a client gets it, then what the route asked, and the "
                "surrogate keys of the response. Its queries run in the database, each in a "
                "read-only transaction that is rolled back; redis and http fail, and kafka sends "
                "nothing. No credentials are asked for, and no cache is used.\n"
                "With --reaction, calls that reaction for the rows of a file, or for those that "
                "its query gives for keys in the database, and prints what it would publish, or "
                "the error.\n"
                "With --stubs, the doubles of specs reply in the place of all other systems: the "
                "file sets their replies as a spec does, and no server is needed.",
        .status =
            "0 all applied or ignored, or a response below 500, 1 some rejected or failed, or "
            "the scripts are wrong, 2 wrong usage, handler, reaction, request or file",
        .arguments = {{.name = "HANDLER",
                       .is_optional = true,
                       .help =
                           "order_placed, handlers/order_placed, …; events of topics that it does "
                           "not declare are not read. Default: the handler of "
                           "each topic"},
                      {.name = "FILE|-",
                       .is_optional = true,
                       .help = "JSON lines or one JSON document. Each is a record, {\"topic\": …, "
                               "\"key\": …, \"value\": …} (or \"raw_b64\" in place of value: any "
                               "bytes in base64), or a bare envelope, which has no topic and so "
                               "needs a HANDLER"}},
        .options =
            {TEXT("path", "PATH", path,
                  "of a request, with its query: '/internal/v1/batches/b-1/status?x=1'"),
             TEXT("method", "METHOD", method, "GET, POST, …; default: GET, or POST with --body"),
             TEXTS("header", "'NAME: VALUE'", headers, "of the request; may be repeated"),
             TEXT("body", "FILE|-", body,
                  "of the request; its Content-Type is application/json unless --header "
                  "says another"),
             TEXT("stubs", "FILE", stubs,
                  "Lua that sets what the bindings reply: local pg = "
                  "require(\"doubles.pg\") pg.answers(\"QUERY\", { { COLUMN = … } })"),
             TEXT("reaction", "NAME", reaction, "results_ready, reactions/results_ready, …"),
             TEXT("row", "FILE|-", row,
                  "with --reaction: a row as its query gives it, a JSON object by column, or "
                  "a list of rows"),
             TEXTS("key", "KEY", keys,
                   "with --reaction: its query runs for this key in the database, which is "
                   "opened read-only; may be repeated"),
             SWITCH("json", json,
                    "one JSON object for each event, and a last one for rows, statements "
                    "and reactions; or one for the response, or for each row")},
        .conflict = conflicts_try,
    },
    {
        .name = "tap",
        .run = command_tap,
        .takes_settings = true,
        .synopsis = "[--topic TOPIC]… [--id ID] [--contains TEXT] [--limit N] "
                    "[--from-beginning] [--json] [--record FILE]",
        .summary = "print new events of Kafka, and what the scripts make of them",
        .help = "Prints of each event where it stands, its ids and times, its fields as the "
                "handler on the disk gets them, its merges, or why it would be rejected. Reads "
                "outside the consumer group, moves no offset and writes nowhere: what a handler "
                "asks of pg, redis, kafka or http fails with the kind \"unavailable\". Ends at "
                "--limit, Ctrl-C or SIGTERM.",
        .status = "0 ended as asked, 1 failed, 2 wrong usage, or no such topic",
        .options =
            {
                TEXTS("topic", "TOPIC", topics,
                      "this topic only, declared by a handler or not; may be repeated; default: "
                      "all that handlers declare. A topic that Kafka lacks is waited for if a "
                      "script names it; other topics and partitions made later are not followed"),
                TEXT("id", "ID", id, "events that name the id anywhere in their bytes"),
                TEXT("batch", "ID", id, "the name of --id in earlier releases"),
                TEXT("contains", "TEXT", contains, "events that hold the text, byte for byte"),
                WHOLE("limit", "N", limit, 1, INT64_MAX, 0, "end after N events"),
                SWITCH("from-beginning", from_beginning,
                       "first what Kafka still has; default: what comes from now on"),
                SWITCH("json", json, "one JSON object a line"),
                TEXT("record", "FILE", record,
                     "append each shown record to the file, as a line that `aggregator try` and "
                     "specs (testing.events) read"),
            },
    },
    {
        .name = "new handler",
        .run = command_new_handler,
        .synopsis = "NAME [--topic TOPIC]",
        .summary = "write a handler, an event and a spec that passes",
        .help = "Writes scripts/handlers/NAME.lua, spec/unit/handlers/NAME_spec.lua, and an event "
                "in spec/fixtures/events/NAME.json, for an author to change; comments say where. "
                "Overwrites nothing.",
        .arguments = {{.name = "NAME", .help = "lower-case letters, digits and _"}},
        .options = {TEXT("topic", "TOPIC", topic,
                         "what it reads; default: NAME with dots for _, and .v1")},
    },
    {
        .name = "new route",
        .run = command_new_route,
        .synopsis = "NAME [--path PATH] [--method METHOD]",
        .summary = "write a route, its query and a spec that passes",
        .help = "Writes scripts/routes/NAME.lua, spec/unit/routes/NAME_spec.lua, and "
                "sql/queries/NAME.sql, for an author to change; comments say where. Overwrites "
                "nothing.",
        .arguments = {{.name = "NAME", .help = "lower-case letters, digits and _"}},
        .options = {TEXT("path", "PATH", path,
                         "what it answers on, as '/orders/{order_id}/notes'; default: /NAME/{id}"),
                    TEXT("method", "METHOD", method,
                         "GET (default), or POST, PUT or PATCH: a route with a body")},
    },
    {
        .name = "new reaction",
        .run = command_new_reaction,
        .synopsis = "NAME [--table TABLE] [--topic TOPIC]",
        .summary = "write a reaction, its query and a spec that passes",
        .help = "Writes scripts/reactions/NAME.lua, spec/unit/reactions/NAME_spec.lua, and "
                "sql/queries/NAME.sql, for an author to change; comments say where. Overwrites "
                "nothing.",
        .arguments = {{.name = "NAME", .help = "lower-case letters, digits and _"}},
        .options = {TEXT("table", "TABLE", table,
                         "the table of the view that it follows; default: the first"),
                    TEXT("topic", "TOPIC", topic,
                         "what it publishes to; default: NAME with dots for _, and .v1")},
    },
    {
        .name = "new migration",
        .run = command_new_migration,
        .synopsis = "NAME",
        .summary = "write the DDL of what the view declares and the database lacks",
        .help = "Compares scripts/view.lua with the database, and writes sql/migrations/NNNN_NAME."
                "sql with the next number: tables, columns, and how `aggregator migrate --redo` "
                "takes them back. Applies nothing.",
        .arguments = {{.name = "NAME", .help = "lower-case letters, digits and _"}},
    },
    {
        .name = "repl",
        .run = command_repl,
        .synopsis = "",
        .summary = "a console with the modules of scripts; Postgres is read-only",
        .help =
            "A console with the sandbox, modules and limits that scripts have, in a Lua state of "
            "its own. It prints the value of an expression; statements may take several lines. "
            "What is assigned stays: say x = 1, as a local ends with its line. pg, redis, kafka, "
            "http, json, metrics, log, clock, uuid and cjson are there, lib.NAME by require. "
            "Scripts "
            "are read "
            "once, at its start.\n"
            "Postgres is asked in read-only transactions, which are rolled back. That prevents "
            "mistakes; where it must be a wall, connect as a role that may only read. redis, "
            "kafka and http are real.\n"
            "In a terminal, lines have history (in $XDG_STATE_HOME/aggregator/history, by default "
            "under ~/.local/state), Tab completes globals, fields, modules and queries, Ctrl-C "
            "ends a line that runs, Ctrl-D the console. Otherwise standard input is run to its "
            "end.",
        .status = "0 done, 1 a line of standard input failed, 2 wrong usage",
        .is_raw = true,
    },
    {
        .name = "types",
        .run = command_types,
        .synopsis = "",
        .summary = "print the events, tables and queries of the service for editors",
        .help =
            "Prints what an editor's language server (LuaLS) has to know of this service, as Lua "
            "comments: View (its tables, with the columns of each group that merge takes), "
            "handlers.NAME (the declaration of each handler) and handlers.NAME.Event (the event "
            "with its fields), reactions.NAME (the declaration of each reaction), pg.query (the "
            "names "
            "and parameters of the files in sql/queries, and the columns of their rows).\n"
            "Reads the scripts on the disk; needs no server. Run it again when a declaration has "
            "changed: aggregator types >docs/types/service.lua",
    },
    {
        .name = "openapi",
        .run = command_openapi,
        .synopsis = "",
        .summary = "print the description of the API, OpenAPI 3.1",
        .help = "Prints what GET /openapi.json answers once the scripts on the disk run, with a "
                "line for each member: made of what the routes declare, of the program's own paths "
                "and errors, and of scripts/openapi.json, which adds what declarations do not "
                "know: answers, summaries, examples.\n"
                "Reads the scripts on the disk; needs no server: aggregator openapi >openapi.json",
    },
    {
        .name = "version",
        .run = command_version,
        .synopsis = "",
        .summary = "print the version",
        .is_raw = true,
        .without_config = true,
    },
    {
        .name = "help",
        .run = command_help,
        .synopsis = "[COMMAND…] [--json]",
        .summary = "print what a command does and takes",
        .arguments = {{.name = "COMMAND",
                       .is_optional = true,
                       .may_repeat = true,
                       .help = "its name, of one word or two; default: the list of all"}},
        .options = {SWITCH("json", json,
                           "every command with its options, as one JSON object: for tools")},
        .without_config = true,
    },
};
const size_t command_count = sizeof commands / sizeof *commands;

/* ---- looking up ----------------------------------------------------------------------------- */

/* The number of words of the name that these words begin with; 0: they do not. */
static int commands_words_of_name(const char *name, char *const *words, int count) {
    const char *second = strchr(name, ' ');
    size_t len = second ? (size_t)(second - name) : strlen(name);
    if (count < (second ? 2 : 1) || strlen(words[0]) != len || memcmp(words[0], name, len) != 0) {
        return 0;
    }
    return !second ? 1 : strcmp(words[1], second + 1) == 0 ? 2 : 0;
}

const struct command_spec *commands_find(char *const *words, int count, int *used) {
    for (size_t i = 0; i < command_count; i++) {
        *used = commands_words_of_name(commands[i].name, words, count);
        if (*used > 0) {
            return &commands[i];
        }
    }
    return NULL;
}

bool commands_is_group(const char *word) {
    size_t len = strlen(word);
    for (size_t i = 0; i < command_count; i++) {
        if (strncmp(commands[i].name, word, len) == 0 && commands[i].name[len] == ' ') {
            return true;
        }
    }
    return false;
}

static bool commands_is_named(const struct option_spec *option, const char *name, size_t len) {
    return strlen(option->name) == len && memcmp(option->name, name, len) == 0;
}

const struct option_spec *commands_option(const struct command_spec *spec, const char *name,
                                          size_t len) {
    const struct option_spec *common = command_common_options;
    for (size_t i = 0; spec && i < COMMAND_MAX_OPTIONS && spec->options[i].name; i++) {
        if (commands_is_named(&spec->options[i], name, len)) {
            return &spec->options[i];
        }
    }
    while (common->name && !commands_is_named(common, name, len)) {
        common++;
    }
    return common->name ? common : NULL;
}
