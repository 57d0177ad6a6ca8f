/* source: tokens of a script, and the plain forms of functions, calls and tables in them. */
#include "source.h"

#include <stdlib.h>

#include "base/lua_lexer.h"
#include "base/xalloc.h"

/* ---- tokens ------------------------------------------------------------------------------- */

static void source_push_token(struct source *source, size_t *cap, struct source_token token) {
    if (source->count + 1 >= *cap) {
        *cap = *cap ? 2 * *cap : 256;
        source->tokens = xrealloc(source->tokens, *cap * sizeof *source->tokens);
    }
    source->tokens[source->count++] = token;
}

void source_read(struct source *source, const char *text) {
    struct lua_lexer lexer = {.at = text, .line = 1};
    size_t cap = 0;
    *source = (struct source){0};
    for (enum lua_token kind; (kind = lua_lexer_next(&lexer)) != LUA_TOKEN_END;) {
        struct source_token token = {.line = lexer.token_line};
        struct source_token *last = source->count ? &source->tokens[source->count - 1] : NULL;
        if (kind == LUA_TOKEN_NAME) {
            token.text = lexer.text;
            token.quoted = lexer.quote != '\0';
        } else {
            token.mark = lexer.mark;
        }
        if (token.mark == '.' && last && (last->mark == '.' || last->mark == '~')) {
            last->mark = '~';
        } else {
            source_push_token(source, &cap, token);
        }
    }
    source_push_token(source, &cap, (struct source_token){.line = lexer.line, .mark = '$'});
    source->count--;
}

void source_free(struct source *source) {
    free(source->tokens);
    *source = (struct source){0};
}

static bool source_is_word(const struct source_token *token, const char *word) {
    return !token->mark && !token->quoted && slice_equal(token->text, slice_of(word));
}

static bool source_token_matches(const struct source_token *token, struct slice part) {
    if (slice_equal(part, slice_of("%n"))) {
        return !token->mark && !token->quoted;
    }
    if (slice_equal(part, slice_of("%s"))) {
        return token->quoted;
    }
    return token->mark ? part.len == 1 && part.data[0] == token->mark
                       : !token->quoted && slice_equal(token->text, part);
}

bool source_matches(const struct source *source, size_t at, const char *pattern) {
    for (; *pattern; at++) {
        size_t len = strcspn(pattern, " ");
        if (at >= source->count ||
            !source_token_matches(&source->tokens[at], (struct slice){pattern, len})) {
            return false;
        }
        pattern += len + (pattern[len] == ' ');
    }
    return true;
}

bool source_is_free_name(const struct source *source, size_t at, struct slice name) {
    const struct source_token *token = &source->tokens[at];
    char before = at > 0 ? source->tokens[at - 1].mark : '\0';
    return !token->mark && !token->quoted && slice_equal(token->text, name) && before != '.' &&
           before != ':';
}

static bool source_opens(char mark) {
    return mark == '(' || mark == '{' || mark == '[';
}

static bool source_closes(char mark) {
    return mark == ')' || mark == '}' || mark == ']';
}

size_t source_skip_brackets(const struct source *source, size_t at) {
    size_t depth = 0;
    for (; at < source->count; at++) {
        char mark = source->tokens[at].mark;
        depth += source_opens(mark);
        depth -= source_closes(mark) && depth > 0;
        if (depth == 0) {
            return at + 1;
        }
    }
    return source->count;
}

/* ---- functions ---------------------------------------------------------------------------- */

/* Skips the block whose body begins at `at`, with its `end`. */
static size_t source_skip_block(const struct source *source, size_t at) {
    size_t depth = 1;
    for (; at < source->count && depth > 0; at++) {
        const struct source_token *token = &source->tokens[at];
        depth += source_is_word(token, "function") || source_is_word(token, "do") ||
                 source_is_word(token, "if") || source_is_word(token, "repeat");
        depth -= source_is_word(token, "end") || source_is_word(token, "until");
    }
    return at;
}

