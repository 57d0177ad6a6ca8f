/* result_json: members of the JSON objects that reloads and rollbacks return. Pure. */
#pragma once

#include "base/buffer.h"
#include "script/script.h"

/* "generation" and "hash". */
void result_json_put_generation(struct buffer *json, const struct script_generation *generation);
/* "changed": the files that differ. */
void result_json_put_changed(struct buffer *json, const struct script_generation *old,
                             const struct script_generation *new);
/* "changed", "settings" (changed and now in use) and "needs_restart" (changed, not yet in use). */
void result_json_put_changes(struct buffer *json, const struct script_generation *running,
                             const struct script_generation *generation,
                             const struct config *fresh);
/* "shadow_run", a JSON object; nothing if the report is empty. */
void result_json_put_shadow_run(struct buffer *json, const struct buffer *report);
