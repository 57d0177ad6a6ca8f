/* advice: the alternatives to what the sandbox lacks. Pure. */
#pragma once

/* For a global, or a field of a library ("math.random"); NULL: none. */
const char *advice_instead_of(const char *name);

/* For scripts that must not produce records. */
#define ADVICE_PRODUCE_IN_HANDLER                                                                  \
    "a handler must not produce records, which are sent even if its event is rejected, and again " \
    "if the event is re-read: use view:publish(message), which sends after the commit"
#define ADVICE_PRODUCE_IN_REACTION                                                                 \
    "a reaction must not produce records: it returns the messages to publish"
