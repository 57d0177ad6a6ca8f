/* Checks literal names in sources against the declarations: of `handle` alone, and only what it
 * reaches through its parameters. Libraries are checked at run time. */
#include "base/nearest.h"
#include "advice.h"
#include "manifest.h"
#include "source.h"

#define MAX_NAMES 128
#define MERGE "merge(key, group, columns)"

struct names {
    const char *items[MAX_NAMES];
    size_t count;
};

struct use {
    struct manifest_reader *r;
    const struct source *source;
    struct source_function handle;
};

static bool manifest_uses_has_name(const struct names *names, struct slice word) {
    for (size_t i = 0; i < names->count; i++) {
        if (slice_equal(slice_of(names->items[i]), word)) {
            return true;
        }
    }
    return false;
}

static void manifest_uses_add_name(struct names *names, const char *name) {
    if (names->count < MAX_NAMES) {
        names->items[names->count++] = name;
    }
}

void manifest_refuse_use(struct manifest_reader *r, int line, const char *owner, const char *what,
                         struct slice word, const char *const *known, size_t count) {
    char hint[NEAREST_HINT_CAP], text[80];
    snprintf(text, sizeof text, "%.*s", (int)word.len, word.data);
    problems_add(r->problems, r->file->path, line, "%s has no %s \"%s\": %s", owner, what, text,
                 nearest_hint(hint, text, known, count));
}

static void manifest_uses_refuse_name(const struct use *use, size_t at, const char *owner,
                                      const char *what, const struct names *names) {
    const struct source_token *token = &use->source->tokens[at];
    manifest_refuse_use(use->r, token->line, owner, what, token->text, names->items, names->count);
}

/* The parameter's name; absent: the function lacks it or redefines it. */
static struct slice manifest_uses_param_of(const struct use *use, size_t index) {
    struct slice name = {0};
    if (index < use->handle.param_count &&
        !source_is_redefined(use->source, &use->handle, use->handle.params[index])) {
        name = use->handle.params[index];
    }
    return name;
}

/* ---- events ------------------------------------------------------------------------------- */

static void manifest_uses_check_event(const struct use *use, const struct script_handler *handler) {
    struct names names = {.count = 0}, unread = {.count = 0};
    struct slice event = manifest_uses_param_of(use, 0);
    for (size_t i = 0; i < handler->field_count; i++) {
        manifest_uses_add_name(handler->fields[i].check_only ? &unread : &names,
                               handler->fields[i].name);
    }
    for (size_t at = use->handle.begin; event.data && at < use->handle.end; at++) {
        if (!source_is_free_name(use->source, at, event) ||
            !source_matches(use->source, at + 1, ". %n") ||
            source_matches(use->source, at + 3, "=")) { /* read-only: raises at run time */
            continue;
        }
        const struct source_token *field = &use->source->tokens[at + 2];
        if (manifest_uses_has_name(&unread, field->text)) {
            problems_add(use->r->problems, use->r->file->path, field->line,
                         "event: field \"%.*s\" is check_only: handlers cannot read it",
                         (int)field->text.len, field->text.data);
        } else if (!manifest_uses_has_name(&names, field->text)) {
            manifest_uses_refuse_name(use, at + 2, "event", "field", &names);
        }
    }
}

/* ---- the view ----------------------------------------------------------------------------- */

static const struct view_table *manifest_uses_find_table(const struct view *view,
                                                         struct slice name) {
    for (size_t i = 0; i < view->table_count; i++) {
        if (slice_equal(slice_of(view->tables[i].name), name)) {
            return &view->tables[i];
        }
    }
    return NULL;
}

static void manifest_uses_check_columns(const struct use *use, const char *table,
                                        const struct view_group *group,
                                        const struct source_item *item) {
    struct source_items columns;
    struct names names = {.count = 0};
    char owner[160];
    snprintf(owner, sizeof owner, "group %s.%s", table, group->name);
    for (size_t c = 0; c < group->column_count; c++) {
        manifest_uses_add_name(&names, group->columns[c].name);
    }
    source_read_items(use->source, item->begin, &columns);
    for (size_t i = 0; i < columns.count; i++) {
        const struct source_item *column = &columns.items[i];
        if (column->key.data && !manifest_uses_has_name(&names, column->key)) {
            manifest_refuse_use(use->r, use->source->tokens[column->begin].line, owner, "column",
                                column->key, names.items, names.count);
        }
    }
}

