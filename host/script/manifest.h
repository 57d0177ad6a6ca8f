/* manifest: the reader of declarations. A table is described by a list of keys; each problem is
 * recorded with file and line, and reading goes on. All runs in one protected call and reads raw:
 * no metatable of a declaration runs. Memory belongs to the generation, so that a Lua error leaks
 * nothing. */
#pragma once

#include "base/problems.h"
#include "script_private.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What the reader is inside of, such as "field x"; on the C stack. */
struct manifest_scope {
    const char *word; /* finds its line; NULL: as the outer scope */
    char owner[128];
    const struct manifest_scope *outer;
};

struct manifest_reader {
    lua_State *L;
    struct script_generation *generation;
    struct problems *problems;
    const struct bundle_file *file; /* the current one */
    const struct manifest_scope *scope;
    bool view_good;
    size_t fields_read;   /* of the current handler or route, including those of lists */
    bool names_are_paths; /* a field may omit its path, which is then its name */
};

void manifest_enter(struct manifest_reader *r, struct manifest_scope *scope, const char *word,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
void manifest_leave(struct manifest_reader *r);
/* Records "OWNER: …" at the line of the word inside the scope; NULL: at the scope's line. */
void manifest_problem(struct manifest_reader *r, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "OWNER: no WHAT "WORD": did you mean …?" */
void manifest_refuse(struct manifest_reader *r, const char *what, const char *word,
                     const char *const *known, size_t count);

enum manifest_kind {
    MANIFEST_TEXT,           /* const char *, copied, not empty */
    MANIFEST_SWITCH,         /* bool */
    MANIFEST_NUMBER,         /* struct manifest_number */
    MANIFEST_TABLE,          /* for `read` */
    MANIFEST_TEXTS,          /* a string or a list of strings, for `read` */
    MANIFEST_SWITCH_OR_TEXT, /* a boolean or a string, for `read` */
    MANIFEST_FUNCTION,       /* only checked */
};
struct manifest_number {
    bool there;
    double value;
};
struct manifest_key {
    const char *name;
    enum manifest_kind kind;
    bool required;
    size_t offset;      /* in the target */
    const char *wanted; /* for the message, such as "a list of topics" */
    void (*read)(struct manifest_reader *r, void *target); /* the value at the top, or NULL */
};
/* Reads the table at the top. False: not a plain table; a problem is recorded. `listed`: the caller
 * reads its list part. */
bool manifest_read_table(struct manifest_reader *r, const struct manifest_key *keys, size_t count,
                         bool listed, void *target);
/* Whether the table at the top has no metatable, which would have no effect: fields are read raw. A
 * problem of the key, or of the whole for NULL, is recorded. */
bool manifest_is_plain(struct manifest_reader *r, const char *key);
/* Whether the value at the top is a list of at most `max` items; else records "`KEY` takes WANTED".
 */
bool manifest_is_list(struct manifest_reader *r, const char *key, const char *wanted, size_t max,
                      size_t *len);
/* Copies of the strings of the list at the top, or of the single string. NULL: a problem is
 * recorded. */
const char **manifest_take_texts(struct manifest_reader *r, const char *key, size_t max,
                                 size_t *count);
/* The same of a table that may have other keys. */
const char **manifest_take_list_part(struct manifest_reader *r, const char *key, size_t max,
                                     size_t *count);

extern const char *const manifest_field_types[FIELD_LIST + 1]; /* the names of field types */
#define MANIFEST_MAX_FIELDS 64                                 /* of one table */
/* The `fields` at the top, sorted by path, into room for MANIFEST_MAX_FIELDS. */
void manifest_read_fields(struct manifest_reader *r, struct extract_field *fields, size_t *count);

/* Before the handlers: it sets the generation's envelope, which stays empty where it is wrong. */
void manifest_read_envelope(struct manifest_reader *r);
void manifest_read_view(struct manifest_reader *r);
/* Whether it may stand in SQL as the name of a table or column; else a problem is recorded. */
bool manifest_view_check_name(struct manifest_reader *r, const char *name);
/* manifest_retention.c: the `retention` of a table of the view. */
struct manifest_retention {
    bool there;
    struct manifest_number days, span_days;
    const char *by;
    struct view_hanging with[VIEW_MAX_HANGING]; /* copies that the generation owns */
    size_t with_count;
};
void manifest_read_retention(struct manifest_reader *r, struct manifest_retention *reading);
/* The groups of the table are read. */
void manifest_take_retention(struct manifest_reader *r, struct view_table *table,
                             const struct manifest_retention *reading);
/* All tables are read: `with` names tables of the view, or others. */
void manifest_check_retentions(struct manifest_reader *r, struct view *view);
void manifest_read_handler(struct manifest_reader *r, const char *name);
void manifest_read_route(struct manifest_reader *r, const char *name);
/* The `query` and the `headers` of a route, at the top. */
const struct script_part *manifest_read_query(struct manifest_reader *r);
const struct script_part *manifest_read_headers(struct manifest_reader *r);
/* The `body` of a route, at the top. */
const struct script_body *manifest_read_body(struct manifest_reader *r);
/* The `rate_limit` of a route, at the top. */
struct script_rate manifest_read_rate(struct manifest_reader *r);
#define MANIFEST_MAX_PARAMS 16
struct manifest_params {
    struct slice names[MANIFEST_MAX_PARAMS];
    size_t count;
};
/* The `cache` of a route, at the top; `vary` is checked once the route is read. */
#define MANIFEST_MAX_VARY 16
struct manifest_vary {
    const char **names; /* of fields */
    size_t count;
};
struct manifest_cache {
    const char *key, *type;
    struct script_cache cache;
    struct manifest_vary query, headers;
};
void manifest_read_cache(struct manifest_reader *r, struct manifest_cache *reading);
/* The route has its method, paths, query and headers; `params`: of each path. Sets its cache. */
void manifest_check_cache(struct manifest_reader *r, struct script_route *route,
                          const struct manifest_cache *reading,
                          const struct manifest_params *paths);
/* The `words` of a route, at the top. */
const struct script_words *manifest_read_words(struct manifest_reader *r);
void manifest_read_reaction(struct manifest_reader *r, const char *name);
/* After all files: `follows` names the view's tables, `query` a file. */
void manifest_check_reactions(struct manifest_reader *r);
/* Loads the file and pushes its result. False: a problem is recorded. */
bool manifest_load(struct manifest_reader *r, const char *name);

/* literals.c: checks literal names in sources, without running them: fields of events, tables,
 * groups and columns of the view, parameters of requests, queries and their parameters. Records
 * queries that cannot be read. */
void manifest_check_literals(struct manifest_reader *r);

/* manifest_path.c: patterns of routes. Pure. */
/* NULL, or why no request can have this path (borrowed text). */
const char *manifest_check_path(const char *path, struct manifest_params *params);
/* NULL, or what is wrong with a cache key's template. Sets its parameters. */
const char *manifest_check_key(const char *key, struct manifest_params *params);
/* "no parameter of the path NAME: did you mean …?" */
void manifest_refuse_param(struct manifest_reader *r, struct slice name,
                           const struct manifest_params *params);
bool manifest_has_param(const struct manifest_params *params, struct slice name);
/* Whether the first pattern matches all that the second matches. */
bool manifest_covers(const char *pattern, const char *other);

/* manifest_line.c: the line of a declaration. Lua keeps no line of a table's keys, so the source is
 * searched: each word after the previous one, as a key, else as a name or string. Returns the line
 * of the last word found, or of the last `return`. */
int manifest_line(const char *text, const char *const *words, size_t count);
