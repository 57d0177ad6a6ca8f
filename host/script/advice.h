/* advice: what scripts say instead of what Lua has and the sandbox has not. Pure. */
#ifndef AGG_HOST_SCRIPT_ADVICE_H
#define AGG_HOST_SCRIPT_ADVICE_H

/* Of a global, or of a field of a library ("math.random"); NULL: there is none. */
const char *advice_instead_of(const char *name);

/* What scripts that may not produce records do instead. */
#define ADVICE_PRODUCE_IN_HANDLER                                                                  \
    "a handler produces no records, which would leave though its event is rejected, and again "    \
    "whenever it is read again: say view:publish(message), which is sent once the event is "       \
    "committed"
#define ADVICE_PRODUCE_IN_REACTION                                                                 \
    "a reaction produces no records: it returns the messages to be sent"

#endif
