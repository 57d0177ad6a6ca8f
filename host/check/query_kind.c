#include "query_kind.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* PREPARE: "Any SELECT, INSERT, UPDATE, DELETE, MERGE, or VALUES statement" (Postgres' manual); a
 * SELECT may also begin with the last two words. */
static const char *const allowed[] = {"SELECT", "INSERT", "UPDATE", "DELETE",
                                      "MERGE",  "VALUES", "WITH",   "TABLE"};

/* Comments of this kind may be nested. */
static const char *query_kind_skip_comment(const char *at) {
    int depth = 0;
    do {
        bool begins = at[0] == '/' && at[1] == '*', ends = at[0] == '*' && at[1] == '/';
        depth += begins - ends;
        at += begins || ends ? 2 : 1;
    } while (depth > 0 && *at);
    return at;
}

static const char *query_kind_find_word(const char *at) {
    for (;;) {
        at += strspn(at, " \t\r\n\f(");
        if (at[0] == '-' && at[1] == '-') {
            at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*') {
            at = query_kind_skip_comment(at);
        } else {
            return at;
        }
    }
}

void query_kind_explain(const char *sql, struct err *err) {
    const char *word = query_kind_find_word(sql);
    size_t len = strcspn(word, " \t\r\n\f(;");
    bool is_allowed = len == 0 || strcmp(err->sqlstate, "42601") != 0;
    for (size_t i = 0; !is_allowed && i < sizeof allowed / sizeof *allowed; i++) {
        is_allowed = strlen(allowed[i]) == len && strncasecmp(allowed[i], word, len) == 0;
    }
    if (!is_allowed) {
        snprintf(err->text, sizeof err->text,
                 "it begins with \"%.*s\": a query is one SELECT, INSERT, UPDATE, DELETE, MERGE or "
                 "VALUES, also behind WITH",
                 len > 40 ? 40 : (int)len, word);
    }
}
