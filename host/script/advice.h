/* advice: what scripts say instead of what Lua has and the sandbox has not. Pure. */
#ifndef AGG_HOST_SCRIPT_ADVICE_H
#define AGG_HOST_SCRIPT_ADVICE_H

/* Of a global, or of a field of a library ("math.random"); NULL: there is none. */
const char *advice_instead_of(const char *name);

#endif
