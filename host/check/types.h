/* types: what a generation declares, as definitions for editors' language servers. */
#ifndef AGG_HOST_SCRIPT_TYPES_H
#define AGG_HOST_SCRIPT_TYPES_H

#include "base/buffer.h"
#include "script/script.h"

/* Appends a Lua file of comments. False: a query cannot be read, err says which. */
bool script_types(const struct script_generation *generation, struct buffer *text, struct err *err);

#endif
