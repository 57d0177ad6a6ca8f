/* lint: luacheck's warnings about scripts: undefined globals, unused and shadowed names. Without
 * luacheck there are none. One thread. */
#pragma once

#include "script/script.h"

enum lint_result { LINT_GOOD, LINT_BAD, LINT_MISSING /* luacheck is not installed */ };

struct lint; /* keeps luacheck loaded, which takes longer than a check */
struct lint *lint_create(void);
void lint_destroy(struct lint *lint);

/* Checks the Lua files that `old` lacks or has otherwise; NULL: all. Bad: err names file and line
 * of every warning. */
enum lint_result lint_generation(struct lint *lint, const struct script_generation *generation,
                                 const struct script_generation *old, struct err *err);
