/* types: what a generation declares, as definitions for editors' language servers. */
#pragma once

#include "base/buffer.h"
#include "script/script.h"

/* Appends a Lua file of comments. False: a query cannot be read, err says which. */
bool script_types(const struct script_generation *generation, struct buffer *text, struct err *err);
