/* assets: the console's files, which the binary carries. They hold no data and need no session. */
#pragma once

#include "http/exchange.h"

struct assets;

struct assets *assets_create(void);
void assets_destroy(struct assets *assets);

/* False: the path is none of theirs. Else sets the response. */
bool assets_answer(const struct assets *assets, struct exchange *exchange);
