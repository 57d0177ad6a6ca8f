/* script_changes: the files that differ between two sets of scripts, with their texts. */
#pragma once

#include "reload.h"

/* A set is "running", "disk" (unchecked), or a generation as for reload_roll_back. Appends a JSON
 * object: "from" and "to" (their hashes), and "files": path, and the texts "before" and "after",
 * null where the set has no such file. False: err; ERR_INPUT: there is no such set. May wait for
 * disk and database. Any thread. */
bool reload_script_changes(struct reload *reload, struct slice from, struct slice to,
                           struct buffer *json, struct err *err);
