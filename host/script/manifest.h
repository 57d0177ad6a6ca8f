/* manifest: how declarations are read. One reader for the view, handlers and routes: each kind of
 * table is a list of keys, and what is wrong becomes a problem with file and line, after which the
 * reading goes on. Everything runs inside one protected call and reads raw: no metatable of a
 * declaration is ever asked. What is allocated belongs to the generation, so that an error of Lua
 * (no memory) loses nothing. */
#ifndef AGG_HOST_SCRIPT_MANIFEST_H
#define AGG_HOST_SCRIPT_MANIFEST_H

#include "base/problems.h"
#include "script_private.h"

/* Of what the reader is inside: "field x". On the C stack of who reads it. */
struct manifest_scope {
    const char *word; /* by which its line is found; NULL: by the outer scope */
    char owner[128];
    const struct manifest_scope *outer;
};

struct manifest_reader {
    lua_State *L;
    struct script_generation *generation;
    struct problems *problems;
    const struct bundle_file *file; /* the one under way */
    const struct manifest_scope *scope;
    bool view_good;
    size_t fields_read; /* of the handler under way, those of lists included */
};

void manifest_enter(struct manifest_reader *r, struct manifest_scope *scope, const char *word,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
void manifest_leave(struct manifest_reader *r);
/* "OWNER: …" at the line of the word inside the scope; NULL: at the scope's own. */
void manifest_problem(struct manifest_reader *r, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "OWNER: no WHAT "WORD": did you mean …?" */
void manifest_refuse(struct manifest_reader *r, const char *what, const char *word,
                     const char *const *known, size_t count);

enum manifest_kind {
    MANIFEST_TEXT,     /* const char *, copied, not empty */
    MANIFEST_SWITCH,   /* bool */
    MANIFEST_NUMBER,   /* struct manifest_number */
    MANIFEST_TABLE,    /* for `read` */
    MANIFEST_TEXTS,    /* a string or a list of strings, for `read` */
    MANIFEST_FUNCTION, /* only that it is one */
};
struct manifest_number {
    bool there;
    double value;
};
struct manifest_key {
    const char *name;
    enum manifest_kind kind;
    bool required;
    size_t offset;      /* in the target, of what is taken */
    const char *wanted; /* "a list of topics": what to say where it is missing */
    void (*read)(struct manifest_reader *r, void *target); /* of the value at the top, or NULL */
};
/* Reads the table at the top. False: it is no plain table, said. `listed`: it has a list part, too,
 * which the caller reads. */
bool manifest_read_table(struct manifest_reader *r, const struct manifest_key *keys, size_t count,
                         bool listed, void *target);
/* Whether the value at the top is a table whose keys are 1 to *len, at most `max`; otherwise said:
 * "`KEY` takes WANTED". */
bool manifest_is_list(struct manifest_reader *r, const char *key, const char *wanted, size_t max,
                      size_t *len);
/* The strings of the list part of the table at the top, or the string itself, copied. NULL: said.
 */
const char **manifest_take_texts(struct manifest_reader *r, const char *key, size_t max,
                                 size_t *count);

#define MANIFEST_MAX_FIELDS 64 /* of one table */
/* The `fields` at the top, sorted by path, into room for MANIFEST_MAX_FIELDS. */
void manifest_read_fields(struct manifest_reader *r, struct extract_field *fields, size_t *count);

/* Before the handlers: it sets the generation's envelope, which stays empty where it is wrong. */
void manifest_read_envelope(struct manifest_reader *r);
void manifest_read_view(struct manifest_reader *r);
void manifest_read_handler(struct manifest_reader *r, const char *name);
void manifest_read_route(struct manifest_reader *r, const char *name);
/* The `words` of a route, at the top. NULL: said. */
const struct script_words *manifest_read_words(struct manifest_reader *r);
void manifest_read_reaction(struct manifest_reader *r, const char *name);
/* After all files: what reactions follow is in the view, and their queries are there. */
void manifest_check_reactions(struct manifest_reader *r);
/* Loads the reader's file and leaves what it returns at the top; false: said. */
bool manifest_load(struct manifest_reader *r, const char *name);

/* manifest_uses.c: names that a source says as literals and that are not there: fields of events,
 * tables, groups and columns of the view, parameters of requests. Without Lua. */
void manifest_check_uses(struct manifest_reader *r);
/* manifest_queries.c: likewise of queries and their parameters. */
void manifest_check_queries(struct manifest_reader *r);
/* At a line of the reader's file: "OWNER has no WHAT "WORD": did you mean …?" */
void manifest_refuse_use(struct manifest_reader *r, int line, const char *owner, const char *what,
                         struct slice word, const char *const *known, size_t count);

/* manifest_path.c: what a route's pattern may be. Pure. */
#define MANIFEST_MAX_PARAMS 16
struct manifest_params {
    struct slice names[MANIFEST_MAX_PARAMS];
    size_t count;
};
/* NULL, or why no request could have this path (a literal). */
const char *manifest_check_path(const char *path, struct manifest_params *params);
/* NULL, or why the template of a cache key is none. Its placeholders. */
const char *manifest_check_key(const char *key, struct manifest_params *params);
bool manifest_has_param(const struct manifest_params *params, struct slice name);
/* True where whatever the second pattern matches, the first does, too. */
bool manifest_covers(const char *pattern, const char *other);

/* manifest_line.c: where something is declared. Lua keeps no line of a table's keys, so the source
 * is read: the line of the last of the words that is found, each after the one before it, as a key
 * or else as a name or string. No word is found: the line of the last `return`. */
int manifest_line(const char *text, const char *const *words, size_t count);

#endif
