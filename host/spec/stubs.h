/* stubs: gives a state the doubles of specs in place of the bindings, set by a file of the author,
 * for `aggregator try`. One thread. */
#pragma once

#include "script/script.h"

/* The folder of doubles, as of `aggregator test`. */
#define STUBS_SUPPORT "spec/support"

struct stubs;

/* Reads the doubles below `support`, as `aggregator test`, and the file: Lua that sets what they
 * reply, as a spec does. NULL: ERR_INPUT names the file. */
struct stubs *stubs_read(const char *support, const char *path, struct err *err);
void stubs_destroy(struct stubs *stubs);

/* Installs the doubles and runs the file, in an open state before its scripts load. The stubs
 * outlive the state. False: err names file and line. */
bool stubs_install(const struct stubs *stubs, struct script_instance *instance, struct err *err);
