/* spec_gate: the service's own specs decide whether scripts may run. They run in a process of their
 * own. One thread. */
#ifndef AGG_HOST_RELOAD_SPEC_GATE_H
#define AGG_HOST_RELOAD_SPEC_GATE_H

#include "script/script.h"

/* Whether its settings (scripts.specs) name any, a folder or a file. */
bool spec_gate_is_there(const struct script_generation *generation);
/* Runs them; true at once where there are none. False: err has the first failures, or says that the
 * files on the disk, which the specs test, are no longer the generation's. Waits at most
 * scripts.specs_timeout_s, or until stop_fd is readable. */
bool spec_gate_run(const char *config_path, const struct script_generation *generation, int stop_fd,
                   struct err *err);

#endif
