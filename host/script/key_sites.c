#include "key_sites.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "base/lua_lexer.h"
#include "bindings/lua_host.h"

#define REGISTRY_KEY "aggregator.key_guard"
#define KEY_LOCAL "local " KEY_GUARD "=" KEY_GUARD ";"
#define MAX_DEPTH 200 /* LuaJIT's limit of nested expressions */

/* Compiled code cannot call a C function: it ends at the call. */
static const char key_guard_text[] = "local leave = ...\n"
                                     "return function(key)\n"
                                     "  if key ~= key then leave() end\n"
                                     "  return key\n"
                                     "end";

static int key_site_leave(lua_State *L) {
    (void)L;
    return 0;
}

void key_sites_open(lua_State *L) {
    if (luaL_loadbuffer(L, key_guard_text, sizeof key_guard_text - 1, "=" LUA_HOST_CHUNK)) {
        lua_error(L);
    }
    lua_pushcfunction(L, key_site_leave);
    lua_call(L, 1, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, REGISTRY_KEY);
}

bool key_sites_find_global(lua_State *L, const char *name) {
    if (strcmp(name, KEY_GUARD) != 0) {
        return false;
    }
    lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_KEY);
    return true;
}

/* The mark of a long string is a bracket, too: its last byte is none. */
static bool key_site_is_open(const struct lua_lexer *lexer, enum lua_token kind) {
    return kind == LUA_TOKEN_OTHER && lexer->mark == '[' && lexer->at[-1] == '[';
}

static bool key_site_is_close(const struct lua_lexer *lexer, enum lua_token kind) {
    return kind == LUA_TOKEN_OTHER && lexer->mark == ']';
}

/* Skips a key and its closing bracket. False: it is a text or a number, or the text ends. */
static bool key_site_skip_key(struct lua_lexer *lexer) {
    bool is_literal = false;
    int depth = 0, tokens = 0;
    for (enum lua_token kind; (kind = lua_lexer_next(lexer)) != LUA_TOKEN_END; tokens++) {
        if (key_site_is_close(lexer, kind) && depth-- == 0) {
            return !(is_literal && tokens == 1);
        }
        depth += key_site_is_open(lexer, kind);
        if (depth > MAX_DEPTH) {
            return false;
        }
        if (tokens == 0 && kind == LUA_TOKEN_NAME) {
            is_literal = lexer->quote || isdigit((unsigned char)*lexer->text.data);
        }
    }
    return false;
}

/* The lexer is behind an opening bracket. A comma may stand in the targets of an assignment. */
static bool key_site_is_stored(struct lua_lexer ahead) {
    return key_site_skip_key(&ahead) && lua_lexer_next(&ahead) == LUA_TOKEN_OTHER &&
           (ahead.mark == '=' || ahead.mark == ',');
}

bool key_sites_write(const char *text, struct buffer *out) {
    struct lua_lexer lexer = {.at = text, .line = 1};
    bool is_site[MAX_DEPTH] = {false};
    const char *copied = text;
    int depth = 0; /* of brackets */
    for (enum lua_token kind; (kind = lua_lexer_next(&lexer)) != LUA_TOKEN_END;) {
        const char *insert = NULL, *at = lexer.at;
        if (key_site_is_open(&lexer, kind)) {
            bool stored = depth < MAX_DEPTH && key_site_is_stored(lexer);
            if (depth < MAX_DEPTH) {
                is_site[depth] = stored;
            }
            depth++;
            insert = stored ? KEY_GUARD "(" : NULL;
        } else if (key_site_is_close(&lexer, kind) && depth > 0 && --depth < MAX_DEPTH &&
                   is_site[depth]) {
            insert = ")";
            at--;
        }
        if (insert) {
            buffer_append_text(out, copied == text ? KEY_LOCAL : "");
            buffer_append(out, copied, (size_t)(at - copied));
            buffer_append_text(out, insert);
            copied = at;
        }
    }
    if (copied != text) {
        buffer_append_text(out, copied);
    }
    return copied != text;
}
