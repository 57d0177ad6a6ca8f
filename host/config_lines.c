#include "config_lines.h"

#include <ctype.h>
#include <stdio.h>

#include "buffer.h"

enum token { TOKEN_END, TOKEN_NAME, TOKEN_OTHER };

struct lexer {
    const char *at;
    int line;
    struct slice text; /* of the token; a string's without its quotes */
    char mark;         /* TOKEN_OTHER: its character */
};

static void advance(struct lexer *lexer, size_t count) {
    for (; count > 0 && *lexer->at; count--, lexer->at++) {
        lexer->line += *lexer->at == '\n';
    }
}

/* The number of '=' in an opening long bracket at `at`, -1 if there is none. */
static int long_bracket(const char *at) {
    size_t level = at[0] == '[' ? strspn(at + 1, "=") : 0;
    return at[0] == '[' && at[1 + level] == '[' ? (int)level : -1;
}

static void skip_long(struct lexer *lexer, int level) {
    char close[64];
    if (level > 60) {
        level = 60; /* nobody writes that */
    }
    snprintf(close, sizeof close, "]%.*s]", level,
             "============================================================");
    const char *end = strstr(lexer->at, close);
    advance(lexer, end ? (size_t)(end - lexer->at) + strlen(close) : strlen(lexer->at));
}

static void skip_blank(struct lexer *lexer) {
    for (;;) {
        advance(lexer, strspn(lexer->at, " \t\r\n\f\v"));
        if (strncmp(lexer->at, "--", 2) != 0) {
            return;
        }
        advance(lexer, 2);
        int level = long_bracket(lexer->at);
        if (level >= 0) {
            skip_long(lexer, level);
        } else {
            advance(lexer, strcspn(lexer->at, "\n"));
        }
    }
}

static void skip_string(struct lexer *lexer) {
    char quote = *lexer->at;
    const char *end = lexer->at + 1;
    while (*end && *end != quote) {
        end += *end == '\\' && end[1] ? 2 : 1;
    }
    lexer->text = (struct slice){lexer->at + 1, (size_t)(end - lexer->at - 1)};
    advance(lexer, (size_t)(end - lexer->at) + 1);
}

static enum token next_token(struct lexer *lexer) {
    skip_blank(lexer);
    const char *at = lexer->at;
    size_t len = 0;
    while (isalnum((unsigned char)at[len]) || at[len] == '_') {
        len++;
    }
    if (len > 0) {
        lexer->text = (struct slice){at, len};
        advance(lexer, len);
        return TOKEN_NAME;
    }
    if (*at == '"' || *at == '\'') {
        skip_string(lexer);
        return TOKEN_NAME;
    }
    lexer->mark = *at;
    if (long_bracket(at) >= 0) {
        skip_long(lexer, long_bracket(at));
    } else if (at[0] && strchr("=~<>", at[0]) && at[1] == '=') { /* a comparison */
        lexer->mark = '?';
        advance(lexer, 2);
    } else {
        advance(lexer, 1);
    }
    return lexer->mark ? TOKEN_OTHER : TOKEN_END;
}

struct search {
    struct slice section, key;
    struct slice owner, name; /* `owner.name`, or just `name`, read last */
    int name_line;
    bool dotted;
    bool opens; /* `section =` was read: a brace opens it */
    int depth;
    int section_depth; /* of the section's fields, 0: outside of it */
    int section_line, key_line;
};

/* An assignment to the name read last. */
static void assign(struct search *search) {
    bool is_section = slice_equal(search->name, search->section);
    bool is_key = slice_equal(search->name, search->key);
    bool is_inside = search->section_depth > 0 && search->depth == search->section_depth;
    bool is_owned = search->dotted && slice_equal(search->owner, search->section);
    if (is_key && (is_inside || is_owned)) {
        search->key_line = search->name_line;
    } else if (is_section && search->section_depth == 0) {
        search->section_line = search->name_line;
        search->opens = true;
    }
}

static void take_mark(struct search *search, char mark) {
    bool opens = search->opens;
    search->opens = false;
    if (mark == '=') {
        assign(search);
    } else if (mark == '.') {
        search->owner = search->name;
        search->dotted = true;
    } else if (mark == '{') {
        search->depth++;
        search->section_depth = opens ? search->depth : search->section_depth;
    } else if (mark == '}') {
        search->depth--;
        search->section_depth = search->depth < search->section_depth ? 0 : search->section_depth;
    }
}

static void take_name(struct search *search, const struct lexer *lexer, int line, bool after_dot) {
    search->name = lexer->text;
    search->name_line = line;
    search->dotted = after_dot;
    search->opens = false;
}

static bool read_text(const char *path, struct buffer *text) {
    FILE *file = fopen(path, "re");
    if (!file) {
        return false;
    }
    size_t got;
    do {
        got = fread(buffer_reserve(text, 4096), 1, 4096, file);
        text->len += got;
    } while (got > 0);
    fclose(file);
    buffer_append(text, "", 0);
    return true;
}

int config_line_of(const char *path, const char *section, const char *key) {
    struct buffer text = {0};
    if (!read_text(path, &text)) {
        return 0;
    }
    struct lexer lexer = {.at = text.data, .line = 1};
    struct search search = {.section = slice_of(section), .key = slice_of(key)};
    bool after_dot = false;
    for (;;) {
        skip_blank(&lexer);
        int line = lexer.line;
        enum token token = next_token(&lexer);
        if (token == TOKEN_END) {
            break;
        }
        if (token == TOKEN_NAME) {
            take_name(&search, &lexer, line, after_dot);
        } else {
            take_mark(&search, lexer.mark);
        }
        after_dot = token == TOKEN_OTHER && lexer.mark == '.';
    }
    buffer_free(&text);
    return search.key_line ? search.key_line : search.section_line;
}
