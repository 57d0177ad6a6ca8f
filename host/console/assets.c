#include "assets.h"

#include <stdlib.h>

#include "base/xalloc.h"

#include "api.js.h"
#include "app.js.h"
#include "charts.js.h"
#include "concerns.js.h"
#include "console.css.h"
#include "dialog.js.h"
#include "diff.js.h"
#include "dom.js.h"
#include "drawer.js.h"
#include "index.html.h"
#include "list.js.h"
#include "page_explain.js.h"
#include "page_outbox.js.h"
#include "page_overview.js.h"
#include "page_partitions.js.h"
#include "page_rejected.js.h"
#include "page_scripts.js.h"
#include "page_tap.js.h"
#include "page_warnings.js.h"
#include "stored.js.h"

#define JAVASCRIPT "text/javascript; charset=utf-8"
#define FILE_OF(array) (const char *)(array), sizeof(array) - 1 /* the NUL that CMake adds */

static const struct {
    const char *path;
    const char *content_type;
    const char *bytes;
    size_t len;
} assets_files[] = {
    {"/", "text/html; charset=utf-8", FILE_OF(index_html)},
    {"/console", "text/html; charset=utf-8", FILE_OF(index_html)},
    {"/console/console.css", "text/css; charset=utf-8", FILE_OF(console_css)},
    {"/console/api.js", JAVASCRIPT, FILE_OF(api_js)},
    {"/console/app.js", JAVASCRIPT, FILE_OF(app_js)},
    {"/console/charts.js", JAVASCRIPT, FILE_OF(charts_js)},
    {"/console/concerns.js", JAVASCRIPT, FILE_OF(concerns_js)},
    {"/console/dialog.js", JAVASCRIPT, FILE_OF(dialog_js)},
    {"/console/diff.js", JAVASCRIPT, FILE_OF(diff_js)},
    {"/console/dom.js", JAVASCRIPT, FILE_OF(dom_js)},
    {"/console/drawer.js", JAVASCRIPT, FILE_OF(drawer_js)},
    {"/console/list.js", JAVASCRIPT, FILE_OF(list_js)},
    {"/console/page_explain.js", JAVASCRIPT, FILE_OF(page_explain_js)},
    {"/console/page_outbox.js", JAVASCRIPT, FILE_OF(page_outbox_js)},
    {"/console/page_overview.js", JAVASCRIPT, FILE_OF(page_overview_js)},
    {"/console/page_partitions.js", JAVASCRIPT, FILE_OF(page_partitions_js)},
    {"/console/page_rejected.js", JAVASCRIPT, FILE_OF(page_rejected_js)},
    {"/console/page_scripts.js", JAVASCRIPT, FILE_OF(page_scripts_js)},
    {"/console/page_tap.js", JAVASCRIPT, FILE_OF(page_tap_js)},
    {"/console/page_warnings.js", JAVASCRIPT, FILE_OF(page_warnings_js)},
    {"/console/stored.js", JAVASCRIPT, FILE_OF(stored_js)},
};
#define ASSETS_COUNT (sizeof assets_files / sizeof *assets_files)

struct assets {
    struct cached_response *responses[ASSETS_COUNT]; /* with their ETags */
};

struct assets *assets_create(void) {
    struct assets *assets = xcalloc(1, sizeof *assets);
    for (size_t i = 0; i < ASSETS_COUNT; i++) {
        struct slice bytes = {assets_files[i].bytes, assets_files[i].len};
        assets->responses[i] = cached_response_create(200, bytes);
    }
    return assets;
}

void assets_destroy(struct assets *assets) {
    for (size_t i = 0; assets && i < ASSETS_COUNT; i++) {
        cached_response_unref(assets->responses[i]);
    }
    free(assets);
}

bool assets_answer(const struct assets *assets, struct exchange *exchange) {
    const struct request *request = &exchange->request;
    size_t which = 0;
    while (which < ASSETS_COUNT &&
           !slice_equal(request->path, slice_of(assets_files[which].path))) {
        which++;
    }
    if (which == ASSETS_COUNT) {
        return false;
    }
    if (!request_reads(request)) {
        response_set_wrong_method(&exchange->response, "GET, HEAD");
    } else if (request->has_body) {
        response_set_body_refused(&exchange->response);
    } else {
        response_set(&exchange->response, request, cached_response_ref(assets->responses[which]),
                     assets_files[which].content_type);
    }
    return true;
}
