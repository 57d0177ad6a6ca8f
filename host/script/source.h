/* source: the tokens of a script, for checks without running it. It recognizes plain forms, and
 * reports nothing about others. Pure: no Lua. */
#ifndef AGG_HOST_SCRIPT_SOURCE_H
#define AGG_HOST_SCRIPT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct source_token {
    struct slice text; /* of a name, keyword, number or short string */
    int line;
    char mark; /* NUL: a name; '~': `..` and `...`; '?': a comparison */
    bool quoted;
};
struct source {
    struct source_token *tokens; /* followed by an end token, whose mark is '$' */
    size_t count;
};
void source_read(struct source *source, const char *text);
void source_free(struct source *source);

/* Whether these tokens, separated by spaces, begin at `at`; `%n` is any name, `%s` any short
 * string. */
bool source_matches(const struct source *source, size_t at, const char *pattern);
/* Whether the token is this name, and not a field. */
bool source_is_free_name(const struct source *source, size_t at, struct slice name);
/* Index after the closing bracket of the one at `at`. */
size_t source_skip_brackets(const struct source *source, size_t at);

/* `NAME = function(…) … end`, `NAME(function(…) … end` or `function X.NAME(…) … end`. */
struct source_function {
    struct slice params[4];
    size_t param_count;
    size_t begin, end; /* of the body */
};
/* Finds the first from `at` on. */
bool source_find_function(const struct source *source, size_t at, const char *name,
                          struct source_function *function);
/* Whether the body gives the name another meaning. */
bool source_is_redefined(const struct source *source, const struct source_function *function,
                         struct slice name);

/* An argument of a call, or an item of a table constructor. */
struct source_item {
    size_t begin, end;
    struct slice key; /* of `key = …` and `["key"] = …`; else absent */
    bool computed;    /* `[…] = …` */
};
#define SOURCE_MAX_ITEMS 64
struct source_items {
    struct source_item items[SOURCE_MAX_ITEMS];
    size_t count;
    bool whole; /* no item was left out */
};
/* Reads what the opening bracket at `at` encloses, split at commas. */
void source_read_items(const struct source *source, size_t at, struct source_items *items);
/* Whether the item is just a table constructor, or a short string. */
bool source_is_table(const struct source *source, const struct source_item *item);
bool source_is_string(const struct source *source, const struct source_item *item);

#endif
