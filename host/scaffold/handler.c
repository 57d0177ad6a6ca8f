/* A handler, its spec, and an event for it. */
#include <stdio.h>

#include "new_handler.lua.h"
#include "new_handler_event.json.h"
#include "new_handler_spec.lua.h"
#include "scaffold.h"

void scaffold_handler(struct scaffold *scaffold, const struct config *config, const char *name,
                      const char *topic) {
    const struct scaffold_word words[] = {{"name", name}, {"topic", topic}, {NULL, NULL}};
    char path[4096];
    snprintf(path, sizeof path, "%s/handlers/%s.lua", config->scripts.root, name);
    scaffold_add(scaffold, path, new_handler_lua, words);
    snprintf(path, sizeof path, "spec/unit/handlers/%s_spec.lua", name);
    scaffold_add(scaffold, path, new_handler_spec_lua, words);
    snprintf(path, sizeof path, "spec/fixtures/events/%s.json", name);
    scaffold_add(scaffold, path, new_handler_event_json, words);
}
