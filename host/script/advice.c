#include "advice.h"

#include <stddef.h>
#include <string.h>

#define NO_CODE "scripts load no code at run time: write a file under scripts/lib and require it"
#define NO_CHANCE "a replay could not repeat it: derive the value from event.event_id or event.time"

static const struct {
    const char *name, *instead;
} advice[] = {
    {"print", "say require(\"log\").info(\"message\", { field = value })"},
    {"io", "scripts open no files: log with require(\"log\"), keep data in the view"},
    {"os", "for durations there is require(\"clock\"); times come from the event, settings from "
           "config.lua"},
    {"math.random", NO_CHANCE},
    {"math.randomseed", NO_CHANCE},
    {"table.foreach", "say for key, value in pairs(t) do"},
    {"table.foreachi", "say for i, item in ipairs(t) do"},
    {"newproxy", "use a table with a metatable"},
    {"load", NO_CODE},
    {"loadstring", NO_CODE},
    {"loadfile", NO_CODE},
    {"dofile", NO_CODE},
    {"string.dump", NO_CODE},
    {"package", "require finds files under scripts/ and the bindings, and nothing else"},
    {"module", "return a table from the file"},
    {"setfenv", "globals are read-only: pass values as arguments"},
    {"getfenv", "globals are read-only: pass values as arguments"},
    {"coroutine", "a call runs to its end: bindings wait by themselves"},
    {"collectgarbage", "the host collects garbage between batches"},
    {"debug", "errors have a traceback; `aggregator repl` looks at values"},
    {"ffi", "scripts reach C through the bindings alone"},
    {"jit", "scripts are interpreted, so that their time can be bounded"},
};

const char *advice_instead_of(const char *name) {
    for (size_t i = 0; i < sizeof advice / sizeof *advice; i++) {
        if (strcmp(advice[i].name, name) == 0) {
            return advice[i].instead;
        }
    }
    return NULL;
}
