/* commands_of_authors: the table of the commands for authors of scripts. */
#include "commands_table.h"

#include "conflicts.h"

#define NEW_NAME                                                                                   \
    { .name = "NAME", .help = "lower-case letters, digits and _" }

static const struct command_spec specs[] = {
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
                SWITCH("watch", watch,
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
                "which keys. Needs no server: what a handler asks of pg, redis or http "
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
        .status = "0 all applied, ignored or expired, or a response below 500, 1 some rejected or "
                  "failed, or the scripts are wrong, 2 wrong usage, handler, reaction, request "
                  "or file",
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
                "asks of pg, redis or http fails with the kind \"unavailable\". Ends at "
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
        .name = "new service",
        .run = command_new_service,
        .synopsis = "NAME",
        .summary = "write a service of its own, which passes its specs and `check`",
        .help =
            "Writes the folder NAME: config.lua, scripts with an envelope, a view of one table, "
            "one handler and one route, the migration and the query, and their specs, for an "
            "author to change. Writes nothing if the folder exists.",
        .arguments = {NEW_NAME},
        .without_config = true,
    },
    {
        .name = "new handler",
        .run = command_new_handler,
        .synopsis = "NAME [--topic TOPIC]",
        .summary = "write a handler, an event and a spec that passes",
        .help = "Writes scripts/handlers/NAME.lua, spec/unit/handlers/NAME_spec.lua, and an event "
                "in spec/fixtures/events/NAME.json, for an author to change; comments say where. "
                "Overwrites nothing.",
        .arguments = {NEW_NAME},
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
        .arguments = {NEW_NAME},
        .options = {TEXT("path", "PATH", path,
                         "what it answers on, as '/orders/{order_id}/notes'; default: /NAME/{id}"),
                    TEXT("method", "METHOD", method,
                         "GET (default), or POST, PUT, PATCH or DELETE: a route that writes")},
    },
    {
        .name = "new reaction",
        .run = command_new_reaction,
        .synopsis = "NAME [--table TABLE] [--topic TOPIC]",
        .summary = "write a reaction, its query and a spec that passes",
        .help = "Writes scripts/reactions/NAME.lua, spec/unit/reactions/NAME_spec.lua, and "
                "sql/queries/NAME.sql, for an author to change; comments say where. Overwrites "
                "nothing.",
        .arguments = {NEW_NAME},
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
        .arguments = {NEW_NAME},
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
            "http, json, metrics, log, clock, uuid, url and cjson are there, lib.NAME by require. "
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
};

const struct command_set commands_of_authors = {"Scripts and their authors", specs,
                                                sizeof specs / sizeof *specs};
