/* console_site: the console in the browser, beside the admin verbs on their listener.
 *
 *   GET /console…            the page and its files (assets.h); no session
 *   POST /console/session    signs in: "Authorization: Bearer KEY", as for the verbs; sets a cookie
 *   GET /console/session     how long the session lasts; 0: there is none
 *   DELETE /console/session  signs out
 *
 * A request for a verb is admitted by its key or by the cookie. One with the cookie must come from
 * the console's own origin (console_site.c). */
#pragma once

#include "admin/admin_site.h"

struct console_site;

/* `admin` must outlive the site, which must outlive every server of it. */
struct console_site *console_site_create(struct admin_site *admin);
void console_site_destroy(struct console_site *site);
struct site console_site(struct console_site *site);
