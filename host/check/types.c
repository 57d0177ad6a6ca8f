#include "types.h"

#include "base/json_put.h"
#include "script/declared.h"
#include "script/script_private.h"
#include "script/text_report.h"
#include "query_columns.h"
#include "types.lua.h"

static void check_types_put_column(void *context, struct slice name, const char *type) {
    struct buffer *json = context;
    json_open(json, NULL, "{");
    json_put_text(json, "name", name);
    json_put_text(json, "type", slice_of(type));
    buffer_append_text(json, "}");
}

/* `columns` is empty if the text does not name them. */
static bool check_types_put_query(struct buffer *json, const struct view *view,
                                  const struct bundle_file *file, struct err *err) {
    json_open(json, NULL, "{");
    json_put_text(json, "name", slice_of(bundle_query_name(file)));
    if (!declared_put_params(json, file->text, err)) {
        return err_wrap(err, "%s", file->path);
    }
    json_open(json, "columns", "[");
    (void)query_columns(file->text, view, check_types_put_column, json);
    buffer_append_text(json, "]}");
    return true;
}

static bool check_types_put_all(struct buffer *json, const struct script_generation *generation,
                                struct err *err) {
    bool ok = true;
    buffer_append_text(json, "{");
    declared_put(json, generation, true);
    json_open(json, "lua_types", "{"); /* of the view's columns in rows */
    for (int type = 0; type < VIEW_TYPES; type++) {
        json_put_text(json, view_type_names[type],
                      slice_of(query_columns_lua_type((enum view_type)type)));
    }
    json_put_text(json, "enum", slice_of(query_columns_lua_type(VIEW_ENUM)));
    buffer_append_text(json, "}");
    json_open(json, "queries", "[");
    for (size_t i = 0; ok && i < generation->bundle.count; i++) {
        ok = !bundle_query_name(&generation->bundle.files[i]) ||
             check_types_put_query(json, generation->view, &generation->bundle.files[i], err);
    }
    buffer_append_text(json, "]}");
    return ok;
}

bool script_types(const struct script_generation *generation, struct buffer *text,
                  struct err *err) {
    struct buffer json = {0};
    bool ok = check_types_put_all(&json, generation, err);
    struct text_report report = {"types", EMBEDDED(types_lua), buffer_slice(&json), 0};
    ok = ok && text_report_append(&report, text, err);
    buffer_free(&json);
    return ok;
}
