/* spec_gate: runs the service's own specs, in a process of their own, before scripts may run. */
#pragma once

#include "script/script.h"

/* Runs the specs that scripts.specs names. False: err has the first failures, or says that the
 * files on the disk, which the specs test, are no longer the generation's. Waits at most
 * scripts.specs_timeout_s, or until stop_fd is readable. */
bool spec_gate_run(const char *config_path, const struct script_generation *generation, int stop_fd,
                   struct err *err);
