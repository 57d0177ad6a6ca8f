/* result_json: the members of the JSON objects that reloads and rollbacks are answered with. Pure.
 */
#ifndef AGG_HOST_RELOAD_RESULT_JSON_H
#define AGG_HOST_RELOAD_RESULT_JSON_H

#include "base/buffer.h"
#include "script/script.h"

/* "generation" and "hash". */
void result_json_put_generation(struct buffer *json, const struct script_generation *generation);
/* "changed": the files that differ. */
void result_json_put_changed(struct buffer *json, const struct script_generation *old,
                             const struct script_generation *new);
/* "changed", "settings" (that changed and are used from now on) and "needs_restart" (that are not).
 */
void result_json_put_changes(struct buffer *json, const struct script_generation *running,
                             const struct script_generation *generation,
                             const struct config *fresh);
/* "canary", what one has found, a JSON object; nothing where it is empty. */
void result_json_put_shadow_run(struct buffer *json, const struct buffer *report);

#endif
