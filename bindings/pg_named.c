#include "pg_named.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/xalloc.h"

#define NAME_FIRST "abcdefghijklmnopqrstuvwxyz_"
#define NAME_REST NAME_FIRST "0123456789"

/* A byte of an SQL name; all bytes above ASCII are. */
static bool pg_named_in_word(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* ---- quotes and comments: their length, or 0 for an error ----------------------------------- */

static size_t pg_named_quoted_length(const char *at, bool backslashes) {
    const char *end = at + 1;
    while (*end && *end != *at) {
        end += backslashes && *end == '\\' && end[1] ? 2 : 1;
    }
    return *end ? (size_t)(end - at) + 1 : 0;
}

/* Comments of SQL may be nested. */
static size_t pg_named_comment_length(const char *at) {
    const char *end = at + 2;
    for (int depth = 1; *end; end++) {
        if (end[0] == '*' && end[1] == '/') {
            end++;
            if (--depth == 0) {
                return (size_t)(end - at) + 1;
            }
        } else if (end[0] == '/' && end[1] == '*') {
            end++;
            depth++;
        }
    }
    return 0;
}

/* $$…$$ or $tag$…$tag$. 1: no quote begins here; 0 also for $1, which would clash with ours. */
static size_t pg_named_dollar_length(const char *at) {
    size_t tag = 1;
    if (isdigit((unsigned char)at[1])) {
        return 0;
    }
    while (pg_named_in_word(at[tag]) && at[tag] != '$') {
        tag++;
    }
    if (at[tag] != '$') {
        return 1;
    }
    tag++;
    for (const char *end = strchr(at + tag, '$'); end; end = strchr(end + 1, '$')) {
        if (strncmp(end, at, tag) == 0) {
            return (size_t)(end - at) + tag;
        }
    }
    return 0;
}

/* Length of the quote, comment, cast or single byte at `at`. `start`: the start of the text,
 * because the byte before a quote decides its kind. 0: unterminated. */
static size_t pg_named_plain_length(const char *at, const char *start) {
    char before = at > start ? at[-1] : ' ';
    if (at[0] == ':' && at[1] == ':') {
        return 2;
    }
    if (at[0] == '-' && at[1] == '-') {
        return strcspn(at, "\n");
    }
    if (at[0] == '/' && at[1] == '*') {
        return pg_named_comment_length(at);
    }
    if (at[0] == '\'' || at[0] == '"') {
        bool is_word = at - start >= 2 && pg_named_in_word(at[-2]);
        return pg_named_quoted_length(at, at[0] == '\'' && tolower(before) == 'e' && !is_word);
    }
    return at[0] == '$' && !pg_named_in_word(before) ? pg_named_dollar_length(at) : 1;
}

/* ---- parameters --------------------------------------------------------------------------- */

static size_t pg_named_number_of(struct pg_named *named, const char *name, size_t len) {
    for (size_t i = 0; i < named->count; i++) {
        if (strlen(named->names[i]) == len && memcmp(named->names[i], name, len) == 0) {
            return i + 1;
        }
    }
    named->names = xrealloc(named->names, (named->count + 1) * sizeof *named->names);
    named->names[named->count] = xstrndup(name, len);
    return ++named->count;
}

static bool pg_named_refuse(const char *text, const char *at, struct err *err) {
    int line = 1;
    for (const char *c = text; c < at; c++) {
        line += *c == '\n';
    }
    if (at[0] == '$' && isdigit((unsigned char)at[1])) {
        return err_set(err, ERR_INPUT, "line %d: $%c: parameters are named, as in :name", line,
                       at[1]);
    }
    return err_set(err, ERR_INPUT, "line %d: the %s that begins here does not end", line,
                   *at == '/' ? "comment" : "quote");
}

bool pg_named_parse(struct pg_named *named, const char *text, struct err *err) {
    struct buffer sql = {0};
    *named = (struct pg_named){0};
    if (!pg_has_statement(text)) {
        return err_set(err, ERR_INPUT, "has no statement: write one, or delete the file");
    }
    for (const char *at = text; *at;) {
        size_t name = *at == ':' && strchr(NAME_FIRST, at[1]) ? strspn(at + 1, NAME_REST) : 0;
        if (name > 0) {
            buffer_append_format(&sql, "$%zu", pg_named_number_of(named, at + 1, name));
            at += name + 1;
            continue;
        }
        size_t len = pg_named_plain_length(at, text);
        if (len == 0) {
            buffer_free(&sql);
            pg_named_free(named);
            return pg_named_refuse(text, at, err);
        }
        buffer_append(&sql, at, len);
        at += len;
    }
    named->sql = sql.data;
    return true;
}

bool pg_has_statement(const char *text) {
    const char *at = text;
    while (*at) {
        bool is_comment = (at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*');
        size_t len = is_comment ? pg_named_plain_length(at, text) : strspn(at, " \t\r\n\f\v;");
        if (len == 0) {
            return true; /* a statement, or a comment without end, which Postgres refuses */
        }
        at += len;
    }
    return false;
}

/* ---- statements that end a transaction ------------------------------------------------------ */

struct pg_named_word {
    const char *at;
    size_t len;
};

static bool pg_named_is(struct pg_named_word word, const char *name) {
    return word.len == strlen(name) && strncasecmp(word.at, name, word.len) == 0;
}

/* The next word behind spaces and comments; empty: something else follows. */
static struct pg_named_word pg_named_word_behind(const char *at, const char *start) {
    struct pg_named_word word = {at, 0};
    for (size_t len = 1; len > 0; word.at += len) {
        bool is_comment = strncmp(word.at, "--", 2) == 0 || strncmp(word.at, "/*", 2) == 0;
        len = is_comment ? pg_named_plain_length(word.at, start) : strspn(word.at, " \t\r\n\f\v");
    }
    while (*word.at != '$' && pg_named_in_word(word.at[word.len])) {
        word.len++;
    }
    return word;
}

/* A savepoint is no end. */
static bool pg_named_ends(struct pg_named_word first, const char *start) {
    struct pg_named_word second = pg_named_word_behind(first.at + first.len, start);
    if (pg_named_is(first, "PREPARE")) {
        return pg_named_is(second, "TRANSACTION");
    }
    if (pg_named_is(first, "ROLLBACK")) {
        bool is_filler = pg_named_is(second, "WORK") || pg_named_is(second, "TRANSACTION");
        struct pg_named_word third = pg_named_word_behind(second.at + second.len, start);
        return !pg_named_is(is_filler ? third : second, "TO");
    }
    return pg_named_is(first, "COMMIT") || pg_named_is(first, "END") || pg_named_is(first, "ABORT");
}

const char *pg_find_transaction_end(const char *text) {
    bool begins = true, is_body = false; /* BEGIN ATOMIC … END is a function's body */
    struct pg_named_word before = {text, 0};
    for (const char *at = text; *at;) {
        struct pg_named_word word = pg_named_word_behind(at, text);
        if (word.len == 0) {
            begins = *word.at == ';';
            size_t len = *word.at ? pg_named_plain_length(word.at, text) : 0;
            if (len == 0) {
                return NULL; /* the end, or a quote without one, which Postgres refuses */
            }
            at = word.at + len;
            continue;
        }
        if (begins && !is_body && pg_named_ends(word, text)) {
            return word.at;
        }
        is_body = (is_body && !(begins && pg_named_is(word, "END"))) ||
                  (pg_named_is(before, "BEGIN") && pg_named_is(word, "ATOMIC"));
        begins = false;
        before = word;
        at = word.at + word.len;
    }
    return NULL;
}

void pg_named_free(struct pg_named *named) {
    for (size_t i = 0; i < named->count; i++) {
        free(named->names[i]);
    }
    free(named->names);
    free(named->sql);
    *named = (struct pg_named){0};
}
