/* source: the tokens of a script, for what can be said of it without running it. Pure: no Lua. It
 * understands what is written plainly, and says nothing of the rest. */
#ifndef AGG_HOST_SCRIPT_SOURCE_H
#define AGG_HOST_SCRIPT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct source_token {
    struct slice text; /* of a name, keyword, number or short string */
    int line;
    char mark; /* NUL of a name; '~' of `..` and `...`; '?' of a comparison */
    bool quoted;
};
struct source {
    struct source_token *tokens; /* the last one is an end, whose mark is '$' */
    size_t count;                /* without the end */
};
void source_read(struct source *source, const char *text);
void source_free(struct source *source);

/* Whether the tokens from `at` on are these: a space between each two; `%n` is any name, `%s` any
 * short string. */
bool source_matches(const struct source *source, size_t at, const char *pattern);
/* Whether the token is this name, and no field of something else. */
bool source_is_free_name(const struct source *source, size_t at, struct slice name);
/* The index behind what the opening bracket at `at` encloses, brackets included. */
size_t source_skip_brackets(const struct source *source, size_t at);

/* `NAME = function(…) … end`, `NAME(function(…) … end` or `function X.NAME(…) … end`. */
struct source_function {
    struct slice params[4];
    size_t param_count;
    size_t begin, end; /* of the body */
};
/* The first from `at` on. */
bool source_find_function(const struct source *source, size_t at, const char *name,
                          struct source_function *function);
/* True where the name means something else somewhere in the body, too. */
bool source_is_redefined(const struct source *source, const struct source_function *function,
                         struct slice name);

/* An argument of a call, or an item of a table constructor. */
struct source_item {
    size_t begin, end;
    struct slice key; /* of `key = …` and `["key"] = …` in a table; else absent */
    bool computed;    /* `[…] = …` */
};
#define SOURCE_MAX_ITEMS 64
struct source_items {
    struct source_item items[SOURCE_MAX_ITEMS];
    size_t count;
    bool whole; /* there are no more */
};
/* What the opening bracket at `at` encloses, between commas. */
void source_read_items(const struct source *source, size_t at, struct source_items *items);
/* Whether the item is a table constructor or a short string, and nothing else. */
bool source_is_table(const struct source *source, const struct source_item *item);
bool source_is_string(const struct source *source, const struct source_item *item);

#endif
