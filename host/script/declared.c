#include "declared.h"

#include <math.h>

#include "base/json_put.h"
#include "bindings/pg_named.h"
#include "manifest.h"

/* ---- handlers ------------------------------------------------------------------------------ */

static void declared_put_texts(struct buffer *json, const char *key, const char *const *texts,
                               size_t count) {
    json_open(json, key, "[");
    for (size_t i = 0; i < count; i++) {
        json_put_text(json, NULL, slice_of(texts[i]));
    }
    buffer_append_text(json, "]");
}

/* `min` and `max`, where they are declared. One that is not finite is a mistake, of which the
 * reader of declarations tells; JSON has no such number. */
static void declared_put_bounds(struct buffer *json, const struct extract_field *field) {
    if (field->has_min && isfinite(field->min)) {
        json_put_name(json, "min");
        buffer_append_format(json, "%.17g", field->min);
    }
    if (field->has_max && isfinite(field->max)) {
        json_put_name(json, "max");
        buffer_append_format(json, "%.17g", field->max);
    }
}

static void declared_put_fields(struct buffer *json, const char *key,
                                const struct extract_field *fields, size_t count) {
    json_open(json, key, "[");
    for (size_t i = 0; i < count; i++) {
        const struct extract_field *field = &fields[i];
        json_open(json, NULL, "{");
        json_put_text(json, "name", slice_of(field->name));
        json_put_text(json, "type", slice_of(manifest_field_types[field->type]));
        json_put_text(json, "path", slice_of(field->path_count > 0 ? field->paths[0] : NULL));
        declared_put_texts(json, "paths", field->paths, field->path_count);
        declared_put_bounds(json, field);
        json_put_bool(json, "optional", field->optional || field->required_if);
        json_put_bool(json, "check_only", field->check_only);
        declared_put_texts(json, "choices", field->choice_values, field->choice_count);
        declared_put_texts(json, "wires", field->choices, field->choice_count);
        json_put_text(json, "wire", slice_of(field->choices ? field->choices[0] : NULL));
        declared_put_fields(json, "fields", field->element, field->element_count);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

static void declared_put_handler(struct buffer *json, const struct script_generation *generation,
                                 const struct script_handler *handler) {
    size_t envelope = generation->envelope_count > 0 ? ENVELOPE_ROLES : 0;
    json_open(json, NULL, "{");
    json_put_text(json, "name", slice_of(handler->name));
    json_put_bool(json, "good", handler->plan != NULL); /* its declaration has no problems */
    declared_put_fields(json, "roles", handler->fields, envelope);
    declared_put_fields(json, "fields", handler->fields + envelope,
                        handler->field_count - envelope);
    buffer_append_text(json, "}");
}

/* ---- the view ------------------------------------------------------------------------------ */

static void declared_put_columns(struct buffer *json, const char *key,
                                 const struct view_column *columns, size_t count) {
    json_open(json, key, "[");
    for (size_t i = 0; i < count; i++) {
        json_open(json, NULL, "{");
        json_put_text(json, "name", slice_of(columns[i].name));
        enum view_type type = columns[i].type;
        json_put_text(json, "type",
                      slice_of(type < VIEW_TYPES      ? view_type_names[type]
                               : type == VIEW_SOURCES ? "count"
                                                      : "enum"));
        json_put_bool(json, "in_set", columns[i].in_set);
        json_put_text(json, "sql_type", slice_of(columns[i].sql_type));
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
}

static void declared_put_table(struct buffer *json, const struct view_table *table) {
    json_open(json, NULL, "{");
    json_put_text(json, "name", slice_of(table->name));
    declared_put_columns(json, "key", table->key, table->key_count);
    json_open(json, "groups", "[");
    for (size_t g = 0; g < table->group_count; g++) {
        const struct view_group *group = &table->groups[g];
        json_open(json, NULL, "{");
        json_put_text(json, "name", slice_of(group->name));
        json_put_text(json, "rule", slice_of(view_rule_name(group->rule)));
        declared_put_columns(json, "columns", group->columns, group->column_count);
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]}");
}

static void declared_put_view(struct buffer *json, const struct view *view) {
    json_put_name(json, "view");
    buffer_append_text(json, view ? "[" : "null");
    for (size_t t = 0; view && t < view->table_count; t++) {
        declared_put_table(json, &view->tables[t]);
    }
    buffer_append_text(json, view ? "]" : "");
}

/* ---- routes, reactions and queries --------------------------------------------------------- */

/* null: not declared. */
static void declared_put_part(struct buffer *json, const char *key,
                              const struct script_part *part) {
    if (part) {
        declared_put_fields(json, key, part->fields, part->field_count);
    } else {
        json_put_name(json, key);
        buffer_append_text(json, "null");
    }
}

/* What only the description of the API asks for. */
static void declared_put_service(struct buffer *json, const struct script_route *route) {
    json_put_text(json, "method", slice_of(route->method));
    json_put_text(json, "endpoint", slice_of(route->endpoint));
    declared_put_texts(json, "paths", route->paths, route->path_count);
    declared_put_texts(json, "live_paths", route->live_paths, route->live_count);
    json_put_bool(json, "authenticated", route->authenticated);
    json_put_bool(json, "has_rate", route->rate.interval_ns > 0);
    json_put_text(json, "vary", slice_of(route->cache.vary));
    json_put_int(json, "max_age_s", route->cache.max_age_s);
    json_put_text(json, "body_type", slice_of(route->body ? route->body->content_type : NULL));
    json_put_bool(json, "streams", route->streams);
    json_put_bool(json, "body_is_closed", route->body && !route->body->ignores_unknown);
    json_put_int(json, "body_max_bytes", route->body ? (int64_t)route->body->max_bytes : 0);
}

/* The parameters of all its paths. */
static void declared_put_route(struct buffer *json, const struct script_route *route) {
    struct manifest_params all = {.count = 0}, params;
    json_open(json, NULL, "{");
    json_put_text(json, "name", slice_of(route->name));
    json_put_text(json, "cache_key", slice_of(route->cache_key));
    declared_put_service(json, route);
    declared_put_part(json, "query", route->query);
    declared_put_part(json, "headers", route->headers);
    declared_put_part(json, "body",
                      route->body && route->body->part.fields ? &route->body->part : NULL);
    json_put_bool(json, "has_body", route->body != NULL);
    json_open(json, "params", "[");
    for (size_t p = 0; p < route->path_count; p++) {
        bool good = !manifest_check_path(route->paths[p], &params);
        for (size_t i = 0; good && i < params.count && all.count < MANIFEST_MAX_PARAMS; i++) {
            if (!manifest_has_param(&all, params.names[i])) {
                all.names[all.count++] = params.names[i];
                json_put_text(json, NULL, params.names[i]);
            }
        }
    }
    buffer_append_text(json, "]}");
}

bool declared_put_params(struct buffer *json, const char *text, struct err *err) {
    struct pg_named query;
    if (!pg_named_parse(&query, text, err)) {
        return false;
    }
    json_open(json, "params", "[");
    for (size_t i = 0; i < query.count; i++) {
        json_put_text(json, NULL, slice_of(query.names[i]));
    }
    buffer_append_text(json, "]");
    pg_named_free(&query);
    return true;
}

void declared_put(struct buffer *json, const struct script_generation *generation, bool view_good) {
    declared_put_fields(json, "envelope", generation->envelope, generation->envelope_count);
    json_open(json, "handlers", "[");
    for (size_t i = 0; i < generation->handler_count; i++) {
        declared_put_handler(json, generation, &generation->handlers[i]);
    }
    buffer_append_text(json, "]");
    json_open(json, "routes", "[");
    for (size_t i = 0; i < generation->route_count; i++) {
        declared_put_route(json, &generation->routes[i]);
    }
    buffer_append_text(json, "]");
    json_open(json, "reactions", "[");
    for (size_t i = 0; i < generation->reaction_count; i++) {
        json_open(json, NULL, "{");
        json_put_text(json, "name", slice_of(generation->reactions[i].name));
        json_put_text(json, "query", slice_of(generation->reactions[i].query));
        buffer_append_text(json, "}");
    }
    buffer_append_text(json, "]");
    declared_put_view(json, view_good ? generation->view : NULL);
}
