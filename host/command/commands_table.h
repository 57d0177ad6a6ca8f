/* commands_table: what the tables of commands are written with. commands_of_*.c have a table each.
 */
#pragma once

#include "commands.h"

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

/* Commands for one kind of work, as the list of all shows them. */
struct command_set {
    const char *title; /* what they are for */
    const struct command_spec *specs;
    size_t count;
};

extern const struct command_set commands_of_service;
extern const struct command_set commands_of_data;
extern const struct command_set commands_of_authors;