/* Checks a merge whose opening bracket is at `at`. */
static void manifest_uses_check_merge(const struct use *use, size_t at,
                                      const struct view_table *table) {
    struct source_items arguments;
    struct names groups = {.count = 0};
    const struct source_item *items = arguments.items;
    const struct view_group *group = NULL;
    source_read_items(use->source, at, &arguments);
    for (size_t g = 0; g < table->group_count; g++) {
        manifest_uses_add_name(&groups, table->groups[g].name);
    }
    if (arguments.count == 2 && source_is_string(use->source, &items[0]) &&
        source_is_table(use->source, &items[1])) {
        problems_add(use->r->problems, use->r->file->path, use->source->tokens[at].line,
                     "%s:merge lacks an argument: use view.%s:" MERGE, table->name, table->name);
        return;
    }
    if (arguments.count < 2 || !source_is_string(use->source, &items[1])) {
        return;
    }
    struct slice name = use->source->tokens[items[1].begin].text;
    for (size_t g = 0; g < table->group_count; g++) {
        group = slice_equal(slice_of(groups.items[g]), name) ? &table->groups[g] : group;
    }
    if (!group) {
        char owner[80];
        snprintf(owner, sizeof owner, "table %s", table->name);
        manifest_uses_refuse_name(use, items[1].begin, owner, "group", &groups);
    } else if (arguments.count > 2 && source_is_table(use->source, &items[2])) {
        manifest_uses_check_columns(use, table->name, group, &items[2]);
    }
}

/* Checks `view.TABLE` at `at`. */
static void manifest_uses_check_table(const struct use *use, size_t at,
                                      const struct names *tables) {
    const struct source_token *name = &use->source->tokens[at + 2];
    const struct view_table *table = manifest_uses_find_table(use->r->generation->view, name->text);
    if (!table) {
        manifest_uses_refuse_name(use, at + 2, "view", "table", tables);
    } else if (source_matches(use->source, at + 3, ". merge (")) {
        problems_add(use->r->problems, use->r->file->path, name->line,
                     "%s.merge is called with a dot: use view.%s:" MERGE, table->name, table->name);
    } else if (source_matches(use->source, at + 3, ": merge (")) {
        manifest_uses_check_merge(use, at + 5, table);
    } else if (source_matches(use->source, at + 3, ": %n")) {
        static const char *const methods[] = {"merge"};
        manifest_refuse_use(use->r, name->line, table->name, "method",
                            use->source->tokens[at + 4].text, methods, 1);
    }
}

static void manifest_uses_check_view(const struct use *use) {
    const struct view *view = use->r->generation->view;
    struct slice name = manifest_uses_param_of(use, 1);
    struct names tables = {.count = 0};
    for (size_t i = 0; i < view->table_count; i++) {
        manifest_uses_add_name(&tables, view->tables[i].name);
    }
    for (size_t at = use->handle.begin; name.data && at < use->handle.end; at++) {
        if (!source_is_free_name(use->source, at, name)) {
            continue;
        }
        bool touch = source_matches(use->source, at + 1, ". touch (");
        if (touch || source_matches(use->source, at + 1, ". publish (")) {
            problems_add(use->r->problems, use->r->file->path, use->source->tokens[at].line,
                         "view.%s is called with a dot: use view:%s", touch ? "touch" : "publish",
                         touch ? "touch(id)" : "publish(message)");
        } else if (source_matches(use->source, at + 1, ". %n") &&
                   !source_matches(use->source, at + 3, "=")) { /* read-only: raises at run time */
            manifest_uses_check_table(use, at, &tables);
        } else if (source_matches(use->source, at + 1, ": %n") &&
                   !source_matches(use->source, at + 2, "touch") &&
                   !source_matches(use->source, at + 2, "publish")) {
            static const char *const methods[] = {"touch", "publish"};
            manifest_refuse_use(use->r, use->source->tokens[at].line, "view", "method",
                                use->source->tokens[at + 2].text, methods, 2);
        }
    }
}

/* ---- requests ----------------------------------------------------------------------------- */

static void manifest_uses_add_params(struct manifest_reader *r, const struct script_route *route,
                                     struct names *names) {
    for (size_t p = 0; p < route->path_count; p++) {
        struct manifest_params params;
        if (manifest_check_path(route->paths[p], &params)) {
            continue;
        }
        for (size_t i = 0; i < params.count; i++) {
            char *copy = manifest_alloc(r->generation, params.names[i].len + 1);
            memcpy(copy, params.names[i].data, params.names[i].len);
            if (!manifest_uses_has_name(names, params.names[i])) {
                manifest_uses_add_name(names, copy);
            }
        }
    }
}

