#include "api_description.h"

#include "base/json_put.h"
#include "script/declared.h"
#include "script/text_report.h"
#include "api_description.lua.h"
#include "api_document.lua.h"
#include "api_fields.lua.h"
#include "api_overlay.lua.h"
#include "api_schemas.lua.h"
#include "request.h"
#include "router.h"

static void api_description_put_headers(struct buffer *json, const struct config *config) {
    json_open(json, "headers", "{");
    json_put_text(json, "key", slice_of(config->http.api_key_header));
    json_put_text(json, "service", slice_of(config->http.caller_header));
    json_put_text(json, "correlation_id", slice_of(config->http.correlation_id_header));
    buffer_append_text(json, "}");
}

static void api_description_put_limits(struct buffer *json) {
    json_open(json, "limits", "{");
    json_put_int(json, "target_bytes", REQUEST_MAX_TARGET_BYTES);
    json_put_int(json, "head_bytes", REQUEST_MAX_HEAD_BYTES);
    json_put_int(json, "fields", REQUEST_MAX_FIELDS);
    json_put_int(json, "parameters", ROUTER_MAX_PAIRS);
    json_put_int(json, "correlation_bytes", CORRELATION_MAX_BYTES);
    buffer_append_text(json, "}");
}

static void api_description_put_all(struct buffer *json,
                                    const struct script_generation *generation) {
    const struct config *config = script_generation_config(generation);
    struct script_source overlay = {0};
    (void)script_generation_api(generation, &overlay); /* false: none, put as null */
    buffer_append_text(json, "{");
    declared_put(json, generation, true);
    json_put_text(json, "service", slice_of(config->service.name));
    json_put_text(json, "version", slice_of(config->service.version));
    json_put_bool(json, "certificate_is_key", config->http.client_certificate_is_key);
    api_description_put_headers(json, config);
    api_description_put_limits(json);
    json_put_text(json, "overlay", overlay.text);
    json_put_text(json, "overlay_path", slice_of(overlay.path));
    buffer_append_text(json, "}");
}

bool api_description_append(const struct script_generation *generation, bool indented,
                            struct buffer *json, struct err *err) {
    struct buffer declared = {0};
    api_description_put_all(&declared, generation);
    struct text_report report = {.name = "openapi",
                                 .chunk = EMBEDDED(api_description_lua),
                                 .helpers = {EMBEDDED(api_document_lua), EMBEDDED(api_fields_lua),
                                             EMBEDDED(api_schemas_lua), EMBEDDED(api_overlay_lua)},
                                 .json = buffer_slice(&declared),
                                 .limit = indented};
    bool ok = text_report_append(&report, json, err);
    buffer_free(&declared);
    return ok;
}
