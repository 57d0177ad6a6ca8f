/* dropped: the topics and paths of the scripts that run which those that are to run do not have. A
 * folder that was emptied by mistake must not pass for a new release. */
#ifndef AGG_HOST_RELOAD_DROPPED_H
#define AGG_HOST_RELOAD_DROPPED_H

#include "base/buffer.h"
#include "script/script.h"

/* True: nothing is dropped, or it is meant to be (a line in the log says what). False: err names
 * it. */
bool dropped_allow(const struct script_generation *running, const struct script_generation *next,
                   bool meant, struct err *err);
/* "dropped": a list, in a JSON object. */
void dropped_put(struct buffer *json, const struct script_generation *running,
                 const struct script_generation *next);

#endif
