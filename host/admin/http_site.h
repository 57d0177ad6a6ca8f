/* http_site: the administration over HTTP, on a listener and with credentials of its own. Every
 * request must bring "Authorization: Bearer KEY". */
#ifndef AGG_HOST_ADMIN_HTTP_SITE_H
#define AGG_HOST_ADMIN_HTTP_SITE_H

#include "config/config.h"
#include "http/http_server.h"
#include "verb.h"

struct admin_site;

/* Verbs, context and config outlive the site, and the site every server of it. */
struct admin_site *admin_site_create(const struct config *config, const struct admin_verb *verbs,
                                     size_t count, void *context, struct err *err);
void admin_site_destroy(struct admin_site *site);
struct site admin_site(struct admin_site *site);

#endif
