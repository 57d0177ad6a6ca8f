#include "types.h"

#include "base/json_put.h"
#include "script/declared.h"
#include "script/script_private.h"
#include "script/text_report.h"
#include "query_columns.lua.h"
#include "types.lua.h"

static bool check_types_put_query(struct buffer *json, const struct bundle_file *file,
                                  struct err *err) {
    json_open(json, NULL, "{");
    json_put_text(json, "name", slice_of(bundle_query_name(file)));
    json_put_text(json, "text", slice_of(file->text));
    bool ok = declared_put_params(json, file->text, err) || err_wrap(err, "%s", file->path);
    buffer_append_text(json, "}");
    return ok;
}

static bool check_types_put_all(struct buffer *json, const struct script_generation *generation,
                                struct err *err) {
    bool ok = true;
    buffer_append_text(json, "{");
    declared_put(json, generation, true);
    json_open(json, "queries", "[");
    for (size_t i = 0; ok && i < generation->bundle.count; i++) {
        ok = !bundle_query_name(&generation->bundle.files[i]) ||
             check_types_put_query(json, &generation->bundle.files[i], err);
    }
    buffer_append_text(json, "]}");
    return ok;
}

bool script_types(const struct script_generation *generation, struct buffer *text,
                  struct err *err) {
    struct buffer json = {0};
    bool ok = check_types_put_all(&json, generation, err);
    struct text_report report = {.name = "types",
                                 .chunk = EMBEDDED(types_lua),
                                 .helpers = {EMBEDDED(query_columns_lua)},
                                 .json = buffer_slice(&json)};
    ok = ok && text_report_append(&report, text, err);
    buffer_free(&json);
    return ok;
}