/* Whether the `function` at `at`, with its parameters at `open`, has this name. */
static bool source_is_named(const struct source *source, size_t at, size_t open, const char *name) {
    bool anonymous = open == at + 1;
    size_t name_at = anonymous ? at - 2 : open - 1;
    char before = at > 0 ? source->tokens[at - 1].mark : '\0';
    if (anonymous && (at < 2 || (before != '=' && before != '('))) {
        return false;
    }
    return slice_equal(source->tokens[name_at].text, slice_of(name));
}

bool source_find_function(const struct source *source, size_t at, const char *name,
                          struct source_function *function) {
    for (; at < source->count; at++) {
        size_t open = at + 1;
        if (!source_is_word(&source->tokens[at], "function")) {
            continue;
        }
        while (open < source->count && source->tokens[open].mark != '(') {
            open++;
        }
        if (!source_is_named(source, at, open, name)) {
            continue;
        }
        *function = (struct source_function){0};
        size_t i = open + 1;
        for (; i < source->count && source->tokens[i].mark != ')'; i++) {
            if (!source->tokens[i].mark && function->param_count < 4) {
                function->params[function->param_count++] = source->tokens[i].text;
            }
        }
        function->begin = i + 1;
        function->end = source_skip_block(source, i + 1);
        return true;
    }
    return false;
}

/* Whether the name is in the list of names at `at`. */
static bool source_lists_name(const struct source *source, size_t at, struct slice name) {
    while (source_matches(source, at, "%n")) {
        if (slice_equal(source->tokens[at].text, name)) {
            return true;
        }
        at += source->tokens[at + 1].mark == ',' ? 2 : 1;
        if (source->tokens[at - 1].mark != ',') {
            break;
        }
    }
    return false;
}

static bool source_binds_name(const struct source *source, size_t at, struct slice name) {
    const struct source_token *token = &source->tokens[at];
    if (source_is_word(token, "local") || source_is_word(token, "for")) {
        return source_lists_name(source, at + 1, name);
    }
    if (source_is_word(token, "function")) {
        while (at < source->count && source->tokens[at].mark != '(') {
            at++;
        }
        return source_lists_name(source, at + 1, name);
    }
    if (at == 0 || !source_is_free_name(source, at, name)) {
        return false;
    }
    char before = source->tokens[at - 1].mark;
    return source_matches(source, at + 1, "=") && before != '{' && before != ',' && before != ';';
}

bool source_is_redefined(const struct source *source, const struct source_function *function,
                         struct slice name) {
    for (size_t at = function->begin; at < function->end; at++) {
        if (source_binds_name(source, at, name)) {
            return true;
        }
    }
    return false;
}

/* ---- calls and tables ---------------------------------------------------------------------- */

static void source_add_item(const struct source *source, struct source_items *items, size_t begin,
                            size_t end) {
    struct source_item item = {.begin = begin, .end = end};
    if (begin >= end) {
        return;
    }
    if (items->count == SOURCE_MAX_ITEMS) {
        items->whole = false;
        return;
    }
    if (source_matches(source, begin, "%n =")) {
        item.key = source->tokens[begin].text;
        item.begin += 2;
    } else if (source_matches(source, begin, "[ %s ] =")) {
        item.key = source->tokens[begin + 1].text;
        item.begin += 4;
    } else {
        item.computed = source->tokens[begin].mark == '[';
    }
    items->items[items->count++] = item;
}

void source_read_items(const struct source *source, size_t at, struct source_items *items) {
    size_t end = source_skip_brackets(source, at) - 1, begin = at + 1;
    items->count = 0;
    items->whole = end < source->count;
    for (at = begin; at < end;) {
        const struct source_token *token = &source->tokens[at];
        if (source_opens(token->mark)) {
            at = source_skip_brackets(source, at);
        } else if (source_is_word(token, "function")) {
            at = source_skip_block(source, at + 1);
        } else if (token->mark == ',' || token->mark == ';') {
            source_add_item(source, items, begin, at);
            begin = ++at;
        } else {
            at++;
        }
    }
    source_add_item(source, items, begin, end);
}

bool source_is_table(const struct source *source, const struct source_item *item) {
    return source->tokens[item->begin].mark == '{' &&
           source_skip_brackets(source, item->begin) == item->end;
}

bool source_is_string(const struct source *source, const struct source_item *item) {
    return item->end == item->begin + 1 && source->tokens[item->begin].quoted;
}
