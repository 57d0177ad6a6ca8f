/* lint: what luacheck, a library of its own, says of scripts: undefined globals, unused and
 * shadowed names. Where it is not installed there is nothing to say. One thread. */
#ifndef AGG_HOST_SCRIPT_LINT_H
#define AGG_HOST_SCRIPT_LINT_H

#include "script/script.h"

enum lint_result { LINT_GOOD, LINT_BAD, LINT_MISSING /* luacheck is not installed */ };

struct lint; /* keeps luacheck loaded from its first use on: that takes longer than to look */
struct lint *lint_create(void);
void lint_destroy(struct lint *lint);

/* Looks at the Lua files that `old` has not in the same form; at all of them where it is NULL. Bad:
 * err names file and line of every fault. */
enum lint_result lint_generation(struct lint *lint, const struct script_generation *generation,
                                 const struct script_generation *old, struct err *err);

#endif
