/* bundle_disk: the folders of scripts and queries, as they stand on the disk at one moment: each is
 * opened once, and a link that is replaced meanwhile changes nothing; two looks at them have to
 * agree. It all happens aside, with a deadline: a mount may hang. */
#pragma once

#include "script_private.h"

struct bundle_folders {
    const char *scripts; /* every *.lua below it, and its openapi.json */
    const char *queries; /* every *.sql below its folder queries/; NULL: none */
    bool settled;        /* wait until nothing has changed for a moment: a copy may be under way */
};

/* False: err says why, and the bundle is empty. */
bool bundle_disk_read(struct bundle *bundle, const struct bundle_folders *folders, struct err *err);
