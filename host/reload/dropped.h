/* dropped: topics, reactions and paths, those of streams of changes, too, of the running scripts
 * that the next ones lack. An emptied folder must not pass for a release. */
#pragma once

#include "base/buffer.h"
#include "script/script.h"

/* True: nothing is dropped, or `meant`, which is logged. False: err names what is dropped. */
bool dropped_allow(const struct script_generation *running, const struct script_generation *next,
                   bool meant, struct err *err);
/* "dropped": a list, in a JSON object. */
void dropped_put(struct buffer *json, const struct script_generation *running,
                 const struct script_generation *next);
