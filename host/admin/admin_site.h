/* admin_site: the admin verbs over HTTP, on a listener of its own. Every request needs the header
 * "Authorization: Bearer KEY" with one of admin.keys. */
#ifndef AGG_HOST_ADMIN_ADMIN_SITE_H
#define AGG_HOST_ADMIN_ADMIN_SITE_H

#include "config/config.h"
#include "http/http_server.h"
#include "verb.h"

struct admin_site;

/* Verbs and context must outlive the site, which must outlive every server of it. */
struct admin_site *admin_site_create(const struct config *config, const struct admin_verb *verbs,
                                     size_t count, void *context, struct err *err);
void admin_site_destroy(struct admin_site *site);
struct site admin_site(struct admin_site *site);

#endif
