/* own: the paths that the host answers itself: /healthz, /readyz (and its two halves), /metrics,
 * /openapi.json. */
#ifndef AGG_HOST_HTTP_OWN_H
#define AGG_HOST_HTTP_OWN_H

#include "../config/config.h"
#include "../health.h"
#include "../script/script.h"
#include "service.h"

struct own;

/* Reads openapi.json beside the scripts. Both must outlive it. */
struct own *own_create(const struct config *config, struct health *health);
void own_destroy(struct own *own);

/* Whether the path is one of the host's, whatever a route says. */
bool own_has_path(const char *path);

/* False, with a line for each: routes that declare such a path are never asked. */
bool own_leaves_routes(const struct script_generation *generation, struct err *err);

enum own_result { OWN_ANSWERED, OWN_WOULD_BLOCK, OWN_NOT_MINE };

/* Sets the exchange's endpoint and reply where the path is one of the host's. */
enum own_result own_answer(struct own *own, struct exchange *exchange, bool may_block);

#endif
