/* Looks for queries that scripts name as literals and that are no file of sql/queries, and for
 * parameters that are not given. */
#include "bindings/pg_named.h"
#include "manifest.h"
#include "source.h"

#define FOLDER "queries/"
#define MAX_QUERIES 256

struct look {
    struct manifest_reader *r;
    const struct source *source;
    const char *names[MAX_QUERIES];
    size_t count;
};

static bool manifest_queries_is_query(const struct bundle_file *file) {
    return strncmp(file->name, FOLDER, sizeof FOLDER - 1) == 0;
}

static const struct bundle_file *manifest_queries_find_query(const struct bundle *bundle,
                                                             struct slice name) {
    for (size_t i = 0; i < bundle->count; i++) {
        const struct bundle_file *file = &bundle->files[i];
        if (manifest_queries_is_query(file) &&
            slice_equal(slice_of(file->name + sizeof FOLDER - 1), name)) {
            return file;
        }
    }
    return NULL;
}

static bool manifest_queries_names_param(const struct pg_named *query, struct slice name) {
    for (size_t i = 0; i < query->count; i++) {
        if (slice_equal(slice_of(query->names[i]), name)) {
            return true;
        }
    }
    return false;
}

/* `name = nil` gives nothing. */
static bool manifest_queries_gives(const struct source *source, const struct source_items *given,
                                   const char *name) {
    for (size_t i = 0; i < given->count; i++) {
        const struct source_item *item = &given->items[i];
        if (item->key.data && slice_equal(item->key, slice_of(name))) {
            return item->end != item->begin + 1 || !source_matches(source, item->begin, "nil");
        }
    }
    return false;
}

/* Whether every key of the table is written: only then what is not there is missing. */
static bool manifest_queries_is_plain(const struct source_items *given) {
    for (size_t i = 0; i < given->count; i++) {
        if (!given->items[i].key.data) {
            return false;
        }
    }
    return given->whole;
}

static void manifest_queries_compare_params(struct look *look, int line, const char *name,
                                            const struct pg_named *query,
                                            const struct source_items *given) {
    char owner[80];
    snprintf(owner, sizeof owner, "query %s", name);
    for (size_t i = 0; i < given->count; i++) {
        const struct source_item *item = &given->items[i];
        if (item->key.data && !manifest_queries_names_param(query, item->key)) {
            manifest_refuse_use(look->r, look->source->tokens[item->begin].line, owner, "parameter",
                                item->key, (const char *const *)query->names, query->count);
        }
    }
    for (size_t i = 0; i < query->count && manifest_queries_is_plain(given); i++) {
        if (!manifest_queries_gives(look->source, given, query->names[i])) {
            problems_add(
                look->r->problems, look->r->file->path, line,
                "query %s: its parameter \"%s\" is not given: give it a value, or json.null "
                "where NULL is meant",
                name, query->names[i]);
        }
    }
}

/* The opening bracket of a call of `query` is at `at`. */
static void manifest_queries_check_call(struct look *look, size_t at) {
    const struct source *source = look->source;
    struct source_items arguments, given = {.whole = true};
    struct pg_named query;
    struct err err = {0};
    source_read_items(source, at, &arguments);
    if (arguments.count == 0 || !source_is_string(source, &arguments.items[0])) {
        return;
    }
    const struct source_token *name = &source->tokens[arguments.items[0].begin];
    const struct bundle_file *file =
        manifest_queries_find_query(&look->r->generation->bundle, name->text);
    if (!file) {
        manifest_refuse_use(look->r, name->line, "sql/queries", "query", name->text, look->names,
                            look->count);
        return;
    }
    if (arguments.count > 1 && !source_is_table(source, &arguments.items[1])) {
        return;
    }
    if (arguments.count > 1) {
        source_read_items(source, arguments.items[1].begin, &given);
    }
    if (pg_named_parse(&query, file->text, &err)) {
        manifest_queries_compare_params(look, name->line, file->name + sizeof FOLDER - 1, &query,
                                        &given);
        pg_named_free(&query);
    }
}

/* Calls of OWNER.query in the part. */
static void manifest_queries_check_calls(struct look *look, size_t begin, size_t end,
                                         struct slice owner) {
    for (size_t at = begin; at < end; at++) {
        if (source_is_free_name(look->source, at, owner) &&
            source_matches(look->source, at + 1, ". query (")) {
            manifest_queries_check_call(look, at + 3);
        }
    }
}

/* By whatever name the file has the module, and its transactions. */
static void manifest_queries_check_file(struct look *look) {
    const struct source *source = look->source;
    for (size_t at = 0; at < source->count; at++) {
        bool required = (source_matches(source, at, "local %n = require ( %s )") &&
                         slice_equal(source->tokens[at + 5].text, slice_of("pg"))) ||
                        (source_matches(source, at, "local %n = require %s") &&
                         slice_equal(source->tokens[at + 4].text, slice_of("pg")));
        if (required) {
            manifest_queries_check_calls(look, at, source->count, source->tokens[at + 1].text);
        }
        struct source_function body;
        if (source_matches(source, at, "transaction ( function (") &&
            source_find_function(source, at, "transaction", &body) && body.param_count > 0) {
            manifest_queries_check_calls(look, body.begin, body.end, body.params[0]);
        }
    }
}

void manifest_check_queries(struct manifest_reader *r) {
    const struct bundle *bundle = &r->generation->bundle;
    struct look look = {.r = r};
    for (size_t i = 0; i < bundle->count; i++) {
        struct pg_named query;
        struct err err = {0};
        if (!manifest_queries_is_query(&bundle->files[i])) {
            continue;
        }
        if (look.count < MAX_QUERIES) {
            look.names[look.count++] = bundle->files[i].name + sizeof FOLDER - 1;
        }
        if (!pg_named_parse(&query, bundle->files[i].text, &err)) {
            int line = 0, len = 0; /* "line N: …" */
            sscanf(err.text, "line %d: %n", &line, &len);
            problems_add(r->problems, bundle->files[i].path, line, "%s", err.text + len);
            continue;
        }
        pg_named_free(&query);
    }
    for (size_t i = 0; i < bundle->count; i++) {
        struct source source;
        r->file = &bundle->files[i];
        if (manifest_queries_is_query(r->file)) {
            continue;
        }
        source_read(&source, r->file->text);
        look.source = &source;
        manifest_queries_check_file(&look);
        source_free(&source);
    }
}
