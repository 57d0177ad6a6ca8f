/* Finds the line of a declaration in its source. */
#include "base/lua_lexer.h"
#include "manifest.h"

/* Moves the lexer past the word: where it is a key, or else where it first occurs. Returns the
 * line; 0: not found. */
static int manifest_line_find_word(struct lua_lexer *lexer, const char *word) {
    struct lua_lexer at = *lexer, first = *lexer, here = *lexer;
    struct slice wanted = slice_of(word);
    int first_line = 0;
    bool follows = false; /* the previous token was the word, maybe in brackets */
    for (enum lua_token token; (token = lua_lexer_next(&at)) != LUA_TOKEN_END;) {
        if (token == LUA_TOKEN_NAME) {
            follows = slice_equal(at.text, wanted);
            here = at;
            first = follows && !first_line ? at : first;
            first_line = follows && !first_line ? at.token_line : first_line;
        } else if (follows && at.mark == '=') {
            *lexer = here;
            return here.token_line;
        } else {
            follows = follows && at.mark == ']';
        }
    }
    *lexer = first;
    return first_line;
}

static int manifest_line_last_return(const char *text) {
    struct lua_lexer lexer = {.at = text, .line = 1};
    int line = 1;
    for (enum lua_token token; (token = lua_lexer_next(&lexer)) != LUA_TOKEN_END;) {
        bool is_return =
            token == LUA_TOKEN_NAME && !lexer.quote && slice_equal(lexer.text, slice_of("return"));
        line = is_return ? lexer.token_line : line;
    }
    return line;
}

int manifest_line(const char *text, const char *const *words, size_t count) {
    struct lua_lexer lexer = {.at = text, .line = 1};
    int line = 0;
    for (size_t i = 0; i < count; i++) {
        int found = manifest_line_find_word(&lexer, words[i]);
        line = found ? found : line;
    }
    return line ? line : manifest_line_last_return(text);
}

int script_view_place(const struct script_generation *generation, const char *table,
                      const char *column, const char **path) {
    const struct bundle_file *file = bundle_find(&generation->bundle, "view");
    const char *words[] = {table, column};
    *path = file->path; /* every generation has it */
    return manifest_line(file->text, words, column ? 2 : 1);
}
