/* Checks the literal queries and parameters that scripts name against sql/queries. */
#include "bindings/pg_named.h"
#include "manifest.h"
#include "source.h"

#define MAX_QUERIES 256

struct query_check {
    struct manifest_reader *r;
    const struct source *source;
    const char *names[MAX_QUERIES];
    size_t count;
};

static bool manifest_queries_names_param(const struct pg_named *query, struct slice name) {
    for (size_t i = 0; i < query->count; i++) {
        if (slice_equal(slice_of(query->names[i]), name)) {
            return true;
        }
    }
    return false;
}

/* `name = nil` gives no value. */
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

/* Whether all keys of the table are literals: only then a missing key is an error. */
static bool manifest_queries_is_plain(const struct source_items *given) {
    for (size_t i = 0; i < given->count; i++) {
        if (!given->items[i].key.data) {
            return false;
        }
    }
    return given->whole;
}

static void manifest_queries_compare_params(struct query_check *check, int line, const char *name,
                                            const struct pg_named *query,
                                            const struct source_items *given) {
    char owner[80];
    snprintf(owner, sizeof owner, "query %.70s", name);
    for (size_t i = 0; i < given->count; i++) {
        const struct source_item *item = &given->items[i];
        if (item->key.data && !manifest_queries_names_param(query, item->key)) {
            manifest_refuse_use(check->r, check->source->tokens[item->begin].line, owner,
                                "parameter", item->key, (const char *const *)query->names,
                                query->count);
        }
    }
    for (size_t i = 0; i < query->count && manifest_queries_is_plain(given); i++) {
        if (!manifest_queries_gives(check->source, given, query->names[i])) {
            problems_add(
                check->r->problems, check->r->file->path, line,
                "query %s: parameter \"%s\" is not given: give it a value, or json.null for NULL",
                name, query->names[i]);
        }
    }
}

/* Checks a call of `query` whose opening bracket is at `at`. */
static void manifest_queries_check_call(struct query_check *check, size_t at) {
    const struct source *source = check->source;
    struct source_items arguments, given = {.whole = true};
    struct pg_named parsed;
    struct err err = {0};
    source_read_items(source, at, &arguments);
    if (arguments.count == 0 || !source_is_string(source, &arguments.items[0])) {
        return;
    }
    const struct source_token *name = &source->tokens[arguments.items[0].begin];
    char query_name[256];
    struct script_query query;
    snprintf(query_name, sizeof query_name, "%.*s", (int)name->text.len, name->text.data);
    if (!script_find_query(check->r->generation, query_name, &query)) {
        manifest_refuse_use(check->r, name->line, "sql/queries", "query", name->text, check->names,
                            check->count);
        return;
    }
    if (arguments.count > 1 && !source_is_table(source, &arguments.items[1])) {
        return;
    }
    if (arguments.count > 1) {
        source_read_items(source, arguments.items[1].begin, &given);
    }
    if (pg_named_parse(&parsed, query.text, &err)) {
        manifest_queries_compare_params(check, name->line, query_name, &parsed, &given);
        pg_named_free(&parsed);
    }
}

/* Checks calls of OWNER.query between two tokens. */
static void manifest_queries_check_calls(struct query_check *check, size_t begin, size_t end,
                                         struct slice owner) {
    for (size_t at = begin; at < end; at++) {
        if (source_is_free_name(check->source, at, owner) &&
            source_matches(check->source, at + 1, ". query (")) {
            manifest_queries_check_call(check, at + 3);
        }
    }
}

/* Follows the local name of the module, and the parameter of its transactions. */
static void manifest_queries_check_file(struct query_check *check) {
    const struct source *source = check->source;
    for (size_t at = 0; at < source->count; at++) {
        bool required = (source_matches(source, at, "local %n = require ( %s )") &&
                         slice_equal(source->tokens[at + 5].text, slice_of("pg"))) ||
                        (source_matches(source, at, "local %n = require %s") &&
                         slice_equal(source->tokens[at + 4].text, slice_of("pg")));
        if (required) {
            manifest_queries_check_calls(check, at, source->count, source->tokens[at + 1].text);
        }
        struct source_function body;
        if (source_matches(source, at, "transaction ( function (") &&
            source_find_function(source, at, "transaction", &body) && body.param_count > 0) {
            manifest_queries_check_calls(check, body.begin, body.end, body.params[0]);
        }
    }
}

void manifest_check_queries(struct manifest_reader *r) {
    const struct bundle *bundle = &r->generation->bundle;
    struct query_check check = {.r = r};
    for (size_t i = 0; i < bundle->count; i++) {
        struct pg_named query;
        struct err err = {0};
        const char *name = bundle_query_name(&bundle->files[i]);
        if (!name) {
            continue;
        }
        if (check.count < MAX_QUERIES) {
            check.names[check.count++] = name;
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
        if (bundle_query_name(r->file)) {
            continue;
        }
        source_read(&source, r->file->text);
        check.source = &source;
        manifest_queries_check_file(&check);
        source_free(&source);
    }
}
