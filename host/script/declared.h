/* declared: what a generation declares, as JSON for the Lua chunks that the binary carries. */
#pragma once

#include "base/buffer.h"
#include "script.h"

/* Appends the members `envelope`, `handlers`, `routes`, `reactions` and `view` of a JSON object;
 * `view` is null if the generation has none, or `view_good` is false. */
void declared_put(struct buffer *json, const struct script_generation *generation, bool view_good);
/* Appends the member `params`, a list. False: `text` is no query; err says why. */
bool declared_put_params(struct buffer *json, const char *text, struct err *err);
