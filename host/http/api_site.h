/* api_site: what the API answers: the program's own paths, authentication, the scripts' routes and
 * the cache in front of them. What comes from scripts and settings can be replaced while it
 * answers. */
#ifndef AGG_HOST_HTTP_API_SITE_H
#define AGG_HOST_HTTP_API_SITE_H

#include "cache/cache.h"
#include "script/script.h"
#include "builtin_paths.h"
#include "http_server.h"

struct api;
struct api_scripts;

/* All that a script generation and its settings bring: Lua states and routes. NULL: err
 * says why. */
struct api_scripts *api_scripts_create(struct script_generation *generation,
                                       const struct builtin_sources *sources, struct err *err);
void api_scripts_destroy(struct api_scripts *scripts);

/* Cache, health and scripts outlive the api (the scripts: it destroys them), and the api every
 * server of its site. NULL: err; the scripts are destroyed. */
struct api *api_create(struct cache *cache, struct api_scripts *scripts, struct err *err);
void api_destroy(struct api *api);
struct site api_site(struct api *api);

/* From its return on http.api_keys and http.allowed_services of this config say who is let in,
 * whichever scripts run; at first those of the scripts' own. False: err names the setting, and
 * nothing has changed. What they hardly mean is logged. */
bool api_admit(struct api *api, const struct config *config, struct err *err);
/* Appends `"warnings":[…]`: what these settings hardly mean (admission_warnings). */
void api_report_warnings(struct api *api, struct buffer *json);

/* From its return on every request is answered by `scripts`, which the api takes over; what began
 * before ends as it began, by those before, which are freed once nobody uses them. Waits for
 * nobody. */
void api_replace(struct api *api, struct api_scripts *scripts);

#endif
