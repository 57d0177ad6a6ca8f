#include "query_columns.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "bindings/pg_named.h"
#include "base/xalloc.h"

/* `kind` is the first byte, or one of the two below. ':' is a cast; '(' and '[' extend to their
 * closing bracket. */
struct query_token {
    char kind;
    struct slice text;
};
#define WORD 'w'
#define PARAMETER 'p' /* :name */

struct query_tokens {
    struct query_token *items;
    size_t count;
    const struct view *view;
};

/* ---- tokens -------------------------------------------------------------------------------- */

static bool query_columns_in_word(char c) {
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static size_t query_columns_bracket_length(const char *at, const char *start) {
    const char *end = at;
    int depth = 0;
    do {
        depth += *end == '(' || *end == '[';
        depth -= *end == ')' || *end == ']';
        size_t len = pg_named_plain_length(end, start);
        end += len ? len : 1;
    } while (*end && depth > 0);
    return (size_t)(end - at);
}

static struct query_token query_columns_next(const char *at, const char *start) {
    struct query_token token = {*at, {at, pg_named_plain_length(at, start)}};
    if (*at == '(' || *at == '[') {
        token.text.len = query_columns_bracket_length(at, start);
    } else if (*at == '"') {
        token = (struct query_token){WORD, {at + 1, token.text.len > 2 ? token.text.len - 2 : 0}};
    } else if (query_columns_in_word(*at) || (*at == ':' && query_columns_in_word(at[1]))) {
        token.kind = *at == ':' ? PARAMETER : WORD;
        while (query_columns_in_word(at[token.text.len])) {
            token.text.len++;
        }
    }
    return token;
}

/* Skips comments and blanks. The query was parsed before: every quote is closed. */
static void query_columns_read(struct query_tokens *tokens, const char *sql) {
    for (const char *at = sql; *at;) {
        struct query_token token = query_columns_next(at, sql);
        bool comment = strncmp(at, "--", 2) == 0 || strncmp(at, "/*", 2) == 0;
        if (!comment && !isspace((unsigned char)*at)) {
            tokens->items = xrealloc(tokens->items, (tokens->count + 1) * sizeof token);
            tokens->items[tokens->count++] = token;
        }
        const char *end = token.text.data + token.text.len + (*at == '"');
        at = end > at ? end : at + 1;
    }
}

static bool query_columns_is(const struct query_token *token, const char *word) {
    return token->kind == WORD && token->text.len == strlen(word) &&
           strncasecmp(token->text.data, word, token->text.len) == 0;
}

static bool query_columns_is_any(const struct query_token *token, const char *const *words) {
    while (*words && !query_columns_is(token, *words)) {
        words++;
    }
    return *words != NULL;
}

/* ---- types --------------------------------------------------------------------------------- */

static const char *query_columns_scalar_type(const struct query_token *type) {
    static const char *const integers[] = {"int2",   "int4",    "int8",     "int",
                                           "bigint", "integer", "smallint", NULL};
    static const char *const numbers[] = {"double", "real", "float4", "float8", "float", NULL};
    return query_columns_is_any(type, integers)                                         ? "integer"
           : query_columns_is_any(type, numbers)                                        ? "number"
           : query_columns_is_any(type, (const char *const[]){"bool", "boolean", NULL}) ? "boolean"
                                                                                        : "string";
}

/* The Lua type of the SQL type in the tokens [at, end). Lists of other types are text. */
static const char *query_columns_cast_type(const struct query_token *at,
                                           const struct query_token *end) {
    static const char *const texts[] = {"text", "varchar", "uuid", "numeric", NULL};
    const char *scalar = query_columns_scalar_type(at);
    if (end[-1].kind != '[') {
        return scalar;
    }
    return *scalar == 'i'                    ? "(integer|json.Null)[]"
           : *scalar == 'n'                  ? "(number|json.Null)[]"
           : *scalar == 'b'                  ? "(boolean|json.Null)[]"
           : query_columns_is_any(at, texts) ? "(string|json.Null)[]"
                                             : "any";
}

const char *query_columns_lua_type(enum view_type type) {
    switch (type) {
    case VIEW_TEXTS:
        return "(string|json.Null)[]";
    case VIEW_INTEGERS:
        return "(integer|json.Null)[]";
    case VIEW_DOUBLES:
        return "(number|json.Null)[]";
    case VIEW_INTEGER:
        return "integer";
    case VIEW_DOUBLE:
        return "number";
    case VIEW_BOOLEAN:
        return "boolean";
    default:
        return "string";
    }
}

/* The view's table that the statement calls by this name. */
static const struct view_table *query_columns_table(const struct query_tokens *tokens,
                                                    struct slice name) {
    for (size_t i = 0; i < tokens->count; i++) {
        for (size_t t = 0; t < tokens->view->table_count; t++) {
            const struct view_table *table = &tokens->view->tables[t];
            if (!query_columns_is(&tokens->items[i], table->name)) {
                continue;
            }
            size_t alias = i + 1;
            alias += alias < tokens->count && query_columns_is(&tokens->items[alias], "as");
            bool named = alias < tokens->count && slice_equal(tokens->items[alias].text, name);
            if (named || slice_equal(name, slice_of(table->name))) {
                return table;
            }
        }
    }
    return NULL;
}

static const char *query_columns_column_type(const struct query_tokens *tokens,
                                             struct slice table_name, struct slice column) {
    const struct view_table *table = query_columns_table(tokens, table_name);
    for (size_t i = 0; table && i < table->key_count; i++) {
        if (slice_equal(column, slice_of(table->key[i].name))) {
            return query_columns_lua_type(table->key[i].type);
        }
    }
    for (size_t g = 0; table && g < table->group_count; g++) {
        for (size_t i = 0; i < table->groups[g].column_count; i++) {
            if (slice_equal(column, slice_of(table->groups[g].columns[i].name))) {
                return query_columns_lua_type(table->groups[g].columns[i].type);
            }
        }
    }
    return "any";
}

/* ---- items --------------------------------------------------------------------------------- */

/* Behind a name with its qualifiers, a call or a bracket, which casts may follow. */
static const struct query_token *query_columns_operand_end(const struct query_token *at,
                                                           const struct query_token *end) {
    while (at + 2 < end && at->kind == WORD && at[1].kind == '.') {
        at += 2;
    }
    at += at < end && (at->kind == WORD || at->kind == PARAMETER);
    at += at < end && at->kind == '(';
    return at;
}

/* End of the type's name at `at`, with precision and brackets. */
static const struct query_token *query_columns_type_end(const struct query_token *at,
                                                        const struct query_token *end) {
    static const char *const of_two[] = {"double", "character", NULL};
    at += at < end && at->kind == WORD ? 1 + query_columns_is_any(at, of_two) : 0;
    while (at < end && (at->kind == '(' || at->kind == '[')) {
        at++;
    }
    return at;
}

/* The type of the last cast, if only casts follow the operand; else NULL. */
static const struct query_token *query_columns_last_cast(const struct query_token *at,
                                                         const struct query_token *end) {
    const struct query_token *type = NULL;
    while (at + 1 < end && at->kind == ':') {
        type = at + 1;
        at = query_columns_type_end(type, end);
    }
    return at == end ? type : NULL;
}

static const char *query_columns_item_type(const struct query_tokens *tokens,
                                           const struct query_token *at,
                                           const struct query_token *end) {
    const struct query_token *operand = query_columns_operand_end(at, end);
    const struct query_token *cast = operand > at ? query_columns_last_cast(operand, end) : NULL;
    if (cast) {
        return query_columns_cast_type(cast, end);
    }
    if (operand == end && end - at == 3 && at[1].kind == '.') {
        return query_columns_column_type(tokens, at->text, at[2].text);
    }
    return operand == end && end - at == 2 && query_columns_is(at, "count") ? "integer" : "any";
}

/* Postgres names an unaliased column by its column or function. Absent: unnamed. */
static struct slice query_columns_operand_name(const struct query_token *at,
                                               const struct query_token *end) {
    const struct query_token *operand = query_columns_operand_end(at, end);
    bool cast = operand < end && query_columns_last_cast(operand, end);
    operand -= operand > at && operand[-1].kind == '(';
    bool whole = cast || operand == end || operand->kind == '(';
    return operand > at && operand[-1].kind == WORD && whole ? operand[-1].text : (struct slice){0};
}

struct query_item {
    struct slice name; /* absent: none */
    const char *type;
};

/* False: a star, whose columns the text does not name. */
static bool query_columns_read_item(const struct query_tokens *tokens, const struct query_token *at,
                                    const struct query_token *end, struct query_item *item) {
    if (at == end || (end[-1].kind == '*' && (end - at == 1 || end[-2].kind == '.'))) {
        return false;
    }
    *item = (struct query_item){0};
    bool aliased = end - at >= 2 && end[-1].kind == WORD && !query_columns_is(&end[-1], "end") &&
                   (end[-2].kind == WORD || end[-2].kind == '(' || end[-2].kind == '[') &&
                   !query_columns_last_cast(query_columns_operand_end(at, end), end);
    if (end - at >= 3 && query_columns_is(&end[-2], "as")) {
        item->name = end[-1].text;
        item->type = query_columns_item_type(tokens, at, end - 2);
    } else if (aliased) {
        item->name = end[-1].text;
        item->type = query_columns_item_type(tokens, at, end - 1);
    } else {
        item->name = query_columns_operand_name(at, end);
        item->type = query_columns_item_type(tokens, at, end);
    }
    if (slice_equal(item->name, slice_of("key"))) {
        item->type = "string";
    }
    return true;
}

/* ---- the list ------------------------------------------------------------------------------ */

static const struct query_token *query_columns_list_begin(const struct query_tokens *tokens) {
    const struct query_token *begin = NULL;
    for (size_t i = 0; i < tokens->count; i++) {
        const struct query_token *token = &tokens->items[i];
        if ((!begin && query_columns_is(token, "select")) || query_columns_is(token, "returning")) {
            begin = token + 1;
        }
    }
    const struct query_token *end = tokens->items + tokens->count;
    if (begin && begin < end && query_columns_is(begin, "distinct")) {
        begin++;
        begin += begin + 1 < end && query_columns_is(begin, "on") ? 2 : 0;
    }
    return begin;
}

static bool query_columns_ends_list(const struct query_token *token) {
    static const char *const words[] = {"from",   "where", "union", "intersect",
                                        "except", "order", "limit", NULL};
    return token->kind == ';' ||
           (query_columns_is_any(token, words) && !query_columns_is(token - 1, "distinct"));
}

static const struct query_token *query_columns_item_end(const struct query_token *at,
                                                        const struct query_token *end) {
    while (at < end && at->kind != ',' && !query_columns_ends_list(at)) {
        at++;
    }
    return at;
}

bool query_columns(const char *sql, const struct view *view,
                   void (*column)(void *context, struct slice name, const char *type),
                   void *context) {
    struct query_tokens tokens = {.view = view};
    query_columns_read(&tokens, sql);
    const struct query_token *begin = query_columns_list_begin(&tokens);
    const struct query_token *end = tokens.items + tokens.count;
    bool known = begin != NULL;
    for (int pass = 0; pass < 2 && known; pass++) { /* the first pass only checks */
        const struct query_token *at = begin, *item_end;
        do {
            struct query_item item;
            item_end = query_columns_item_end(at, end);
            known = known && query_columns_read_item(&tokens, at, item_end, &item);
            if (known && pass == 1 && item.name.data) {
                column(context, item.name, item.type);
            }
            at = item_end + 1;
        } while (known && item_end < end && item_end->kind == ',');
    }
    free(tokens.items);
    return known;
}
