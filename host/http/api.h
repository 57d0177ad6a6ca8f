/* api: the site of the gateway: the host's own paths, authentication, the scripts' routes and the
 * cache in front of them. */
#ifndef AGG_HOST_HTTP_API_H
#define AGG_HOST_HTTP_API_H

#include "../cache/cache.h"
#include "../health.h"
#include "../script/script.h"
#include "http.h"

struct api;

struct api_options {
    const struct config *config;
    struct cache *cache;
    struct script_pool *pool;
    struct health *health;
};

/* Everything in options must outlive the api, and the api every server of its site. */
struct api *api_create(const struct api_options *options, struct err *err);
void api_destroy(struct api *api);
struct site api_site(struct api *api);

#endif
