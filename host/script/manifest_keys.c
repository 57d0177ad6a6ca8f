/* Unknown words in declarations: refused with their line and the nearest known one. Lua keeps no
 * line of a table's keys, so the source is read. */
#include "../base/lua_lexer.h"
#include "../base/nearest.h"
#include "script_private.h"

static size_t count_names(const char *const *names) {
    size_t count = 0;
    while (names[count]) {
        count++;
    }
    return count;
}

void manifest_blame(lua_State *L, const char *word) {
    struct script_generation *generation = sandbox_instance(L)->generation;
    generation->blamed = word ? manifest_text(generation, word) : NULL;
}

bool manifest_refuse(lua_State *L, const char *owner, const char *what, const char *word,
                     const char *const *known, struct err *err) {
    char hint[NEAREST_HINT_CAP];
    manifest_blame(L, word);
    return err_set(err, ERR_INPUT, "%s: no %s \"%s\": %s", owner, what, word,
                   nearest_hint(hint, word, known, count_names(known)));
}

int manifest_line(const char *text, const char *word) {
    struct lua_lexer lexer = {.at = text, .line = 1};
    struct slice wanted = slice_of(word);
    int first = 0, here = 0;
    bool follows = false; /* the token before was the word, maybe in brackets */
    for (enum lua_token token; (token = lua_lexer_next(&lexer)) != LUA_TOKEN_END;) {
        if (token == LUA_TOKEN_NAME) {
            follows = slice_equal(lexer.text, wanted);
            here = lexer.token_line;
            first = follows && !first ? here : first;
        } else if (follows && lexer.mark == '=') {
            return here;
        } else {
            follows = follows && lexer.mark == ']';
        }
    }
    return first;
}

static bool is_known(const char *word, const char *const *known) {
    for (size_t i = 0; known[i]; i++) {
        if (strcmp(word, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool manifest_check_keys(lua_State *L, const char *owner, const char *const *known,
                         struct err *err) {
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING && !is_known(lua_tostring(L, -2), known)) {
            manifest_refuse(L, owner, "key", lua_tostring(L, -2), known, err);
            lua_pop(L, 2);
            return false;
        }
    }
    return true;
}
