/* api_description: the OpenAPI 3.1 document of the API: made of what the routes of a generation
 * declare, of the program's own paths and errors, and of openapi.json beside the scripts, which is
 * laid over it. Pure but for its Lua state; any thread. */
#pragma once

#include "base/buffer.h"
#include "script/script.h"

/* Appends the document, compact or with a line for each member; a hundred routes take some 10 ms.
 * False: openapi.json describes what no route has, or is no JSON; err has a line for each mistake,
 * with the file's name. */
bool api_description_append(const struct script_generation *generation, bool indented,
                            struct buffer *json, struct err *err);
