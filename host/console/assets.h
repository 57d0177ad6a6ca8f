/* assets: the console's files, which the binary carries. They hold no data and need no session. */
#ifndef AGG_HOST_CONSOLE_ASSETS_H
#define AGG_HOST_CONSOLE_ASSETS_H

#include "http/exchange.h"

struct assets;

struct assets *assets_create(void);
void assets_destroy(struct assets *assets);

/* False: the path is none of theirs. Else sets the response. */
bool assets_answer(const struct assets *assets, struct exchange *exchange);

#endif
