/* api_site: the API: builtin paths, authentication, the scripts' routes and the cache in front of
 * them. Scripts and settings can be replaced while requests are answered. */
#pragma once

#include "cache/cache.h"
#include "script/script.h"
#include "builtin_paths.h"
#include "http_server.h"

struct api;
struct api_scripts;

/* The Lua states and routes of a generation. */
struct api_scripts *api_scripts_create(struct script_generation *generation,
                                       const struct builtin_sources *sources, struct err *err);
void api_scripts_destroy(struct api_scripts *scripts);

/* Owns the scripts, also on failure. Cache and health must outlive the api, which must outlive
 * every server of its site. */
struct api *api_create(struct cache *cache, struct api_scripts *scripts, struct err *err);
void api_destroy(struct api *api);
struct site api_site(struct api *api);

/* The turn of a change of the keys: taken before the configuration is read. */
uint64_t api_begin_admission(struct api *api);
/* Replaces http.api_keys and http.allowed_services, whichever generation runs, and logs warnings
 * about them. Does nothing if a later turn did: its configuration is not older. False: err names
 * the setting, and nothing has changed. */
bool api_admit(struct api *api, uint64_t turn, const struct config *config, struct err *err);
/* Appends the admission_warnings to a JSON list. */
void api_put_warnings(struct api *api, struct buffer *json);

/* Later requests use `scripts`, which the api then owns. Requests under way keep the old scripts,
 * which are freed after the last of them. Never waits. */
void api_replace(struct api *api, struct api_scripts *scripts);
