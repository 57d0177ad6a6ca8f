/* A route, its spec, and its query. */
#include <stdio.h>
#include <string.h>

#include "base/lua_lexer.h"
#include "new_route.lua.h"
#include "new_route.sql.h"
#include "new_route_spec.lua.h"
#include "scaffold.h"

#define MAX_PARAMS 16
#define MAX_COLUMNS 100
#define NAME_FIRST "abcdefghijklmnopqrstuvwxyz_"
#define NAME_REST NAME_FIRST "0123456789"
#define SEGMENT NAME_REST "ABCDEFGHIJKLMNOPQRSTUVWXYZ-.~"

struct params {
    struct slice names[MAX_PARAMS];
    size_t count;
};

static bool route_is_keyword(struct slice name) {
    for (size_t i = 0; i < LUA_KEYWORDS; i++) {
        if (slice_equal(name, slice_of(lua_keywords[i]))) {
            return true;
        }
    }
    return false;
}

/* {name}: a new name that Lua and SQL accept. */
static bool route_add_param(struct params *params, struct slice segment) {
    struct slice name = {segment.data + 1, segment.len - 2};
    if (segment.len < 3 || segment.data[segment.len - 1] != '}' || params->count == MAX_PARAMS ||
        !strchr(NAME_FIRST, name.data[0]) || strspn(name.data, NAME_REST) != name.len ||
        route_is_keyword(name)) {
        return false;
    }
    for (size_t i = 0; i < params->count; i++) {
        if (slice_equal(params->names[i], name)) {
            return false;
        }
    }
    params->names[params->count++] = name;
    return true;
}

static bool route_read_params(const char *path, struct params *params) {
    *params = (struct params){0};
    for (const char *at = path; *at == '/' && at[1];) {
        struct slice segment = {at + 1, strcspn(at + 1, "/")};
        bool good = segment.data[0] == '{'
                        ? route_add_param(params, segment)
                        : segment.len > 0 && strspn(segment.data, SEGMENT) == segment.len;
        if (!good) {
            return false;
        }
        at = segment.data + segment.len;
    }
    return path[0] == '/';
}

bool scaffold_check_path(const char *path, struct err *err) {
    struct params params;
    return route_read_params(path, &params) ||
           err_set(
               err, ERR_INPUT,
               "--path is \"%s\": write /batches/{batch_id}/notes, each {name} once, in lower-case "
               "letters, digits and _",
               path);
}

/* Appends each parameter by a format, in which % is its name. */
static void route_append_each(struct buffer *out, const struct params *params, const char *format,
                              const char *between) {
    for (size_t i = 0; i < params->count; i++) {
        struct slice name = params->names[i];
        buffer_append_text(out, i ? between : "");
        for (const char *at = format; *at; at++) {
            buffer_append(out, *at == '%' ? name.data : at, *at == '%' ? name.len : 1);
        }
    }
}

/* A Lua table on one line, or on several if it exceeds MAX_COLUMNS after `used` columns. */
static void route_append_table(struct buffer *out, const struct params *params, const char *format,
                               size_t used, const char *indent) {
    struct buffer items = {0}, between = {0};
    route_append_each(&items, params, format, ", ");
    if (params->count == 0) {
        buffer_append_text(out, "{}");
    } else if (items.len + used <= MAX_COLUMNS) {
        buffer_append_format(out, "{ %s }", items.data);
    } else {
        buffer_append_format(&between, ",\n%s  ", indent);
        buffer_append_format(out, "{\n%s  ", indent);
        route_append_each(out, params, format, between.data);
        buffer_append_format(out, ",\n%s}", indent);
    }
    buffer_free(&items);
    buffer_free(&between);
}

struct texts {
    struct buffer arguments, tags, examples, pairs, values;
};

static void route_write_texts(struct texts *texts, const struct params *params, const char *name) {
    if (params->count == 0) {
        buffer_append_text(&texts->arguments, "request.params"); /* empty */
    } else {
        route_append_table(&texts->arguments, params, "% = request.params.%", 40 + strlen(name),
                           "    ");
    }
    route_append_table(&texts->tags, params, "request.params.%", 65, "      ");
    route_append_table(&texts->examples, params, "% = \"% 1\"", 20, "");
    route_append_each(&texts->pairs, params, "'%', :%::text", ",\n         ");
    route_append_each(&texts->values, params, ":%::text", ",\n         ");
    buffer_append_text(&texts->pairs, "");
    buffer_append_text(&texts->values, "");
}

static void route_free_texts(struct texts *texts) {
    buffer_free(&texts->arguments);
    buffer_free(&texts->tags);
    buffer_free(&texts->examples);
    buffer_free(&texts->pairs);
    buffer_free(&texts->values);
}

void scaffold_route(struct scaffold *scaffold, const struct config *config, const char *name,
                    const char *route_path) {
    struct params params;
    struct texts texts = {0};
    char path[4096];
    (void)route_read_params(route_path, &params); /* the caller has checked it */
    route_write_texts(&texts, &params, name);
    const struct scaffold_word words[] = {{"name", name},
                                          {"path", route_path},
                                          {"arguments", texts.arguments.data},
                                          {"tags", texts.tags.data},
                                          {"examples", texts.examples.data},
                                          {"pairs", texts.pairs.data},
                                          {"values", texts.values.data},
                                          {NULL, NULL}};
    snprintf(path, sizeof path, "%s/routes/%s.lua", config->scripts.root, name);
    scaffold_add(scaffold, path, new_route_lua, words);
    snprintf(path, sizeof path, "spec/unit/routes/%s_spec.lua", name);
    scaffold_add(scaffold, path, new_route_spec_lua, words);
    snprintf(path, sizeof path, "%s/queries/%s.sql", config->scripts.sql, name);
    scaffold_add(scaffold, path, new_route_sql, words);
    route_free_texts(&texts);
}
