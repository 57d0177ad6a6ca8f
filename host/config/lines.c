#include "lines.h"

#include "base/lua_lexer.h"

struct search {
    struct slice section, key;
    struct slice owner, name; /* the last `owner.name` or `name` */
    int name_line;
    bool dotted;
    bool opens; /* `section =` was read: the next brace opens it */
    int depth;
    int section_depth; /* of the section's fields; 0: outside of it */
    int section_line, key_line;
    bool wants_value;   /* the last token was the key's `=` */
    struct slice value; /* of the key, if it is a string */
};

/* An assignment to the last name. */
static void lines_assign(struct search *search) {
    bool is_section = slice_equal(search->name, search->section);
    bool is_key = slice_equal(search->name, search->key);
    bool is_inside = search->section_depth > 0 && search->depth == search->section_depth;
    bool is_owned = search->dotted && slice_equal(search->owner, search->section);
    if (is_key && (is_inside || is_owned)) {
        search->key_line = search->name_line;
        search->wants_value = true;
    } else if (is_section && search->section_depth == 0) {
        search->section_line = search->name_line;
        search->opens = true;
    }
}

static void lines_take_mark(struct search *search, char mark) {
    bool opens = search->opens;
    search->wants_value = false;
    search->opens = false;
    if (mark == '=') {
        lines_assign(search);
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

static void lines_take_name(struct search *search, const struct lua_lexer *lexer, bool after_dot) {
    search->name = lexer->text;
    search->name_line = lexer->token_line;
    search->dotted = after_dot;
    search->opens = false;
    search->value = search->wants_value && lexer->quote ? lexer->text : search->value;
    search->wants_value = false;
}

static struct search lines_search(const char *text, const char *section, const char *key) {
    struct lua_lexer lexer = {.at = text, .line = 1};
    struct search search = {.section = slice_of(section), .key = slice_of(key)};
    bool after_dot = false;
    for (;;) {
        enum lua_token token = lua_lexer_next(&lexer);
        if (token == LUA_TOKEN_END) {
            return search;
        }
        if (token == LUA_TOKEN_NAME) {
            lines_take_name(&search, &lexer, after_dot);
        } else {
            lines_take_mark(&search, lexer.mark);
        }
        after_dot = token == LUA_TOKEN_OTHER && lexer.mark == '.';
    }
}

int config_line_of(const char *text, const char *section, const char *key) {
    struct search search = lines_search(text, section, key);
    return search.key_line ? search.key_line : search.section_line;
}

struct slice config_string_of(const char *text, const char *section, const char *key) {
    return lines_search(text, section, key).value;
}