static void manifest_uses_check_request(const struct use *use, const struct script_route *route) {
    static const struct names parts = {{"params", "query", "correlation_id", "traceparent"}, 4};
    struct slice request = manifest_uses_param_of(use, 0);
    struct names params = {.count = 0};
    manifest_uses_add_params(use->r, route, &params);
    for (size_t at = use->handle.begin; request.data && at < use->handle.end; at++) {
        if (!source_is_free_name(use->source, at, request) ||
            !source_matches(use->source, at + 1, ". %n")) {
            continue;
        }
        const struct source_token *part = &use->source->tokens[at + 2];
        if (!manifest_uses_has_name(&parts, part->text)) {
            manifest_uses_refuse_name(use, at + 2, "request", "field", &parts);
        } else if (route->cache_key && slice_equal(part->text, slice_of("query"))) {
            problems_add(
                use->r->problems, use->r->file->path, part->line,
                "a cached route has no request.query: its responses are cached under `cache.key` "
                "\"%.80s\", whatever the query is; remove `cache`, or move the value to the path",
                route->cache_key);
        } else if (source_matches(use->source, at + 2, "params . %n") &&
                   !manifest_uses_has_name(&params, use->source->tokens[at + 4].text)) {
            manifest_uses_refuse_name(use, at + 4, "request.params", "name", &params);
        }
    }
}

/* ---- files -------------------------------------------------------------------------------- */

/* Checks calls of removed library functions: reading one only gives nil. */
static void manifest_uses_check_libraries(struct manifest_reader *r, const struct source *source) {
    char name[64];
    for (size_t at = 0; at < source->count; at++) {
        if (!source_matches(source, at, "%n . %n (") ||
            !source_is_free_name(source, at, source->tokens[at].text)) {
            continue;
        }
        const struct slice library = source->tokens[at].text, field = source->tokens[at + 2].text;
        snprintf(name, sizeof name, "%.*s.%.*s", (int)library.len, library.data, (int)field.len,
                 field.data);
        const char *instead = advice_instead_of(name);
        if (instead) {
            problems_add(r->problems, r->file->path, source->tokens[at].line,
                         "%s is not available to scripts: %s", name, instead);
        }
    }
}

/* A handler's own record would be sent even if its event is rejected or rolled back, and again when
 * the event is re-read. */
static void manifest_uses_check_not_required(struct manifest_reader *r, const struct source *source,
                                             const char *module, const char *instead) {
    for (size_t at = 0; at < source->count; at++) {
        bool requires =
            source_matches(source, at, "require ( %s") || source_matches(source, at, "require %s");
        size_t name = at + (requires && source->tokens[at + 1].quoted ? 1 : 2);
        if (requires && slice_equal(source->tokens[name].text, slice_of(module))) {
            problems_add(r->problems, r->file->path, source->tokens[at].line, "%s: %s", module,
                         instead);
        }
    }
}

/* Specs give reactions doubles of these modules, so only the source shows their use. */
static void manifest_uses_check_reaction_purity(struct manifest_reader *r,
                                                const struct source *source) {
    static const char *const outside[] = {"pg", "redis", "http", "clock"};
    manifest_uses_check_not_required(r, source, "kafka", ADVICE_PRODUCE_IN_REACTION);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        manifest_uses_check_not_required(
            r, source, outside[i],
            "a reaction depends on its row alone: let its query return what it needs");
    }
}

void manifest_check_uses(struct manifest_reader *r) {
    const struct script_generation *generation = r->generation;
    for (size_t i = 0; i < generation->bundle.count; i++) {
        r->file = &generation->bundle.files[i];
        int handler_at = script_find_named(generation->handlers, generation->handler_count,
                                           sizeof *generation->handlers, r->file->name);
        int route_at = script_find_named(generation->routes, generation->route_count,
                                         sizeof *generation->routes, r->file->name);
        const struct script_handler *handler =
            handler_at < 0 ? NULL : &generation->handlers[handler_at];
        struct source source;
        struct use use = {.r = r, .source = &source};
        if (bundle_query_name(r->file)) {
            continue;
        }
        source_read(&source, r->file->text);
        manifest_uses_check_libraries(r, &source);
        if (handler) {
            manifest_uses_check_not_required(r, &source, "kafka", ADVICE_PRODUCE_IN_HANDLER);
        } else if (strncmp(r->file->name, "reactions/", 10) == 0) {
            manifest_uses_check_reaction_purity(r, &source);
        }
        bool found = source_find_function(&source, 0, "handle", &use.handle);
        if (found && handler && handler->plan) { /* its declaration has no problems */
            manifest_uses_check_event(&use, handler);
        }
        if (found && handler && r->view_good) {
            manifest_uses_check_view(&use);
        }
        if (found && route_at >= 0) {
            manifest_uses_check_request(&use, &generation->routes[route_at]);
        }
        source_free(&source);
    }
}
