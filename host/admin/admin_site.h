/* admin_site: the admin verbs over HTTP, on a listener of its own. Every request needs the header
 * "Authorization: Bearer KEY" with one of admin.keys. */
#pragma once

#include "config/config.h"
#include "http/http_server.h"
#include "verb.h"

struct admin_site;

/* Verbs and context must outlive the site, which must outlive every server of it. */
struct admin_site *admin_site_create(const struct config *config, const struct admin_verb *verbs,
                                     size_t count, void *context, struct err *err);
void admin_site_destroy(struct admin_site *site);
struct site admin_site(struct admin_site *site);

/* Whether the request has one of the keys; false: sets the 401, and counts it. */
bool admin_site_admits(const struct admin_site *site, struct exchange *exchange);
/* As the site's plan, for a request that was admitted in another way. */
void admin_site_plan_admitted(struct admin_site *site, struct exchange *exchange);
