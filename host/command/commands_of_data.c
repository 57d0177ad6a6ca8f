/* commands_of_data: the table of the commands on the events of the log and the rows of the view. */
#include "commands_table.h"

#include "conflicts.h"
#include "explain/explain.h"
#include "rebuild/rebuild.h"
#include "stored/messages.h"

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

static const struct command_spec specs[] = {
    {
        .name = "replay",
        .run = command_replay,
        .takes_settings = true,
        .synopsis = "--topic TOPIC (--from-time TIME | --from-offset N) [--partition N]",
        .summary = "rewind a topic while the service runs",
        .help = "Moves offsets back in the database; the service goes on from there within "
                "seconds. Prints for each partition how many offsets are read again. Rows that "
                "the events have written stay: rebuild derives rows anew. Events that were ignored "
                "or rejected before may be applied. Effects of handlers happen again.",
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
                 .words = messages_states,
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
        .name = "retention",
        .run = command_retention,
        .takes_settings = true,
        .synopsis = "[--json]",
        .summary = "print what has left the view and what leaves next",
        .help = "Prints for each table with a `retention` in scripts/view.lua its horizon, from "
                "which time on events are applied, and how many rows, with all that leave with "
                "them, are older than today's horizon. Changes nothing: the running program moves "
                "the horizon and deletes the rows.",
        .options = {SWITCH("json", json, "as one JSON list")},
    },
};

const struct command_set commands_of_data = {"Events and the view", specs,
                                             sizeof specs / sizeof *specs};
