/* advice: the alternatives to what the sandbox lacks. */
#include "advice.h"

#include <stddef.h>
#include <string.h>

#define NO_CODE                                                                                    \
    "scripts cannot load code at run time: put it into a file under scripts/lib and require it"
#define NO_REPLAY "a replay cannot repeat it: derive the value from event.event_id or event.time"

static const struct {
    const char *name, *instead;
} advice[] = {
    {"io", "scripts cannot open files: log with require(\"log\"), keep data in the view"},
    {"os", "for durations use require(\"clock\"); take times from the event, settings from "
           "config.lua"},
    {"math.random", NO_REPLAY},
    {"math.randomseed", NO_REPLAY},
    {"table.foreach", "use for key, value in pairs(t) do"},
    {"table.foreachi", "use for i, item in ipairs(t) do"},
    {"newproxy", "use a table with a metatable"},
    {"load", NO_CODE},
    {"loadstring", NO_CODE},
    {"loadfile", NO_CODE},
    {"dofile", NO_CODE},
    {"string.dump", NO_CODE},
    {"package", "require finds bindings and files under scripts/ only"},
    {"module", "return a table from the file"},
    {"setfenv", "globals are read-only: pass values as arguments"},
    {"getfenv", "globals are read-only: pass values as arguments"},
    {"coroutine", "a call runs to its end; bindings wait themselves"},
    {"collectgarbage", "the host collects garbage between batches"},
    {"debug", "errors have a traceback; `aggregator repl` shows values"},
    {"ffi", "scripts reach C through bindings only"},
    {"jit", "`scripts.compile` and `scripts.interpreted` decide what is compiled"},
};

const char *advice_instead_of(const char *name) {
    for (size_t i = 0; i < sizeof advice / sizeof *advice; i++) {
        if (strcmp(advice[i].name, name) == 0) {
            return advice[i].instead;
        }
    }
    return NULL;
}
